//! The options that DHCP answers, router advertisements and events can carry.

use std::borrow::Cow;

/// An option that an action may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionDef {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its number in the packet.
    pub code: u16,
    /// What its value looks like.
    pub kind: OptionKind,
}

/// What an option's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// 0 or 1.
    Bool,
    /// A number of 8 bits.
    Uint8,
    /// A number of 16 bits.
    Uint16,
    /// A number of 32 bits.
    Uint32,
    /// IPv4 addresses.
    Ipv4,
    /// IPv6 addresses.
    Ipv6,
    /// An Ethernet address.
    Mac,
    /// Pairs of an IPv4 prefix and the router to it.
    StaticRoutes,
    /// A string.
    Str,
    /// An IPv4 address or a host's name.
    HostId,
    /// Domain names, comma-separated in one string.
    Domains,
    /// One domain name.
    Domain,
}

impl OptionKind {
    /// The kind the Southbound tables DHCP_Options and DHCPv6_Options call by that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "bool" => Self::Bool,
            "uint8" => Self::Uint8,
            "uint16" => Self::Uint16,
            "uint32" => Self::Uint32,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "mac" => Self::Mac,
            "static_routes" => Self::StaticRoutes,
            "str" => Self::Str,
            "host_id" => Self::HostId,
            "domains" => Self::Domains,
            "domain" => Self::Domain,
            _ => return None,
        })
    }

    /// Whether the value is a string, a number, or may be either.
    pub(super) fn takes(self) -> Takes {
        match self {
            Self::HostId => Takes::Either,
            Self::Str | Self::Domains | Self::Domain => Takes::String,
            _ => Takes::Number,
        }
    }
}

/// What sort of constant an option takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    String,
    Number,
    Either,
}

/// A row of one of the tables below.
const fn def(name: &'static str, code: u16, kind: OptionKind) -> OptionDef {
    OptionDef { name: Cow::Borrowed(name), code, kind }
}

/// What `put_dhcp_opts` knows where the Southbound database says nothing: all that northd 26.03 would write there.
/// Options 253 to 255 are OVN's own, for what is no option in the packet.
pub static DHCP_OPTIONS: &[OptionDef] = &[
    def("offerip", 0, OptionKind::Ipv4),
    def("netmask", 1, OptionKind::Ipv4),
    def("router", 3, OptionKind::Ipv4),
    def("dns_server", 6, OptionKind::Ipv4),
    def("log_server", 7, OptionKind::Ipv4),
    def("lpr_server", 9, OptionKind::Ipv4),
    def("hostname", 12, OptionKind::Str),
    def("domain_name", 15, OptionKind::Str),
    def("swap_server", 16, OptionKind::Ipv4),
    def("ip_forward_enable", 19, OptionKind::Bool),
    def("policy_filter", 21, OptionKind::Ipv4),
    def("default_ttl", 23, OptionKind::Uint8),
    def("mtu", 26, OptionKind::Uint16),
    def("broadcast_address", 28, OptionKind::Ipv4),
    def("router_discovery", 31, OptionKind::Bool),
    def("router_solicitation", 32, OptionKind::Ipv4),
    def("arp_cache_timeout", 35, OptionKind::Uint32),
    def("ethernet_encap", 36, OptionKind::Bool),
    def("tcp_ttl", 37, OptionKind::Uint8),
    def("tcp_keepalive_interval", 38, OptionKind::Uint32),
    def("nis_server", 41, OptionKind::Ipv4),
    def("ntp_server", 42, OptionKind::Ipv4),
    def("netbios_name_server", 44, OptionKind::Ipv4),
    def("netbios_node_type", 46, OptionKind::Uint8),
    def("lease_time", 51, OptionKind::Uint32),
    def("server_id", 54, OptionKind::Ipv4),
    def("T1", 58, OptionKind::Uint32),
    def("T2", 59, OptionKind::Uint32),
    def("tftp_server", 66, OptionKind::HostId),
    def("bootfile_name", 67, OptionKind::Str),
    def("domain_search_list", 119, OptionKind::Domains),
    def("classless_static_route", 121, OptionKind::StaticRoutes),
    def("tftp_server_address", 150, OptionKind::Ipv4),
    def("path_prefix", 210, OptionKind::Str),
    def("ms_classless_static_route", 249, OptionKind::StaticRoutes),
    def("wpad", 252, OptionKind::Str),
    def("next_server", 253, OptionKind::Ipv4),
    def("bootfile_name_alt", 254, OptionKind::Str),
];

/// Code of `offerip`, which every DHCP answer must have.
pub(super) const OFFERIP: u16 = 0;

/// What `put_dhcpv6_opts` knows where the Southbound database says nothing.
pub static DHCPV6_OPTIONS: &[OptionDef] = &[
    def("server_id", 2, OptionKind::Mac),
    def("ia_addr", 5, OptionKind::Ipv6),
    def("dns_server", 23, OptionKind::Ipv6),
    def("domain_search", 24, OptionKind::Str),
    def("fqdn", 39, OptionKind::Domain),
    def("bootfile_name", 59, OptionKind::Str),
    def("bootfile_name_alt", 254, OptionKind::Str),
];

/// What `put_nd_ra_opts` knows.
pub static ND_RA_OPTIONS: &[OptionDef] = &[
    def("addr_mode", nd_ra::ADDR_MODE, OptionKind::Str),
    def("slla", nd_ra::SLLA, OptionKind::Mac),
    def("prefix", nd_ra::PREFIX, OptionKind::Ipv6),
    def("mtu", nd_ra::MTU, OptionKind::Uint32),
    def("route_info", nd_ra::ROUTE_INFO, OptionKind::Str),
    def("rdnss", nd_ra::RDNSS, OptionKind::Ipv6),
    def("dnssl", nd_ra::DNSSL, OptionKind::Str),
    def("router_preference", nd_ra::PREFERENCE, OptionKind::Str),
];

/// Codes of the options of a router advertisement; 0 and 255 are flags of its header.
pub mod nd_ra {
    /// `addr_mode`
    pub const ADDR_MODE: u16 = 0;
    /// `slla`
    pub const SLLA: u16 = 1;
    /// `prefix`
    pub const PREFIX: u16 = 3;
    /// `mtu`
    pub const MTU: u16 = 5;
    /// `route_info`
    pub const ROUTE_INFO: u16 = 24;
    /// `rdnss`
    pub const RDNSS: u16 = 25;
    /// `dnssl`
    pub const DNSSL: u16 = 31;
    /// `router_preference`
    pub const PREFERENCE: u16 = 255;
}

/// What `trigger_event` reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A packet to a load balancer that has no backend.
    EmptyLbBackends,
}

impl Event {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::EmptyLbBackends => "empty_lb_backends",
        }
    }

    /// The event of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        (name == Self::EmptyLbBackends.name()).then_some(Self::EmptyLbBackends)
    }

    /// What a report of it may carry.
    pub fn options(self) -> &'static [OptionDef] {
        match self {
            Self::EmptyLbBackends => EMPTY_LB_BACKENDS_OPTIONS,
        }
    }
}

/// What a report of [`Event::EmptyLbBackends`] may carry.
static EMPTY_LB_BACKENDS_OPTIONS: &[OptionDef] = &[
    def("vip", empty_lb::VIP, OptionKind::Str),
    def("protocol", empty_lb::PROTOCOL, OptionKind::Str),
    def("load_balancer", empty_lb::LOAD_BALANCER, OptionKind::Str),
];

/// Codes of what a report of [`Event::EmptyLbBackends`] may carry.
pub mod empty_lb {
    /// `vip`
    pub const VIP: u16 = 1;
    /// `protocol`
    pub const PROTOCOL: u16 = 2;
    /// `load_balancer`
    pub const LOAD_BALANCER: u16 = 3;
}
