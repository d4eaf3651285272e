//! A file of command lines, one a line, done as one: a network that a switch begins with.
//!
//! Words are quoted as in a shell, `#` begins a comment where a word could begin, a backslash at the end of a line joins the
//! next one to it, and `ovn-nbctl` in front of a line counts for nothing.

use std::mem;

use super::error::NbctlError;
use super::line::Line;

/// Why a file of command lines cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {cause}")]
pub struct BadScript {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong.
    pub cause: Box<NbctlError>,
}

impl Line {
    /// All lines of a file as one. Options of the whole, such as `--wait`, have no meaning in it.
    pub fn script(text: &str) -> Result<Self, BadScript> {
        let mut commands = Vec::new();
        let mut lines = (1..).zip(text.lines());
        while let Some((number, first)) = lines.next() {
            let mut whole = first.to_owned();
            while whole.ends_with('\\') {
                whole.pop();
                match lines.next() {
                    Some((_, next)) => whole.push_str(next),
                    None => break,
                }
            }
            let bad = |cause| BadScript { line: number, cause: Box::new(cause) };
            let mut words = words(&whole).map_err(bad)?;
            if words.first().is_some_and(|word| word == "ovn-nbctl") {
                words.remove(0);
            }
            if words.is_empty() {
                continue;
            }
            let mut line = Line::parse(&words).map_err(bad)?;
            if line.options != Default::default() {
                let sentence = "options of the whole line have no meaning in a file; leave them out";
                return Err(bad(NbctlError::Usage(sentence.to_owned())));
            }
            line.commands.iter_mut().for_each(|command| command.number = number);
            commands.append(&mut line.commands);
        }
        Ok(Self { options: Default::default(), commands })
    }
}

/// The words of a line.
fn words(line: &str) -> Result<Vec<String>, NbctlError> {
    let mut words = Vec::new();
    // None between words.
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (Some('"'), '\\') => {
                let next = characters.next().unwrap_or('\\');
                if !matches!(next, '"' | '\\' | '$' | '`') {
                    word.get_or_insert_default().push('\\');
                }
                word.get_or_insert_default().push(next);
            }
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '\\') => word.get_or_insert_default().extend(characters.next()),
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() => words.extend(mem::take(&mut word)),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match quote {
        Some(quote) => {
            Err(NbctlError::Usage(format!("a quote has no end; write another {quote} behind the word")))
        }
        None => Ok(words),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::logical::nb::Database;

    #[rstest]
    #[case("a  b\tc", &["a", "b", "c"])]
    #[case("'a b' \"c d\" e' 'f", &["a b", "c d", "e f"])]
    #[case("'' \"\" x", &["", "", "x"])]
    #[case("'a\\b' \"a\\\"b\\n\" a\\ b", &["a\\b", "a\"b\\n", "a b"])]
    #[case("a # b", &["a"])]
    #[case("a#b '#'", &["a#b", "#"])]
    #[case("", &[])]
    fn words_are_those_of_a_shell(#[case] line: &str, #[case] expected: &[&str]) {
        assert_eq!(words(line).unwrap(), expected);
    }

    #[test]
    fn a_file_is_one_transaction() {
        let text = "# a network\n\novn-nbctl ls-add s\nlsp-add s p -- lsp-set-addresses p \\\n  'unknown'\n";
        let database = Database::default();
        let done = Line::script(text).unwrap().run(database.draft().edit()).unwrap();
        assert_eq!(done.created.len(), 2);
        assert!(done.edit.rows().switch_port("p").unwrap().1.addresses.contains("unknown"));
        let nothing = Line::script("# nothing\n").unwrap().run(database.draft().edit()).unwrap();
        assert!(nothing.edit.transaction().is_empty());
    }

    #[rstest]
    #[case("ls-add s\n\nls-ad t", "line 3: there is no command")]
    #[case("ls-add 's", "line 1: a quote has no end")]
    #[case("ls-add s\n--wait=sb ls-add t", "line 2: options of the whole line")]
    fn a_file_that_cannot_be_read(#[case] text: &str, #[case] part: &str) {
        let Err(error) = Line::script(text) else { panic!("{text}") };
        assert!(error.to_string().contains(part), "{error}");
    }

    #[test]
    fn a_command_that_fails_names_its_line() {
        let line = Line::script("ls-add s\nls-add t\n\nls-add s").unwrap();
        let Err(error) = line.run(Database::default().draft().edit()) else { panic!() };
        assert!(error.to_string().starts_with("line 4: switch \"s\" exists already"), "{error}");
    }
}
