//! The interpreter has what the table of actions says it has.

use std::collections::HashSet;

use super::*;
use crate::logical::action::tests::{forms::FORMS, here};
use crate::logical::action::{Action, Release, Support, TABLE, parse_actions};

/// What an action does to a packet that has what it presupposes or lacks it.
fn nodes(tracer: &Tracer, action: &Action) -> Vec<Node> {
    let options = Options::default();
    let (tree, under) = Tree::new(Kind::Pipeline, String::new());
    let datapath = tracer.datapath("sw").unwrap();
    let packet = Packet::new(FlowKey::default());
    let at = At { datapath, packet, pipeline: Pipeline::Ingress, table: 10, under, depth: 0 };
    let stop = Stop::default();
    let mut machine = Machine::new(tracer, &options, tree, &stop);
    machine.nest(&at, "actions", at.packet.copy(), std::slice::from_ref(action));
    machine.run(at).nodes().to_vec()
}

#[test]
fn every_interpreted_action_has_an_arm() {
    let (net, _) = Net::switch();
    let tracer = net.tracer();
    let mut met = HashSet::new();
    for action in FORMS.iter().flat_map(|(text, _)| parse_actions(text, &here()).unwrap().list) {
        let row = action.kind().row();
        let missing = format!("*** {} action not implemented", row.name);
        let is_missing = nodes(&tracer, &action).iter().any(|node| node.text == missing);
        match row.support {
            Support::Interpreted | Support::Datapath => assert!(!is_missing, "{action}"),
            Support::NotYet(_) => assert!(is_missing || row.since == Release::V23_03, "{action}"),
        }
        met.insert(row.kind);
    }
    assert_eq!(met.len(), TABLE.len());
}
