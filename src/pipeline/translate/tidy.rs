//! Operations that come to the same with less to do: ways through routers end in copies that nothing follows, and write
//! the Ethernet addresses once for each router.
//!
//! The invariant: whoever executes what is left sends the same bytes to the same places.

use crate::action::Op;
use crate::packet::Field;

/// Makes less of operations. Where they end in a drop for a reason, `is_sent` is false.
#[cold]
pub(super) fn tidy(ops: &mut Vec<Op>, is_sent: bool) {
    if is_sent {
        unwrap_last_clones(ops);
    }
    merge_addresses(ops);
}

/// What is done to a copy and followed by nothing is done to the packet itself.
fn unwrap_last_clones(ops: &mut Vec<Op>) {
    let mut at = 0;
    while let Some(op) = ops.get(at) {
        match op {
            Op::Clone { ops: inner } if at + 1 + usize::from(*inner) == ops.len() => {
                ops.remove(at);
            }
            Op::Clone { ops: inner } => at += 1 + usize::from(*inner),
            _ => at += 1,
        }
    }
}

/// Writes of an Ethernet address become one as long as nobody sees the packet between them. Clones are left alone.
fn merge_addresses(ops: &mut Vec<Op>) {
    // The operations kept so far, and the first of them since somebody saw the packet.
    let (mut kept, mut since) = (0, 0);
    let mut at = 0;
    while let Some(op) = ops.get(at).copied() {
        if let Op::Set { field: field @ (Field::EthSrc | Field::EthDst), value, mask } = op {
            let run = ops.get_mut(since..kept).into_iter().flatten();
            let same = run.into_iter().find_map(|op| match op {
                Op::Set { field: other, value, mask } if *other == field => Some((value, mask)),
                _ => None,
            });
            if let Some((first, bits)) = same {
                *first = *first & !mask | value;
                *bits |= mask;
                at += 1;
                continue;
            }
        }
        let inner = if let Op::Clone { ops } = op { usize::from(ops) } else { 0 };
        let end = (at + 1 + inner).min(ops.len());
        ops.copy_within(at..end, kept);
        kept += end - at;
        at = end;
        if !matches!(op, Op::Set { .. } | Op::DecTtl) {
            since = kept;
        }
    }
    ops.truncate(kept);
}
