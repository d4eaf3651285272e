//! Groups and meters on a packet's way.

use std::sync::Arc;

use super::{Frame, MAX_DEPTH, MAX_RESUBMITS, Step, Walk, Watch};
use crate::action::{Op, Subfield};
use crate::packet::field::Prereq;
use crate::packet::{DropReason, Field};
use crate::pipeline::objects::group::{Bucket, GroupKind, Hash, Selection, choose};
use crate::pipeline::record::Dep;
use crate::pipeline::stats::StatsId;

const PORTS: [Field; 2] = [Field::TcpSrc, Field::TcpDst];
/// Protocols with ports at the same place.
const WITH_PORTS: [u64; 3] = [6, 17, 132];

impl<W: Watch> Walk<'_, '_, W> {
    /// What a group says is done to copies of the packet. It counts as a resubmit backwards, since buckets may name groups.
    #[cold]
    #[inline(never)]
    pub(super) fn group(&mut self, id: u32) -> Step {
        self.out.record.depend(Dep::Group(id));
        let snapshot = self.snapshot;
        let Some(group) = snapshot.tables.objects().group(id) else {
            self.seen.no_such_group = true;
            self.watch.remark(DropReason::NoSuchGroup);
            return Ok(());
        };
        if self.at.depth >= MAX_DEPTH {
            return Err(DropReason::TooDeep);
        }
        if self.resubmits >= MAX_RESUBMITS {
            return Err(DropReason::TooMany);
        }
        self.resubmits += 1;
        self.hit(group.stats)?;
        let mut chosen = None;
        let list = match &group.kind {
            GroupKind::All => {
                group.buckets.iter().try_for_each(|bucket| self.hit(bucket.stats))?;
                &group.all
            }
            kind => {
                let bucket = match kind {
                    GroupKind::Select(selection) => self.select(&group.buckets, selection),
                    _ => group.buckets.first(),
                };
                let Some(bucket) = bucket else { return Ok(()) };
                self.hit(bucket.stats)?;
                chosen = Some(bucket);
                // Where nothing follows, nobody would see that it was no copy.
                let follows =
                    !self.list.is_empty() || matches!(self.frames.last(), Some(Frame::Resume { .. }));
                if follows { &bucket.apart } else { &bucket.actions }
            }
        };
        if !self.list.is_empty() {
            self.push_frame(Frame::Resume { rest: self.list, owner: self.owner, at: self.at })?;
        }
        let apart = chosen.is_none_or(|bucket| !Arc::ptr_eq(list, &bucket.actions));
        self.watch.buckets(group, chosen, apart, self.frames.len());
        (self.list, self.owner) = (list, Some(list));
        self.at.depth += 1;
        Ok(())
    }

    fn hit(&mut self, stats: StatsId) -> Step {
        if self.out.hits.len() > MAX_RESUBMITS {
            return Err(DropReason::TooMany);
        }
        self.out.hits.push(stats);
        Ok(())
    }

    fn select<'b>(&mut self, buckets: &'b [Bucket], selection: &Selection) -> Option<&'b Bucket> {
        let mut likely = buckets.iter().filter(|bucket| bucket.weight.is_some_and(|weight| weight > 0));
        let (first, second) = (likely.next(), likely.next());
        if second.is_none() {
            return first;
        }
        let mut hash = Hash::new(selection.param);
        if selection.fields.is_empty() {
            self.hash_connection(&mut hash, selection.is_symmetric());
        }
        for (field, mask) in &selection.fields {
            if self.packet().present(*field) {
                let value = self.packet().masked(*field, *mask);
                hash.add(value);
            }
        }
        choose(buckets, hash)
    }

    /// Addresses, protocol and, but for fragments, ports; without IP the Ethernet addresses.
    fn hash_connection(&mut self, hash: &mut Hash, is_symmetric: bool) {
        let is_ip = self.packet().is_ip();
        let addresses = if !is_ip {
            [Field::EthSrc, Field::EthDst]
        } else if self.packet().meets(Prereq::Ipv4) {
            [Field::NwSrc, Field::NwDst]
        } else {
            [Field::Ipv6Src, Field::Ipv6Dst]
        };
        let kind = self.packet().look(Field::EthType, 0xffff);
        hash.add(u128::from(kind));
        self.hash_pair(hash, addresses, is_symmetric);
        if !is_ip {
            return;
        }
        let proto = self.packet().look(Field::NwProto, 0xff);
        hash.add(u128::from(proto));
        // All fragments of a packet get the same bucket.
        if WITH_PORTS.contains(&proto) && self.packet().look(Field::IpFrag, 3) == 0 {
            self.hash_pair(hash, PORTS, is_symmetric);
        }
    }

    fn hash_pair(&mut self, hash: &mut Hash, [src, dst]: [Field; 2], is_symmetric: bool) {
        let [src, dst] = [src, dst].map(|field| self.packet().read(Subfield::whole(field)));
        let swap = is_symmetric && src > dst;
        let [first, second] = if swap { [dst, src] } else { [src, dst] };
        hash.add(first);
        hash.add(second);
    }

    /// The packet goes on if a meter lets it. One that is not there does.
    #[cold]
    #[inline(never)]
    pub(super) fn meter(&mut self, id: u32) -> Step {
        self.out.record.depend(Dep::Meter(id));
        match self.snapshot.tables.objects().meters().get(id) {
            Some(_) => self.emit(Op::Meter(id)),
            None => Ok(()),
        }
    }
}
