//! The way of a packet through the tables of the switch, told as `ofproto/trace` of Open vSwitch tells it: `steps` writes
//! down what translation says, this module prints it and follows packets that leave the tables, `frame` makes bytes of a
//! key where a reply needs some.
//!
//! The invariants: what is told is what the packet path does, since the same translation does it; nothing is done to any
//! packet, nothing is learned and nothing counted. A way is bounded by [`MAX_SECTIONS`] and the room for steps.

mod frame;
mod steps;

use std::collections::VecDeque;
use std::fmt::{self, Display, Formatter};

use serde::{Serialize, Serializer};

use super::dpflow::{self, Style};
use crate::action::Op;
use crate::action::reply::{Reply, turn};
use crate::logical::trace::FlowText;
use crate::packet::headers::VLAN_LEN;
use crate::packet::parse::parse;
use crate::packet::{DropReason, Field, FlowKey, HeapPacket, Packet, PacketMeta};
use crate::pipeline::frozen::Context;
use crate::pipeline::syntax::{DEFAULT_PRIORITY, PortNames, print_match};
use crate::pipeline::translate::{Start, Translation, translate_watched};
use crate::pipeline::{Flow, Match, Snapshot};
use steps::{Steps, Tree};

/// How often a packet and what comes of it is followed back into the tables.
const MAX_SECTIONS: usize = 64;
/// Between what is told of a packet and of its coming back.
const RULE: &str = "===============================================================================";

/// What is told of a flow beside what it is, a line each.
pub type Explain<'e> = &'e dyn Fn(&Flow) -> Vec<String>;

/// What a walk needs to know.
pub struct Guide<'g> {
    /// The tables and ports.
    pub snapshot: &'g Snapshot,
    /// Name of the switch.
    pub bridge: &'g str,
    /// Names of ports in place of numbers.
    pub names: bool,
    /// Says more of a flow.
    pub explain: Explain<'g>,
}

/// A packet that is to be walked.
#[derive(Clone, Debug)]
pub struct Traveller {
    /// What it looks like to the tables.
    pub key: FlowKey,
    /// Its bytes without the frame check sequence, if they are known: then only that is followed which they decide.
    pub len: Option<usize>,
}

/// What became of a packet.
pub struct Way {
    sections: Vec<Section>,
    /// Packets that came back and were not followed any more.
    cut: usize,
}

/// From where a packet enters the tables to where it leaves them.
struct Section {
    /// Number of the context that it goes on from, and why.
    resumes: Option<(u32, String)>,
    bridge: String,
    flow: String,
    steps: Tree,
    final_flow: Option<String>,
    megaflow: String,
    actions: String,
    drop: Option<DropReason>,
}

/// A packet that left the tables and comes back.
struct Left {
    number: u32,
    context: Context,
    why: String,
    packet: Traveller,
}

impl Guide<'_> {
    fn port_names(&self) -> &dyn PortNames {
        if self.names { &self.snapshot.ports } else { &() }
    }

    /// Walks a packet that enters the tables.
    pub fn walk(&self, packet: Traveller) -> Way {
        let mut translation = Translation::default();
        let mut next = 1;
        let (first, mut left) = self.section(packet, None, &mut translation, &mut next);
        let mut sections = vec![first];
        while let Some(one) = left.pop_front() {
            if sections.len() >= MAX_SECTIONS {
                return Way { sections, cut: left.len() + 1 };
            }
            let Left { number, context, why, packet } = one;
            let from = Some((number, &context, why));
            let (section, more) = self.section(packet, from, &mut translation, &mut next);
            sections.push(section);
            left.extend(more);
        }
        Way { sections, cut: 0 }
    }

    fn section(
        &self,
        packet: Traveller,
        from: Option<(u32, &Context, String)>,
        translation: &mut Translation,
        next: &mut u32,
    ) -> (Section, VecDeque<Left>) {
        let mut entering = packet.key;
        let start = match &from {
            Some((number, context, _)) => {
                entering.set(Field::RecircId, u128::from(*number));
                context.restore(&mut entering);
                Start::Frozen(context)
            }
            None => Start::Table(0),
        };
        let mut key = entering;
        let mut steps = Steps::new(self.port_names(), self.explain);
        if let Some((_, context, _)) = &from {
            steps.thaw(context.table());
        }
        translate_watched(self.snapshot, &mut key, start, translation, &mut steps);
        let (steps, gone) = steps.finish();
        let contexts = translation.contexts().to_vec();
        let base = *next;
        let mut left = VecDeque::new();
        for Gone { number, why, becomes, len } in leaving(translation.ops(), packet.len) {
            let context = contexts.get((number as usize).wrapping_sub(1));
            let as_it_was = gone.iter().find(|(gone, _)| *gone == number);
            let (Some(context), Some((_, key))) = (context, as_it_was) else { continue };
            let packet = Traveller { key: *key, len };
            let Some(packet) = becomes.map_or(Some(packet.clone()), |kind| reply(&packet, kind)) else {
                continue;
            };
            left.push_back(Left { number: base + number - 1, context: context.clone(), why, packet });
        }
        translation.number_frozen(|_| {
            *next += 1;
            Some(*next - 1)
        });
        let recorded = translation.recorded();
        let megaflow = Match { key: entering.masked(&recorded.mask), mask: recorded.mask };
        let mut shown = print_match(&megaflow, DEFAULT_PRIORITY, self.port_names());
        if recorded.min_ttl > 0 {
            shown.push_str(&format!(",min_ttl>={}", recorded.min_ttl));
        }
        let style = Style { ports: &self.snapshot.ports, names: self.names, more: false };
        let section = Section {
            resumes: from.map(|(number, _, why)| (number, why)),
            bridge: format!("bridge(\"{}\")", self.bridge),
            flow: FlowText(&entering).to_string(),
            steps,
            final_flow: (key != entering).then(|| FlowText(&key).to_string()),
            megaflow: shown,
            actions: dpflow::actions_text(translation.ops(), &megaflow, style),
            drop: translation.ops().iter().find_map(|op| match op {
                Op::Drop(reason) => Some(*reason),
                _ => None,
            }),
        };
        (section, left)
    }
}

/// An operation that a packet leaves the tables by.
struct Gone {
    /// Of its context, among those of the translation.
    number: u32,
    why: String,
    becomes: Option<Reply>,
    len: Option<usize>,
}

/// What leaves the tables in operations on a packet.
fn leaving(ops: &[Op], len: Option<usize>) -> Vec<Gone> {
    let (mut gone, mut len, mut rest) = (Vec::new(), len, ops.iter());
    while let Some(op) = rest.next() {
        let mut leaves = |number: u32, why: String, becomes: Option<Reply>| {
            if number != 0 {
                gone.push(Gone { number, why, becomes, len: len.filter(|_| becomes.is_none()) });
            }
        };
        match op {
            Op::PushVlan { .. } => len = len.map(|len| len + VLAN_LEN),
            Op::PopVlan => len = len.map(|len| len.saturating_sub(VLAN_LEN)),
            Op::Controller { frozen, .. } => {
                leaves(*frozen, "as the controller lets it go on, unchanged".to_owned(), None);
            }
            Op::CheckLen { len: limit, larger } => {
                let is_larger = len.map(|len| len > usize::from(*limit));
                if is_larger != Some(false) {
                    leaves(*larger, format!("with more than {limit} bytes"), None);
                }
                if is_larger == Some(true) {
                    return gone;
                }
            }
            Op::Become { kind, frozen } => leaves(*frozen, format!("as {}", kind.name()), Some(*kind)),
            Op::Await { frozen, .. } => {
                leaves(*frozen, "when the neighbour is known; dl_dst will be its address".to_owned(), None)
            }
            Op::Clone { ops } => {
                let (inner, after) = rest.as_slice().split_at_checked(usize::from(*ops)).unwrap_or_default();
                rest = after.iter();
                gone.extend(leaving(inner, len));
            }
            _ => {}
        }
    }
    gone
}

/// The reply that a packet becomes; none if it cannot become one.
fn reply(packet: &Traveller, kind: Reply) -> Option<Traveller> {
    let mut bytes = HeapPacket::new(&frame::of(&packet.key));
    let (mut meta, mut key) = (PacketMeta::default(), FlowKey::default());
    let _ = parse(bytes.data(), &mut meta, &mut key);
    turn(&mut bytes, &meta, kind).ok()?;
    let mut key = FlowKey::default();
    let _ = parse(bytes.data(), &mut meta, &mut key);
    key.set(Field::InPort, packet.key.get(Field::InPort));
    Some(Traveller { key, len: None })
}

impl Display for Way {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.sections.iter().try_for_each(|section| section.fmt(f))?;
        if self.cut > 0 {
            writeln!(
                f,
                "\n{} more comebacks are not followed; the flows go round in a circle or do too much",
                self.cut
            )?;
        }
        Ok(())
    }
}

impl Display for Section {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some((number, why)) = &self.resumes {
            writeln!(f, "\n{RULE}\nrecirc({number:#x}) - resume {why}\n{RULE}\n")?;
        }
        writeln!(f, "Flow: {}\n\n{}\n{:-<3$}", self.flow, self.bridge, "", self.bridge.len())?;
        self.steps.lines(|line| writeln!(f, "{line}"))?;
        let final_flow = self.final_flow.as_deref().unwrap_or("unchanged");
        writeln!(f, "\nFinal flow: {final_flow}\nMegaflow: {}", self.megaflow)?;
        writeln!(f, "Datapath actions: {}", self.actions)?;
        match self.drop {
            Some(reason) => writeln!(f, "Dropped as {}", reason.name()),
            None => Ok(()),
        }
    }
}

impl Serialize for Way {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct One<'s> {
            #[serde(skip_serializing_if = "Option::is_none")]
            recirc_id: Option<u32>,
            #[serde(skip_serializing_if = "Option::is_none")]
            resumes: Option<&'s str>,
            flow: &'s str,
            steps: Vec<String>,
            final_flow: &'s str,
            megaflow: &'s str,
            datapath_actions: &'s str,
            #[serde(skip_serializing_if = "Option::is_none")]
            dropped_as: Option<&'static str>,
        }
        out.collect_seq(self.sections.iter().map(|section| {
            let mut steps = Vec::new();
            // Nothing can go wrong in memory.
            let _ = section.steps.lines(|line| {
                steps.push(line.to_owned());
                Ok(())
            });
            One {
                recirc_id: section.resumes.as_ref().map(|(number, _)| *number),
                resumes: section.resumes.as_ref().map(|(_, why)| why.as_str()),
                flow: &section.flow,
                steps,
                final_flow: section.final_flow.as_deref().unwrap_or(&section.flow),
                megaflow: &section.megaflow,
                datapath_actions: &section.actions,
                dropped_as: section.drop.map(DropReason::name),
            }
        }))
    }
}
