//! `ofctl/trace`, `ofproto/trace`, `trace/packet`, `trace/live`: the way of a packet through the flow tables, told as Open vSwitch
//! tells it.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::detrace::rows_of;
use super::megaflow::filter;
use super::packets::hex;
use super::{CommandError, Form, Gone, Rendering, port_arg, take_flags};
use crate::control::switch::{State, Switch};
use crate::control::walk::{Guide, Traveller, Way};
use crate::packet::parse::{Stop, parse};
use crate::packet::{Field, FlowKey, PacketMeta, PortNo};
use crate::pipeline::syntax::{Mode, parse_flow};
use crate::pipeline::{Flow, Match, Snapshot};

/// Frames whose ways are told at a time.
pub const MAX_FRAMES: usize = 64;

/// How often it is asked whether a packet was found.
const LOOK: Duration = Duration::from_millis(10);

/// How a way is told.
#[derive(Clone, Copy, Default)]
pub struct Manner {
    /// Names of ports in place of numbers.
    pub names: bool,
    /// The logical flow behind each flow.
    pub logical: bool,
}

/// `ofctl/trace [--names] FLOW`
pub fn ofctl_trace(switch: Rc<Switch>, mut args: Vec<String>, form: Form, gone: Gone) -> Rendering {
    Box::pin(async move {
        let [names] = take_flags(&mut args, ["--names"], "ofctl/trace", 1)?;
        let packet = traveller(&switch.state(), args.first().map_or("", String::as_str))?;
        walk(switch, vec![packet], Manner { names, logical: names }, form, gone).await
    })
}

/// `ofproto/trace [BRIDGE] FLOW`; `-generate` and the like change nothing here.
pub fn ofproto_trace(switch: Rc<Switch>, mut args: Vec<String>, form: Form, gone: Gone) -> Rendering {
    Box::pin(async move {
        let names = args.iter().any(|arg| arg == "--names");
        let idle = ["-generate", "-consistent", "--names", "--no-names"];
        args.retain(|arg| !idle.contains(&arg.as_str()));
        let flow = match args.as_slice() {
            [flow] => flow,
            [bridge, flow] if bridge == switch.name() => flow,
            [bridge, _] => {
                let sentence =
                    format!("there is no bridge \"{bridge}\"; this switch is \"{}\"", switch.name());
                return Err(CommandError::Argument(sentence));
            }
            _ => return Err(CommandError::TooMany("ofproto/trace", 2)),
        };
        let packet = traveller(&switch.state(), flow)?;
        walk(switch, vec![packet], Manner { names, logical: false }, form, gone).await
    })
}

/// `trace/packet PORT HEX...`
pub fn packets(switch: Rc<Switch>, args: Vec<String>, form: Form, gone: Gone) -> Rendering {
    Box::pin(async move {
        let (port, frames) = args.split_first().unwrap_or((const { &String::new() }, &[]));
        if frames.len() > MAX_FRAMES {
            let sentence =
                format!("{} frames are given and at most {MAX_FRAMES} are taken at a time", frames.len());
            return Err(CommandError::Argument(sentence));
        }
        let port = port_arg(&switch.state(), port)?;
        let frames = frames.iter().map(|text| received(port, &hex(text)?)).collect::<Result<_, _>>()?;
        walk(switch, frames, Manner { names: true, logical: true }, form, gone).await
    })
}

/// `trace/live [FLOW]`
pub fn live(switch: Rc<Switch>, args: Vec<String>, form: Form, gone: Gone) -> Rendering {
    Box::pin(async move {
        let filter = filter(switch.state().datapath.ports(), args.first().map_or("", String::as_str))?;
        arrives(&switch.state(), &filter)?;
        let Ok(turn) = Arc::clone(switch.live_turn()).try_acquire_owned() else {
            let sentence = "another live trace waits for its packet; try again when it is done";
            return Err(CommandError::Argument(sentence.to_owned()));
        };
        let looking = Looking(Rc::clone(&switch));
        switch.state_mut().datapath.look_for(Some(filter));
        let caught = async {
            loop {
                if let Some(caught) = switch.state_mut().datapath.caught() {
                    return caught;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let caught = tokio::select! {
            caught = caught => caught,
            () = gone.told() => return Err(CommandError::Gone),
        };
        drop((looking, turn));
        let mut packet = received(caught.in_port, &caught.data)?;
        packet.key.add_tunnel(&caught.tunnel);
        walk(switch, vec![packet], Manner { names: true, logical: true }, form, gone).await
    })
}

/// Refuses to wait at a port that is not there.
fn arrives(state: &State, filter: &Match) -> Result<(), CommandError> {
    // Part of the bits may stand for several ports.
    let is_asked = filter.mask.get(Field::InPort) & 0xffff == 0xffff;
    let port = PortNo(filter.key.get(Field::InPort) as u16);
    if is_asked && state.datapath.ports().get(port).is_none() {
        return Err(CommandError::Argument(format!(
            "there is no port {port} that a packet could come in by; `millrace port list` shows those there are"
        )));
    }
    Ok(())
}

/// While it is there, a packet is looked for.
struct Looking(Rc<Switch>);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.state_mut().datapath.look_for(None);
    }
}

/// A frame as the tables see it that came in by a port.
pub fn received(port: PortNo, frame: &[u8]) -> Result<Traveller, CommandError> {
    let (mut key, mut meta) = (FlowKey::default(), PacketMeta::default());
    if parse(frame, &mut meta, &mut key).stop == Some(Stop::Runt) {
        let sentence =
            format!("a frame of {} bytes has no whole Ethernet header; give all of it", frame.len());
        return Err(CommandError::Argument(sentence));
    }
    key.set(Field::InPort, port.0.into());
    Ok(Traveller { key, len: Some(frame.len()) })
}

/// The packet that a text says: every field has the value it is given, and zero without.
fn traveller(state: &State, text: &str) -> Result<Traveller, CommandError> {
    let ports = state.datapath.ports();
    let flow = parse_flow(text, ports, Mode::Select { strict: false })
        .map_err(|error| CommandError::Argument(error.render(text)))?;
    let refused = |what: &str| {
        CommandError::Argument(format!(
            "a packet has no {what}; say what it looks like, as in \"in_port=1,ip,nw_dst=10.0.0.1\""
        ))
    };
    if flow.table.is_some() {
        return Err(refused("table"));
    }
    if flow.cookie.is_some() {
        return Err(refused("cookie"));
    }
    if flow.out_port.is_some() {
        return Err(refused("out_port"));
    }
    let key = flow.matcher.key;
    if key.get(Field::RecircId) != 0 {
        return Err(CommandError::Argument(
            "a packet that comes back goes on as it left, which recirc_id alone does not say; leave it out"
                .to_owned(),
        ));
    }
    Ok(Traveller { key, len: None })
}

/// Ways of packets, one after the other.
struct Ways(Vec<Way>);

impl fmt::Display for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, way) in (0u64..).zip(&self.0) {
            if number > 0 {
                writeln!(f)?;
            }
            way.fmt(f)?;
        }
        Ok(())
    }
}

impl Serialize for Ways {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(&self.0)
    }
}

/// Walks packets, on another thread, and writes what became of them.
pub async fn walk(
    switch: Rc<Switch>,
    packets: Vec<Traveller>,
    manner: Manner,
    form: Form,
    gone: Gone,
) -> Result<String, CommandError> {
    let turn = tokio::select! {
        biased;
        () = gone.told() => return Err(CommandError::Gone),
        turn = Arc::clone(switch.trace_turns()).acquire_owned() => turn.map_err(|_| CommandError::Gone)?,
    };
    let (snapshot, rows) = {
        let state = switch.state();
        let snapshot = Snapshot::new(state.flows.tables.clone(), state.datapath.ports().clone());
        (snapshot, state.logical.rows.snapshot().clone())
    };
    let bridge = switch.name().to_owned();
    tokio::task::spawn_blocking(move || {
        let explain = |flow: &Flow| match manner.logical {
            true => rows_of(&rows, flow).into_iter().flat_map(|row| row.lines).collect(),
            false => Vec::new(),
        };
        let guide = Guide { snapshot: &snapshot, bridge: &bridge, names: manner.names, explain: &explain };
        let ways: Vec<_> = packets.into_iter().map(|packet| guide.walk(packet)).collect();
        let written = form.write(&Ways(ways));
        drop(turn);
        written
    })
    .await?
}
