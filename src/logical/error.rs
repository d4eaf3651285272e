//! What is wrong with a text in OVN's language, and where.

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
