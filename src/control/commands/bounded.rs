//! Answers written no further than an answer may be long.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use super::{CommandError, MAX_ANSWER};

/// What is written so far.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
    /// Whether more was to be written.
    full: bool,
}

impl Bounded {
    fn new(most: usize) -> Self {
        Self { bytes: Vec::new(), most, full: false }
    }

    /// The text, if all of it is there.
    fn finish(self, written: Result<(), CommandError>) -> Result<String, CommandError> {
        if self.full {
            return Err(CommandError::TooLong);
        }
        written?;
        Ok(String::from_utf8_lossy(&self.bytes).into_owned())
    }
}

impl Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.full || piece.len() > self.most - self.bytes.len() {
            self.full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As text for people.
pub(super) fn text(answer: &(impl Display + ?Sized)) -> Result<String, CommandError> {
    text_within(answer, MAX_ANSWER)
}

fn text_within(answer: &(impl Display + ?Sized), most: usize) -> Result<String, CommandError> {
    let mut out = Bounded::new(most);
    let written = write!(out, "{answer}").map_err(|error| CommandError::Argument(error.to_string()));
    out.finish(written)
}

/// As JSON.
pub(super) fn json(answer: &(impl Serialize + ?Sized)) -> Result<String, CommandError> {
    json_within(answer, MAX_ANSWER)
}

fn json_within(answer: &(impl Serialize + ?Sized), most: usize) -> Result<String, CommandError> {
    let mut out = Bounded::new(most);
    let written = serde_json::to_writer(&mut out, answer).map_err(CommandError::Json);
    out.finish(written)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fmt;

    use super::*;

    /// Lines without end.
    #[derive(Default)]
    struct Endless(Cell<usize>);

    impl Display for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            loop {
                self.0.set(self.0.get() + 1);
                writeln!(f, "a line")?;
            }
        }
    }

    #[test]
    fn an_answer_that_is_too_long_is_given_up_while_it_is_written() {
        let endless = Endless::default();
        assert!(matches!(text_within(&endless, 70), Err(CommandError::TooLong)));
        assert!(endless.0.get() <= 12);
        assert!(matches!(json_within(&"x".repeat(7), 8), Err(CommandError::TooLong)));
        assert_eq!(json_within(&"x".repeat(6), 8).unwrap(), "\"xxxxxx\"");
        assert_eq!(text_within("é", 2).unwrap(), "é");
    }
}
