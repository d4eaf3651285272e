//! What is wrong with a text in OVN's language, and where.

use std::borrow::Cow;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// Why a text was refused, and which bytes of it are to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct SyntaxError {
    /// Bytes of the input; empty at the end of it where something is missing.
    pub span: Range<usize>,
    /// The cause and the mend, in one sentence.
    pub sentence: String,
}

/// Most characters of a text that a sentence quotes.
const MAX_QUOTED: usize = 60;
/// A word as long as this is no name that was mistyped.
const MAX_NAME: usize = 40;

/// A text as a sentence quotes it: the beginning of one that is long, and control characters by their numbers, since they
/// would mean something to the terminal.
pub fn shortened(text: &str) -> Cow<'_, str> {
    let (start, dots) = match text.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => (text.get(..end).unwrap_or_default(), "…"),
        None => (text, ""),
    };
    if !start.contains(char::is_control) {
        return if dots.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(format!("{start}{dots}")) };
    }
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(start.chars().map(shown).chain([dots.to_owned()]).collect())
}

/// The name that a word was probably meant to be, and in how many letters they differ. A long word is not even compared,
/// since that takes time and memory by its length.
pub(super) fn nearest(
    word: &str,
    names: impl Iterator<Item = &'static str>,
) -> Option<(usize, &'static str)> {
    if word.len() >= MAX_NAME {
        return None;
    }
    names
        .map(|name| (strsim::damerau_levenshtein(word, name), name))
        .filter(|(distance, name)| *distance <= 2 && *distance < name.len())
        .min_by_key(|(distance, _)| *distance)
}

impl SyntaxError {
    /// An error about those bytes.
    pub fn new(span: Range<usize>, sentence: impl Into<String>) -> Self {
        Self { span, sentence: sentence.into() }
    }

    /// The sentence above the line of `source` with a caret under what is to blame. `source` is the text that was
    /// parsed; another gives a misplaced caret.
    pub fn render(&self, source: &str) -> String {
        let end = source.ceil_char_boundary(self.span.end.min(source.len()));
        let start = source.floor_char_boundary(self.span.start.min(end));
        let snippet = Snippet::source(source).annotation(AnnotationKind::Primary.span(start..end));
        Renderer::plain().render(&[Level::ERROR.primary_title(self.sentence.as_str()).element(snippet)])
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn near_names_are_found_and_long_words_are_not_compared() {
        let compared = Cell::new(0);
        let near = |word: &str| {
            compared.set(0);
            nearest(word, ["next", "ct_next"].into_iter().inspect(|_| compared.set(compared.get() + 1)))
        };
        assert_eq!((near("nxet"), compared.get()), (Some((1, "next")), 2));
        assert_eq!((near("ct_next"), compared.get()), (Some((0, "ct_next")), 2));
        assert_eq!((near("output"), compared.get()), (None, 2));
        assert_eq!((near(&"next".repeat(10)), compared.get()), (None, 0));
    }

    #[test]
    fn long_texts_are_quoted_by_their_beginning() {
        for text in ["", "é", &"é".repeat(60)] {
            assert_eq!(shortened(text), text);
        }
        assert_eq!(shortened(&"é".repeat(61)), "é".repeat(60) + "…");
    }
}
