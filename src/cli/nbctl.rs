//! `millrace nbctl`: the words of `ovn-nbctl`, which go to the switch as they are, and dumps of the Northbound.

use std::ffi::OsString;

use clap::Args;

use super::request::{Request, read_text};
use super::{Failure, Session};
use crate::logical::nb::nbctl;
use crate::logical::rows::dump::MAX_DUMP;

/// Bytes of a dump in one message, which quotes and escapes make longer.
const PART: usize = 2 << 20;

const HELP: &str = "\
Logical networks, in the words of ovn-nbctl

Usage: millrace [--target SOCKET] nbctl [OPTION...] COMMAND [-- COMMAND]...
       millrace [--target SOCKET] nbctl dump
       millrace [--target SOCKET] nbctl load FILE|-
       millrace [--target SOCKET] nbctl troubles

All commands of a line are done, or none. `dump` prints all rows as `ovsdb-client --format=json dump` does, `load` puts such
a dump in the place of all rows, `troubles` names rows that are not compiled.

Options: --wait=none|sb|hv, --no-wait, --print-wait-time, --timeout=SECONDS, --dry-run, --oneline, --format=FORMAT, --data=FORM,
--no-headings, --bare. A change is in force when the answer comes, whatever is waited for.

Commands:
";

/// What stands behind `nbctl`.
#[derive(Debug, Args)]
pub(super) struct NbctlArguments {
    /// Options and commands of ovn-nbctl; `--help` lists them
    #[arg(required = true, value_name = "WORD", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// Puts a `--` behind `nbctl`, so that what follows is left to the switch, options too.
pub(super) fn set_apart(mut words: Vec<OsString>) -> Vec<OsString> {
    let mut at = 1;
    while let Some(word) = words.get(at) {
        match word.to_str() {
            Some("-t" | "--target" | "-T" | "--timeout") => at += 2,
            Some(word) if word.starts_with('-') => at += 1,
            Some("nbctl") => {
                words.insert(at + 1, "--".into());
                break;
            }
            _ => break,
        }
    }
    words
}

impl Session<'_, '_> {
    pub(super) fn nbctl(&mut self, NbctlArguments { words }: NbctlArguments) -> Result<(), Failure> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let request = match &words[..] {
            ["--help" | "-h" | "help"] => return self.print(&format!("{HELP}{}", nbctl::usage())),
            ["dump"] => Request::bare("nbctl/dump"),
            ["troubles"] => Request::bare("nbctl/troubles"),
            ["load", file] => return self.load_northbound(file),
            ["dump" | "load" | "troubles", ..] => {
                let sentence = "write dump, troubles or load FILE alone, and - for standard input";
                return Err(Failure::Usage(sentence.to_owned()));
            }
            words => Request::with("nbctl", words.iter().map(|word| (*word).to_owned()).collect()),
        };
        let answer = self.call(&mut self.connect()?, request)?;
        self.print(&answer)
    }

    fn load_northbound(&mut self, file: &str) -> Result<(), Failure> {
        let what = "a dump as `millrace nbctl dump` or `ovsdb-client --format=json dump` writes it";
        let text =
            read_text(file, self.streams.input, what, MAX_DUMP, "load it in parts of several networks")?;
        self.upload("nbctl/load", &text, Vec::new())
    }

    /// Sends a dump in pieces that the socket takes, and prints what the switch says of the whole.
    pub(super) fn upload(&mut self, method: &str, text: &str, words: Vec<String>) -> Result<(), Failure> {
        let mut client = self.connect()?;
        let mut rest = text;
        while rest.len() > PART {
            let (part, behind) = rest.split_at(rest.floor_char_boundary(PART));
            self.call(&mut client, Request::with(method, vec!["--part".to_owned(), part.to_owned()]))?;
            rest = behind;
        }
        let words = words.into_iter().chain([rest.to_owned()]).collect();
        let answer = self.call(&mut client, Request::with(method, words))?;
        self.print(&answer)
    }
}
