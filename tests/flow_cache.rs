//! A worker's flow cache against the tables that it stands in front of: whatever is changed, counted, made room for or
//! forgotten, a packet gets the answer of a translation, and every flow counts the packets that passed it.

#[path = "flow_cache/attack.rs"]
mod attack;
#[path = "flow_cache/changes.rs"]
mod changes;
#[path = "flow_cache/lab.rs"]
mod lab;
#[path = "flow_cache/model.rs"]
mod model;
#[allow(dead_code)] // this binary uses its part
mod oracle;
#[path = "flow_cache/strict.rs"]
mod strict;
mod support;
#[allow(dead_code)]
#[path = "../src/packet/testgen.rs"]
mod testgen;
