//! Dumps, which come in parts: what comes with `--part` is kept until the rest comes without.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::{CommandError, Session};
use crate::control::logical::{TooLate, Upload};
use crate::control::switch::Switch;
use crate::logical::rows::dump::MAX_DUMP;

/// What has come.
pub enum Came {
    /// A part.
    Part(Received),
    /// All of it.
    Whole(Upload),
}

#[derive(Serialize)]
pub struct Received {
    /// Bytes of the dump so far.
    received: usize,
}

impl fmt::Display for Received {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

/// Takes the next part of a dump for a command. Only one client at a time has the turn to load anything.
pub fn receive(
    switch: &Switch,
    session: &mut Session,
    command: &'static str,
    text: &str,
    is_part: bool,
) -> Result<Came, CommandError> {
    let refuse = |sentence: String| Err(CommandError::Argument(sentence));
    let mut upload = match session.upload.take() {
        Ok(Some(upload)) => upload,
        Err(TooLate) => {
            let sentence = "the dump was given up, since no part of it came for long; send it again";
            return refuse(sentence.to_owned());
        }
        Ok(None) => match Arc::clone(switch.load_turn()).try_acquire_owned() {
            Ok(turn) => Upload { command, text: String::new(), turn },
            Err(_) => {
                let sentence = "another client is loading a dump; try again when it is done";
                return refuse(sentence.to_owned());
            }
        },
    };
    if upload.command != command {
        return refuse(format!(
            "the dump that came before was for {}, and is given up; send this one again",
            upload.command
        ));
    }
    if upload.text.len() + text.len() > MAX_DUMP {
        return refuse(format!(
            "a dump may have at most {MAX_DUMP} bytes; leave out tables that a chassis does not read"
        ));
    }
    upload.text.push_str(text);
    if is_part {
        let received = upload.text.len();
        session.upload.put(upload);
        return Ok(Came::Part(Received { received }));
    }
    Ok(Came::Whole(upload))
}
