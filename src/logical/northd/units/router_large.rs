//! Packets that are too large for a router port: whoever sent one is told what length goes through.

use crate::logical::nb::Uuid;
use crate::logical::nb::class::Class;
use crate::logical::nb::tables::LogicalRouterPort;
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::options::number;
use crate::logical::northd::facts::router::{Port, meter, port, ports_of_class};
use crate::logical::northd::memory::View;
use crate::logical::northd::output::{Output, flow};
use crate::logical::northd::stage::Stage;

/// The longest IP packet that goes through a router port, if that is limited.
pub(super) fn mtu(view: &View<'_>, port: Uuid) -> Option<i32> {
    number(&view.row::<LogicalRouterPort>(port)?.options, "gateway_mtu").filter(|mtu| *mtu > 0)
}

/// The errors that a port sends back to where packets came from that are too large for it or for others.
pub struct TooLarge;

impl Unit for TooLarge {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(from) = port(view, row) else { return };
        if let Some(mtu) = mtu(view, row) {
            errors(view, row, (&from, None), mtu, output);
        }
        for (other, to) in ports_of_class(view, from.router, Class::Limited) {
            if let Some(mtu) = mtu(view, other).filter(|_| other != row) {
                errors(view, row, (&from, Some(&to)), mtu, output);
            }
        }
    }
}

/// The errors for packets from one port, to another one or already measured when they came in.
fn errors(view: &View<'_>, row: Uuid, (from, to): (&Port, Option<&Port>), mtu: i32, output: &mut Output) {
    let stage = if to.is_some() { Stage::RouterInLargerPkts } else { Stage::RouterInIpInput };
    let leaving = to.map(|to| format!("outport == {} && ", to.key)).unwrap_or_default();
    let mut add = |family: u8, address: String, kind: &str| {
        let matches = format!("inport == {} && {leaving}ip{family} && reg9[1] && reg9[0] == 0", from.key);
        let actions = format!(
            "icmp{family}_error {{reg9[0] = 1; reg9[1] = 0; eth.dst = {}; ip{family}.dst = ip{family}.src; \
             ip{family}.src = {address}; ip.ttl = 255; {kind} icmp{family}.frag_mtu = {mtu}; \
             next(pipeline=ingress, table=0); }};",
            from.addresses.mac
        );
        let meter = meter(view, from.router, &format!("icmp{family}-error"));
        output.add(flow(from.router, stage, 150, matches, actions).hint(row).meter(meter.as_deref()));
    };
    if let Some(own) = from.addresses.ipv4.first() {
        let kind = "icmp4.type = 3; /* Destination Unreachable. */ \
                    icmp4.code = 4; /* Frag Needed and DF was Set. */";
        add(4, own.to_string(), kind);
    }
    if let Some(own) = from.addresses.ipv6.first() {
        add(6, own.to_string(), "icmp6.type = 2; /* Packet Too Big. */ icmp6.code = 0;");
    }
}
