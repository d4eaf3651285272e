//! A place among the tokens of a text, as the parsers of expressions and actions walk it.

use std::ops::Range;

use super::error::{SyntaxError, shortened};
use super::lex::{Format, Kind, Lexer, Number, Token};

/// The token that comes next, and the ones behind it.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    current: Token<'a>,
    previous_end: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at the first token of `text`.
    pub fn new(text: &'a str) -> Self {
        let mut lexer = Lexer::new(text);
        let current = lexer.token();
        Self { text, lexer, current, previous_end: 0 }
    }

    /// The token that comes next.
    pub fn kind(&self) -> &Kind<'a> {
        &self.current.kind
    }

    /// Where it stands.
    pub fn span(&self) -> Range<usize> {
        self.current.span.clone()
    }

    /// Where the last token that was taken ended.
    pub fn previous_end(&self) -> usize {
        self.previous_end
    }

    /// The token behind it.
    pub fn second(&self) -> Kind<'a> {
        { self.lexer }.token().kind
    }

    /// Takes the token.
    pub fn advance(&mut self) -> Token<'a> {
        let next = self.lexer.token();
        self.previous_end = self.current.span.end;
        std::mem::replace(&mut self.current, next)
    }

    /// Takes the token if it is that one, and says whether it was.
    pub fn accept(&mut self, kind: &Kind<'_>) -> bool {
        let found = self.current.kind == *kind;
        if found {
            self.advance();
        }
        found
    }

    /// Takes the token if it is that word, and says whether it was.
    pub fn accept_word(&mut self, word: &str) -> bool {
        self.accept(&Kind::Id(word))
    }

    /// Takes that token or fails; returns where it stood.
    pub fn expect(&mut self, kind: &Kind<'_>) -> Result<Range<usize>, SyntaxError> {
        if self.current.kind == *kind {
            Ok(self.advance().span)
        } else if *kind == Kind::End {
            Err(self.unexpected("the end of the text"))
        } else {
            Err(self.unexpected(&format!("\"{kind}\"")))
        }
    }

    /// A decimal number of at most 31 bits.
    pub fn small_integer(&mut self) -> Result<u32, SyntaxError> {
        match self.current.kind {
            Kind::Number(Number { value, mask: None, format: Format::Decimal }) if value <= 0x7fff_ffff => {
                self.advance();
                Ok(value as u32)
            }
            _ => Err(self.unexpected("a small decimal number")),
        }
    }

    /// An error that says what should have stood here; where the token itself is bad, what is wrong with it.
    pub fn unexpected(&self, expected: &str) -> SyntaxError {
        let span = self.span();
        let sentence = match &self.current.kind {
            Kind::Error(error) => error.to_string(),
            Kind::End => format!("the text ends here; expected {expected}"),
            _ => {
                let found = shortened(self.text.get(span.clone()).unwrap_or_default());
                // A text in quotes has its own.
                let quote = if found.starts_with('"') { "" } else { "\"" };
                format!("{quote}{found}{quote} cannot stand here; expected {expected}")
            }
        };
        SyntaxError::new(span, sentence)
    }
}
