//! Names of Southbound rows, which follow from what the rows are about. So units that make rows which refer to one
//! another need not ask each other, and cookies are the same after each start.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::logical::rows::{Table, Uuid};

/// The name of a row of a table about something. Version 8 of RFC 9562.
pub fn southbound(table: Table, about: impl Hash) -> Uuid {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, table, &about).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    let fixed = 0xf << 76 | 3 << 62;
    Uuid((half(0) << 64 | half(1)) & !fixed | 8 << 76 | 2 << 62)
}

/// The row of the datapath of a switch or router.
pub fn datapath(northbound: Uuid) -> Uuid {
    southbound(Table::DatapathBinding, northbound)
}

/// The row of a group of datapaths, by the first of the flows that are in all of them and in no other.
pub fn group(first: Uuid) -> Uuid {
    southbound(Table::LogicalDpGroup, first)
}

/// The row of a switch or router port.
pub fn port(northbound: Uuid) -> Uuid {
    southbound(Table::PortBinding, northbound)
}

/// The row of the port by which packets are sent to the chassis that hosts a router port for all.
pub fn redirect_port(northbound: Uuid) -> Uuid {
    southbound(Table::PortBinding, ("redirect", northbound))
}

/// The row of a group of chassis, by its name.
pub fn chassis_group(name: &str) -> Uuid {
    southbound(Table::HaChassisGroup, name)
}

/// The row of a mirror.
pub fn mirror(northbound: Uuid) -> Uuid {
    southbound(Table::Mirror, northbound)
}

/// The name of a port group in the datapath of a switch. Units write the row of the datapath in the place of its key,
/// which is known at last.
pub fn port_group(switch: Uuid, group: &str) -> String {
    format!("{}_{group}", datapath(switch))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Journals keep tunnel keys by these names, so they must be the same in every release, whatever hashes them.
    #[test]
    fn names_stay() {
        let nb = Uuid(0x0123_4567_89ab_4def_8123_4567_89ab_cdef);
        let names = [datapath(nb), port(nb), redirect_port(nb)].map(|name| name.to_string());
        assert_eq!(names, ["", "", ""]);
    }
}
