//! Operations for which Open vSwitch has no words: packets that leave the tables, and what the control thread is told.

use crate::action::Op;
use crate::action::intent::{Intent, Neighbour};

/// The operation, if it is one of these. `recirc` is the frozen context that the packet goes on from.
pub fn leaving(op: &Op) -> Option<String> {
    Some(match op {
        Op::Become { kind, frozen } => format!("reply({}),recirc({frozen:#x})", kind.name()),
        Op::Await { neighbour, frozen } => {
            format!("wait_neighbour({}),recirc({frozen:#x})", place(neighbour))
        }
        Op::Tell(Intent::Neighbour(neighbour, mac)) => {
            format!("learn_neighbour({},mac={mac})", place(neighbour))
        }
        Op::Tell(Intent::Fdb { datapath, port, mac }) => {
            format!("learn_fdb(datapath={datapath:#x},port={port:#x},mac={mac})")
        }
        Op::Tell(Intent::Log { cookie, verdict, severity, .. }) => {
            let verdict = verdict.map_or(String::new(), |verdict| format!(",verdict={}", verdict.name()));
            format!("log(cookie={cookie:#x}{verdict},severity={})", severity.name())
        }
        _ => return None,
    })
}

fn place(Neighbour { datapath, port, ip }: &Neighbour) -> String {
    let ip = ip.to_ipv4_mapped().map_or_else(|| ip.to_string(), |ip| ip.to_string());
    format!("datapath={datapath:#x},port={port:#x},ip={ip}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::reply::Reply;
    use crate::packet::Mac;

    #[test]
    fn what_leaves_the_tables_is_named() {
        let ip = |text: &str| text.parse().unwrap();
        let neighbour = Neighbour { datapath: 3, port: 2, ip: ip("::ffff:10.0.0.1") };
        let text = |op| leaving(&op).unwrap();
        assert_eq!(text(Op::Become { kind: Reply::NdNs, frozen: 0x401 }), "reply(nd_ns),recirc(0x401)");
        let waits = Op::Await { neighbour, frozen: 1 };
        assert_eq!(text(waits), "wait_neighbour(datapath=0x3,port=0x2,ip=10.0.0.1),recirc(0x1)");
        let learns = Op::Tell(Intent::Neighbour(Neighbour { ip: ip("1::"), ..neighbour }, Mac::BROADCAST));
        assert_eq!(text(learns), "learn_neighbour(datapath=0x3,port=0x2,ip=1::,mac=ff:ff:ff:ff:ff:ff)");
        assert_eq!(leaving(&Op::DecTtl), None);
    }
}
