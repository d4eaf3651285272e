//! `millrace detrace`: text with the logical flows behind its cookies.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use super::request::{Request, utf8};
use super::{Failure, Session};

/// Most bytes of one line.
const MAX_LINE: u64 = 16 << 20;
/// Answers kept, so that a cookie is asked for once.
const MAX_KNOWN: usize = 65_536;

impl Session<'_, '_> {
    /// Says what cookies stand for: of the words, or behind each line of standard input.
    pub(super) fn detrace(&mut self, cookies: Vec<String>) -> Result<(), Failure> {
        let mut client = self.connect()?;
        let json = self.json;
        if !cookies.is_empty() {
            let answer = self.call(&mut client, Request::with("detrace", cookies))?;
            return self.print(&answer);
        }
        if json {
            let sentence = "detrace answers as JSON only for cookies that are given; name them".to_owned();
            return Err(Failure::Usage(sentence));
        }
        let mut known: HashMap<u64, String> = HashMap::new();
        let mut input = BufReader::new(&mut *self.streams.input);
        let output = &mut self.streams.output;
        for number in 1.. {
            let mut line = Vec::new();
            let read = input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(|error| {
                Failure::Usage(format!("cannot read standard input: {error}; look where it comes from"))
            })?;
            if read == 0 {
                break;
            }
            let line = utf8(line, number).map_err(|place| {
                Failure::Usage(format!("standard input is not a text in UTF-8 at {place}; mend that line"))
            })?;
            writeln!(output, "{}", line.trim_end_matches(['\n', '\r']))?;
            for cookie in cookies_of(&line) {
                if known.len() >= MAX_KNOWN {
                    known.clear();
                }
                let answer = match known.entry(cookie) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => entry.insert(client.call("detrace", &[format!("{cookie:#x}")])?),
                };
                writeln!(output, "{}", answer.trim_end_matches('\n'))?;
            }
            // Whoever pipes a trace in wants to see it as it comes.
            output.flush()?;
        }
        Ok(())
    }
}

/// The cookies that a line shows, as `cookie=0x…` or `cookie 0x…`, but for 0.
fn cookies_of(line: &str) -> impl Iterator<Item = u64> {
    line.split("cookie").skip(1).filter_map(|rest| {
        let digits = rest.strip_prefix(['=', ' '])?.strip_prefix("0x")?;
        let end = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
        u64::from_str_radix(digits.get(..end)?, 16).ok().filter(|cookie| *cookie != 0)
    })
}
