//! Output to the port where tunnels begin: what the key says of the tunnel becomes part of the operation.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Step, Walk, Watch};
use crate::action::Op;
use crate::packet::{DropReason, Field, PortNo};
use crate::pipeline::record::Dep;
use crate::tunnel::TunnelOut;

/// TTL of outer headers, that of Open vSwitch.
const TTL: u8 = 64;

impl<W: Watch> Walk<'_, '_, W> {
    /// Whether the packet may have brought words of a tunnel. One of another port never does, which need not be recorded
    /// beside the port.
    pub(super) fn may_have_tunnel(&mut self) -> bool {
        let may = self.snapshot.ports.tunnel() == Some(self.entered);
        if !may {
            self.out.record.depend(Dep::Port(self.entered));
        }
        may
    }

    /// Sends the packet to the peer that `tun_dst` names, or else `tun_ipv6_dst`, as Open vSwitch does: either may be left
    /// from the tunnel that the packet came by, or from the copy before this one.
    pub(super) fn send_to_tunnel(&mut self) -> Step {
        let may = self.may_have_tunnel();
        let mut read = |field: Field| match may {
            true => self.packet().masked(field, field.all_ones()),
            // What the packet did not bring was written here, or is 0.
            false => self.key.get(field),
        };
        let dst = match Ipv4Addr::from_bits(read(Field::TunDst) as u32) {
            Ipv4Addr::UNSPECIFIED => Ipv6Addr::from_bits(read(Field::TunIpv6Dst)),
            dst => dst.to_ipv6_mapped(),
        };
        let (vni, option) = (read(Field::TunId) as u32 & 0xff_ffff, read(Field::TunMetadata0) as u32);
        if dst.is_unspecified() {
            self.seen.no_tunnel = true;
            self.watch.remark(DropReason::TunnelNoRemote);
            return Ok(());
        }
        self.send(Op::Tunnel(TunnelOut { dst, vni, option, ttl: TTL, tos: 0 }))
    }

    /// Whether a port is the one where tunnels begin. A packet may go from one tunnel into another.
    pub(super) fn is_tunnel(&self, port: PortNo) -> bool {
        self.snapshot.ports.tunnel() == Some(port)
    }
}
