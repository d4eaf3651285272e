//! The options of DHCP that actions may name.

use std::borrow::Cow;

use super::action::{DHCP_OPTIONS, DHCPV6_OPTIONS, OptionDef, OptionKind};
use super::rows::Store;
use super::rows::tables::{DhcpOptions, Dhcpv6Options};

/// Tables that a flow's `next` may name: as many as the database allows.
pub const TABLES: u8 = 33;

/// The options of DHCP that actions may name: those of the rows, or where there are none, the usual ones.
pub struct KnownOptions {
    /// For `put_dhcp_opts`.
    pub ipv4: Cow<'static, [OptionDef]>,
    /// For `put_dhcpv6_opts`.
    pub ipv6: Cow<'static, [OptionDef]>,
}

impl KnownOptions {
    /// Those of these rows.
    pub fn of(store: &Store) -> Self {
        let ipv4 = store.iter::<DhcpOptions>().map(|(_, row)| option(&row.name, row.code, &row.kind));
        let ipv6 = store.iter::<Dhcpv6Options>().map(|(_, row)| option(&row.name, row.code, &row.kind));
        Self { ipv4: or_usual(ipv4, DHCP_OPTIONS), ipv6: or_usual(ipv6, DHCPV6_OPTIONS) }
    }
}

/// An option of a row; none if its type is not known, so that flows that name it are reported.
fn option(name: &str, code: u8, kind: &str) -> Option<OptionDef> {
    Some(OptionDef { name: name.to_owned().into(), code: code.into(), kind: OptionKind::by_name(kind)? })
}

fn or_usual(
    rows: impl Iterator<Item = Option<OptionDef>>,
    usual: &'static [OptionDef],
) -> Cow<'static, [OptionDef]> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() { usual.into() } else { rows.flatten().collect() }
}
