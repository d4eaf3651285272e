//! Packets in by the socket and out by the socket.

use std::fmt;
use std::rc::Rc;

use serde::Serialize;

use super::{CommandError, Outcome, Pending, done, port_arg};
use crate::control::format::{count, hex_dump};
use crate::control::switch::{Pace, SILENCE, Switch};
use crate::datapath::{Continuation, PacketIn, PortError};
use crate::packet::PortNo;

#[derive(Serialize)]
struct Injected {
    port: PortNo,
    frames: u64,
    /// Workers that had not yet processed what was handed to them.
    not_yet_done_on: Vec<u16>,
}

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} injected at port {}", count(self.frames, "frame"), self.port)?;
        for worker in &self.not_yet_done_on {
            write!(f, ", not yet processed by worker {worker}")?;
        }
        Ok(())
    }
}

pub fn inject(switch: Rc<Switch>, args: Vec<String>) -> Pending {
    Box::pin(async move {
        let (port, frames) = args.split_first().unwrap_or((const { &String::new() }, &[]));
        let port = port_arg(&switch.state(), port)?;
        // All are read before the first is injected, so that a slip in the last leaves nothing half done.
        let frames = frames.iter().map(|text| hex(text)).collect::<Result<Vec<Vec<u8>>, _>>()?;
        let place = |state: &super::State| {
            state.datapath.ports().iter().find(|one| one.number == port).map(|one| one.at)
        };
        let at = place(&switch.state());
        for (frame, before) in frames.iter().zip(0u64..) {
            if place(&switch.state()) != at {
                let before = count(before, "frame");
                let sentence = format!("port {port} has gone meanwhile ({before} injected); try again");
                return Err(CommandError::Argument(sentence));
            }
            if before % 64 == 63 {
                tokio::task::yield_now().await;
            }
            inject_one(&switch, port, frame).await.map_err(|error| {
                CommandError::Argument(format!("{error} ({} injected)", count(before, "frame")))
            })?;
        }
        let not_yet_done_on = switch.in_step().await;
        done(Injected { port, frames: frames.len() as u64, not_yet_done_on })
    })
}

#[derive(Serialize)]
struct Resumed {
    /// Workers that had not yet processed it.
    not_yet_done_on: Vec<u16>,
}

impl fmt::Display for Resumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.not_yet_done_on.as_slice() {
            [] => f.write_str(
                "resumed; `millrace stats` counts it as context_gone if its continuation was gone",
            ),
            [worker, ..] => write!(f, "resumed, not yet processed by worker {worker}"),
        }
    }
}

pub fn resume(switch: Rc<Switch>, args: Vec<String>) -> Pending {
    Box::pin(async move {
        let [by, port, frame] = args.as_slice() else { return Err(CommandError::Argument(String::new())) };
        let to = by.parse::<Continuation>().map_err(|()| {
            CommandError::Argument(format!(
                "\"{by}\" is no continuation; write it as `millrace ofctl monitor` shows it, such as 0.1024"
            ))
        })?;
        let port = port_arg(&switch.state(), port)?;
        let frame = hex(frame)?;
        let result = switch.state_mut().datapath.resume(to, port, &frame);
        result.map_err(|error| CommandError::Argument(error.to_string()))?;
        let mut not_yet_done_on = switch.in_step().await;
        not_yet_done_on.retain(|worker| *worker == to.worker);
        done(Resumed { not_yet_done_on })
    })
}

/// Hands one frame over; where the ring to the worker is full, again and again until the worker has had its time.
async fn inject_one(switch: &Switch, port: PortNo, frame: &[u8]) -> Result<(), PortError> {
    let again = async {
        let mut pace = Pace::new();
        loop {
            let result = switch.state_mut().datapath.inject(port, frame);
            if !matches!(result, Err(PortError::MailboxFull(_))) {
                return result;
            }
            pace.step().await;
        }
    };
    match tokio::time::timeout(SILENCE, again).await {
        Ok(result) => result,
        Err(_) => switch.state_mut().datapath.inject(port, frame),
    }
}

/// The bytes that hexadecimal digits stand for; white space, colons and a leading 0x do not count.
pub(super) fn hex(text: &str) -> Result<Vec<u8>, CommandError> {
    let wrong = |sentence: String| CommandError::Argument(sentence);
    let mut digits = Vec::with_capacity(text.len());
    let plain = text.trim_start();
    let skipped = text.len() - plain.len() + if plain.starts_with("0x") { 2 } else { 0 };
    for (place, letter) in text.char_indices().filter(|(place, _)| *place >= skipped) {
        match letter.to_digit(16) {
            Some(digit) => digits.push(digit as u8),
            None if letter.is_whitespace() || letter == ':' => {}
            None => {
                return Err(wrong(format!(
                    "'{letter}' at character {} is no hexadecimal digit; write a frame as in \"0200 0000 0001\"",
                    text.get(..place).map_or(0, |before| before.chars().count()) + 1,
                )));
            }
        }
    }
    let (pairs, rest) = digits.as_chunks();
    if !rest.is_empty() {
        return Err(wrong(format!(
            "a frame of {} hexadecimal digits ends in half a byte; write two digits a byte",
            digits.len()
        )));
    }
    if pairs.is_empty() {
        return Err(wrong("a frame has at least one byte".to_owned()));
    }
    Ok(pairs.iter().map(|[high, low]| (high << 4) | low).collect())
}

#[derive(Serialize)]
struct PacketIns {
    packets: Vec<PacketIn>,
    /// How many were thrown away since counters were cleared because nobody fetched them.
    lost: u64,
}

pub fn monitor(switch: &Switch, _: &[String]) -> Outcome {
    let mut state = switch.state_mut();
    state.drain_packet_ins();
    done(PacketIns { packets: state.packet_ins.drain(..).collect(), lost: state.packet_ins_lost })
}

impl fmt::Display for PacketIns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for packet in &self.packets {
            let reason = match packet.reason {
                0 => "no_match",
                1 => "action",
                2 => "invalid_ttl",
                _ => "unknown",
            };
            let waits = packet.continuation.map(|by| format!(" continuation={by}")).unwrap_or_default();
            writeln!(
                f,
                "NXT_PACKET_IN2 (xid=0x0): table_id={} cookie={:#x} total_len={} in_port={} (via {reason}) \
                 data_len={} (unbuffered){waits}",
                packet.table,
                packet.cookie,
                packet.total_len,
                packet.in_port,
                packet.data.len(),
            )?;
            hex_dump(f, &packet.data)?;
        }
        if self.lost > 0 {
            writeln!(f, "{} lost because nobody fetched them in time", count(self.lost, "packet"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::hex;

    #[test]
    fn frames_in_hexadecimal() {
        assert_eq!(hex("0x0aFF\n01:02").unwrap(), [10, 255, 1, 2]);
        assert_eq!(hex(" 00 ").unwrap(), [0]);
        for bad in ["", "  ", "0", "012", "0g", "é", "0x", "00x0"] {
            assert!(hex(bad).is_err(), "{bad}");
        }
        assert_eq!(
            hex("00 zz").err().map(|error| error.to_string()).unwrap(),
            "'z' at character 4 is no hexadecimal digit; write a frame as in \"0200 0000 0001\""
        );
    }
}
