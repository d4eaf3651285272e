//! Random frames, many of them of a small world in which packets meet flows, some of them damaged.

use proptest::prelude::*;
use proptest::sample::Index;

use super::flows::{Arrival, arrival};
use crate::testgen::{L4, Net, any_spec};

/// A frame and how it comes in.
pub fn frame() -> impl Strategy<Value = (Arrival, Vec<u8>)> {
    let damage = prop_oneof![
        6 => Just(Damage::None),
        1 => any::<Index>().prop_map(Damage::Cut),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, bits)| Damage::Flip(at, bits)),
    ];
    let tag = prop_oneof![12 => Just(None), 1 => Just(Some([0x81, 0, 0, 1]))];
    let arrival = arrival(vec![1, 2, 3, 7, 9]);
    (any_spec(), any::<bool>(), tag, damage, arrival).prop_map(|(mut spec, tame, tag, damage, arrival)| {
        if tame {
            make_small(&mut spec.macs[..6]);
            make_small(&mut spec.macs[6..]);
            match &mut spec.net {
                Net::V4 { addrs, .. } => addrs.chunks_mut(4).for_each(make_small),
                Net::V6 { addrs, .. } => addrs.chunks_mut(16).for_each(make_small),
                _ => {}
            }
            if let L4::Tcp { ports, .. } | L4::Udp { ports, .. } | L4::Sctp { ports } = &mut spec.l4 {
                ports.chunks_mut(2).for_each(make_small);
            }
            spec.wrong = 0;
        }
        let mut frame = spec.frame();
        // A third tag, which the switch does not look at.
        frame.splice(12..12, tag.into_iter().flatten());
        match damage {
            Damage::None => {}
            Damage::Cut(at) => frame.truncate(at.index(frame.len())),
            Damage::Flip(at, bits) => {
                let at = at.index(frame.len());
                frame[at] ^= bits;
            }
        }
        (arrival, frame)
    })
}

#[derive(Clone, Debug)]
enum Damage {
    None,
    Cut(Index),
    Flip(Index, u8),
}

/// A number from 0 to 3, so that packets meet flows.
fn make_small(bytes: &mut [u8]) {
    let (last, rest) = bytes.split_last_mut().unwrap();
    rest.fill(0);
    *last &= 3;
}
