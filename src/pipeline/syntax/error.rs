//! What is wrong with a flow's text, and where.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::cursor::Piece;

/// Why a text was refused, and which bytes of it are to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct SyntaxError {
    /// Bytes of the input; empty at the end of it where something is missing.
    pub span: Range<usize>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a text. Displays as one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A word that names nothing.
    #[error("unknown {what} \"{found}\"{}", suggestion(near.as_deref(), expected))]
    Unknown {
        /// What was looked for: field, action, port, …
        what: &'static str,
        /// The word.
        found: String,
        /// What was probably meant.
        near: Option<String>,
        /// What could have stood there; empty where the list is too long to be of use.
        expected: Vec<&'static str>,
    },
    /// A value that cannot be read.
    #[error("\"{found}\" is not a value of {name}; expected {expected}")]
    Value {
        /// Field, option or action it was given to.
        name: String,
        /// The value.
        found: String,
        /// What it should look like.
        expected: String,
    },
    /// A number with more bits than there is room for.
    #[error("{found} is too large for {name}, whose greatest value is {max}")]
    TooLarge {
        /// Field, option or action it was given to.
        name: String,
        /// The number.
        found: String,
        /// The greatest number allowed.
        max: u128,
    },
    /// Something that must be there is not.
    #[error("{what} missing; write {mend}")]
    Missing {
        /// What, with its verb.
        what: String,
        /// What to write.
        mend: String,
    },
    /// A field without what makes it mean something.
    #[error("{name} means something only with {needs} in the match; add that")]
    Prerequisite {
        /// The field.
        name: String,
        /// What it needs.
        needs: &'static str,
    },
    /// Open vSwitch has it, this switch does not.
    #[error("{what} is not supported yet")]
    NotYet {
        /// What.
        what: String,
    },
    /// Well formed, but not allowed here.
    #[error("{0}")]
    Refused(String),
}

/// How an unknown word's sentence ends.
fn suggestion(near: Option<&str>, expected: &[&'static str]) -> String {
    match (near, expected) {
        (Some(near), _) => format!("; did you mean \"{near}\"?"),
        (None, []) => String::new(),
        (None, list) => format!("; expected one of {}", list.join(", ")),
    }
}

/// The candidate that a mistyped word is closest to, if one is close.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let allowed = (word.len() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.to_owned())
}

/// The start of a long text, so that messages stay one line.
pub(super) fn shorten(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{}…", text.split_at(cut).0),
        None => text.to_owned(),
    }
}

impl SyntaxError {
    /// An error about that piece of the text.
    pub(super) fn new(at: Piece<'_>, problem: Problem) -> Self {
        Self { span: at.span(), problem }
    }

    /// A piece that is no value of `name`.
    pub(super) fn value(at: Piece<'_>, name: &str, expected: impl Into<String>) -> Self {
        let (name, found) = (shorten(name), shorten(at.text));
        Self::new(at, Problem::Value { name, found, expected: expected.into() })
    }

    /// A piece that is well formed but refused.
    pub(super) fn refused(at: Piece<'_>, sentence: impl Into<String>) -> Self {
        Self::new(at, Problem::Refused(sentence.into()))
    }

    /// A piece that names what Open vSwitch has and this switch has not.
    pub(super) fn not_yet(at: Piece<'_>, what: impl Into<String>) -> Self {
        Self::new(at, Problem::NotYet { what: what.into() })
    }

    /// Something missing at that place.
    pub(super) fn missing(at: Piece<'_>, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(at, Problem::Missing { what: what.into(), mend: mend.into() })
    }

    /// The sentence above the line of `source` with a caret under what is to blame. `source` is the text that was
    /// parsed; another gives a misplaced caret.
    pub fn render(&self, source: &str) -> String {
        let mut span = self.span.start.min(source.len())..self.span.end.min(source.len());
        while !source.is_char_boundary(span.start) {
            span.start -= 1;
        }
        while !source.is_char_boundary(span.end) {
            span.end += 1;
        }
        let title = self.problem.to_string();
        let snippet = Snippet::source(source).annotation(AnnotationKind::Primary.span(span));
        Renderer::plain().render(&[Level::ERROR.primary_title(title).element(snippet)])
    }
}
