//! Writing VLAN tags.

use super::fields::TAG;
use super::{Step, Walk, Watch};
use crate::action::Op;
use crate::packet::{DropReason, Field};

impl<W: Watch> Walk<'_, '_, W> {
    pub(super) fn write_tci(&mut self, value: u16, mask: u16) -> Step {
        let was = self.packet().is_tagged();
        let becomes = if mask & TAG == 0 { was } else { value & TAG != 0 };
        match (was, becomes) {
            (false, false) => return Ok(()),
            (true, false) => return self.pop_vlan(),
            (false, true) => self.push_vlan(0x8100)?,
            (true, true) => {}
        }
        let mask = mask & !TAG;
        if mask != 0 {
            let (value, mask) = (u128::from(value & mask), u128::from(mask));
            self.packet().write(Field::VlanTci, value, mask);
            self.emit(Op::Set { field: Field::VlanTci, value, mask })?;
        }
        Ok(())
    }

    pub(super) fn push_vlan(&mut self, tpid: u16) -> Step {
        match self.packet().push_tag(tpid) {
            true => self.emit(Op::PushVlan { tpid }),
            false => {
                self.halt(DropReason::TooManyVlans);
                Ok(())
            }
        }
    }

    pub(super) fn pop_vlan(&mut self) -> Step {
        self.packet().pop_tag();
        self.emit(Op::PopVlan)
    }
}
