//! Tunnels as Open vSwitch prints them: in the key of what comes by one, and set before what leaves by one.

use super::key::value;
use crate::packet::Field;
use crate::packet::field::Form;
use crate::pipeline::Match;
use crate::tunnel::TunnelOut;

/// `geneve({…})` of the key; none where the option does not matter.
pub fn option(matcher: &Match) -> Option<String> {
    let field = Field::TunMetadata0;
    let (bits, mask) = (matcher.key.get(field), matcher.mask.get(field));
    (mask != 0).then(|| geneve(&value(Form::Hex, bits, mask, field.all_ones())))
}

/// What `set(…)` sets before the packet leaves.
pub fn set(out: &TunnelOut) -> String {
    let TunnelOut { dst, vni, option, ttl, tos } = *out;
    let dst = dst.to_ipv4_mapped().map_or_else(|| format!("ipv6_dst={dst}"), |dst| format!("dst={dst}"));
    let tos = if tos == 0 { String::new() } else { format!("tos={tos:#x},") };
    let option = if option == 0 { String::new() } else { geneve(&format!("{option:#x}")) + "," };
    format!("set(tunnel(tun_id={vni:#x},{dst},{tos}ttl={ttl},tp_dst=6081,{option}flags(df|csum|key)))")
}

fn geneve(value: &str) -> String {
    format!("geneve({{class=0x102,type=0x80,len=4,{value}}})")
}
