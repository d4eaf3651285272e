//! The tables of the Northbound database of OVN 23.03: the one place where their columns are written down.
//!
//! Tables and columns stand in the order of their names, which is the order in which they are printed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::logical::rows::cell::{BadValue, Cell};
use crate::logical::rows::datum::Datum;
use crate::logical::rows::schema::{
    Column, Columns, Row, Rule, TableDef, Tables, Untyped, column_name, column_rule, declare_tables,
};
use crate::logical::rows::tables::Pairs;
use crate::logical::rows::uuid::Uuid;

declare_tables! {
    /// A rule that lets packets of a switch or of the ports of a group pass, or not.
    table Acl = "ACL" (root: false) {
        /// What becomes of a packet.
        action: String => Rule::Words(&["allow", "allow-related", "allow-stateless", "drop", "reject"]),
        /// Whether it is for packets from ports or to ports.
        direction: String => Rule::Words(&["from-lport", "to-lport"]),
        /// For whoever writes the row.
        external_ids: Pairs,
        /// What is written into the connections that it lets pass.
        label: u32 => Rule::Range(0, 4_294_967_295),
        /// Whether its packets are logged.
        log: bool,
        /// The packets that it is for.
        matches as "match": String,
        /// The meter of what is logged.
        meter: Option<String>,
        /// Its name in the log.
        name: Option<String> => Rule::Length(63),
        /// Settings.
        options: Pairs,
        /// The greatest wins.
        priority: u16 => Rule::Range(0, 32_767),
        /// How grave a packet is in the log.
        severity: Option<String> => Rule::Words(&["alert", "debug", "info", "notice", "warning"]),
    }

    /// Addresses that match expressions name as `$name`.
    table AddressSet = "Address_Set" (unique: &[&["name"]]) {
        /// Addresses, networks or Ethernet addresses, all of one kind.
        addresses: BTreeSet<String>,
        /// For whoever writes the row.
        external_ids: Pairs,
        /// Its name.
        name: String,
    }

    /// A session of bidirectional forwarding detection.
    table Bfd = "BFD" (unique: &[&["logical_port", "dst_ip"]]) {
        /// Missed packets that count as a failure.
        detect_mult: Option<i64> => Rule::Range(1, i64::MAX),
        /// The other end.
        dst_ip: String,
        /// For whoever writes the row.
        external_ids: Pairs,
        /// The port that it runs through.
        logical_port: String,
        /// Shortest interval of reception, in milliseconds.
        min_rx: Option<i64>,
        /// Shortest interval of transmission, in milliseconds.
        min_tx: Option<i64> => Rule::Range(1, i64::MAX),
        /// Settings.
        options: Pairs,
        /// Its state.
        status: Option<String> => Rule::Words(&["admin_down", "down", "init", "up"]),
    }

    /// Template variables with their values on one chassis.
    table ChassisTemplateVar = "Chassis_Template_Var" (unique: &[&["chassis"]]) {
        /// The name of the chassis.
        chassis: String,
        /// For whoever writes the row.
        external_ids: Pairs,
        /// The values.
        variables: Pairs,
    }

    /// How clients reach the database server.
    table Connection = "Connection" (unique: &[&["target"]], root: false) {
        /// For whoever writes the row.
        external_ids: Pairs,
        /// Milliseconds of silence before a probe.
        inactivity_probe: Option<i64>,
        /// Whether it is connected.
        is_connected: bool,
        /// Longest pause between attempts, in milliseconds.
        max_backoff: Option<i64> => Rule::Range(1000, i64::MAX),
        /// Settings.
        other_config: Pairs,
        /// Its state.
        status: Pairs,
        /// Where to.
        target: String,
    }

    /// Meters that protect the control plane.
    table Copp = "Copp" (unique: &[&["name"]]) {
        /// For whoever writes the row.
        external_ids: Pairs,
        /// Names of meters by protocol.
        meters: Pairs,
        /// Its name.
        name: String,
    }

    /// What the switch itself answers to DHCP.
    table DhcpOptions = "DHCP_Options" () {
        /// The network whose clients get them.
        cidr: String,
        /// For whoever writes the row.
        external_ids: Pairs,
        /// The options by name.
        options: Pairs,
    }

    /// Names that the switch itself answers for.
    table Dns = "DNS" () {
        /// For whoever writes the row.
        external_ids: Pairs,
        /// Addresses by name.
        records: Pairs,
    }

    /// Ports of a switch among which flows to an address are shared.
    table ForwardingGroup = "Forwarding_Group" (root: false) {
        /// Names of the ports.
        child_port: BTreeSet<String> => Rule::Some,
        /// For whoever writes the row.
        external_ids: Pairs,
        /// Whether only ports count that are alive.
        liveness: bool,
        /// Its name.
        name: String,
        /// The address.
        vip: String,
        /// Its Ethernet address.
        vmac: String,
    }

    /// A chassis that may host a gateway port (older form).
    table GatewayChassis = "Gateway_Chassis" (unique: &[&["name"]], root: false) {
        /// The name of the chassis.
        chassis_name: String,
        /// For whoever writes the row.
        external_ids: Pairs,
        /// Its name.
        name: String,
        /// Settings.
        options: Pairs,
        /// The greatest is preferred.
        priority: u16 => Rule::Range(0, 32_767),
    }

    /// A chassis of a group.
    table HaChassis = "HA_Chassis" (root: false) {
        /// The name of the chassis.
        chassis_name: String,
        /// For whoever writes the row.
        external_ids: Pairs,
        /// The greatest is preferred.
        priority: u16 => Rule::Range(0, 32_767),
    }

    /// Chassis one of which hosts what belongs to the group.
    table HaChassisGroup = "HA_Chassis_Group" (unique: &[&["name"]]) {
        /// For whoever writes the row.
        external_ids: Pairs,
        /// Its members.
        ha_chassis: BTreeSet<Uuid> => Rule::Strong(Table::HaChassis),
        /// Its name.
        name: String,
    }

    /// A load balancer.
    table LoadBalancer = "Load_Balancer" () {
        /// For whoever writes the row.
        external_ids: Pairs,
        /// How its backends are looked after.
        health_check: BTreeSet<Uuid> => Rule::Strong(Table::LoadBalancerHealthCheck),
        /// The port and source address of health checks, by backend.
        ip_port_mappings: Pairs,
        /// Its name.
        name: String,
        /// Settings.
        options: Pairs,
        /// The protocol of its ports.
        protocol: Option<String> => Rule::Words(&["sctp", "tcp", "udp"]),
        /// The fields that choose a backend.
        selection_fields: BTreeSet<String> => Rule::Words(&["eth_dst", "eth_src", "ip_dst", "ip_src", "tp_dst", "tp_src"]),
        /// Backends by virtual address.
        vips: Pairs,
    }

    /// Load balancers that switches and routers have in common.
    table LoadBalancerGroup = "Load_Balancer_Group" (unique: &[&["name"]]) {
        /// The load balancers.
        load_balancer: BTreeSet<Uuid> => Rule::Weak(Table::LoadBalancer),
        /// Its name.
        name: String,
    }

    /// How the backends of a load balancer's address are looked after.
    table LoadBalancerHealthCheck = "Load_Balancer_Health_Check" (root: false) {
        /// For whoever writes the row.
        external_ids: Pairs,
        /// Settings.
        options: Pairs,
        /// The virtual address.
        vip: String,
    }

    /// A logical router.
    table LogicalRouter = "Logical_Router" () {
        /// Meters of what it sends to the control plane.
        copp: Option<Uuid> => Rule::Weak(Table::Copp),
        /// Whether it works; no value means that it does.
        enabled: Option<bool>,
        /// For whoever writes the row.
        external_ids: Pairs,
        /// Its load balancers.
        load_balancer: BTreeSet<Uuid> => Rule::Weak(Table::LoadBalancer),
        /// Its groups of load balancers.
        load_balancer_group: BTreeSet<Uuid> => Rule::Strong(Table::LoadBalancerGroup),
        /// Its name.
        name: String,
        /// Its translations of addresses.
        nat: BTreeSet<Uuid> => Rule::Strong(Table::Nat),
        /// Settings.
        options: Pairs,
        /// Its policies.
        policies: BTreeSet<Uuid> => Rule::Strong(Table::LogicalRouterPolicy),
        /// Its ports.
        ports: BTreeSet<Uuid> => Rule::Strong(Table::LogicalRouterPort),
        /// Its routes.
        static_routes: BTreeSet<Uuid> => Rule::Strong(Table::LogicalRouterStaticRoute),
    }

    /// A rule of a router that goes before its routes.
    table LogicalRouterPolicy = "Logical_Router_Policy" (root: false) {
        /// What becomes of a packet.
        action: String => Rule::Words(&["allow", "drop", "reroute"]),
        /// For whoever writes the row.
        external_ids: Pairs,
        /// The packets that it is for.
        matches as "match": String,
        /// Where packets are sent (older form).
        nexthop: Option<String>,
        /// Where packets are sent.
        nexthops: BTreeSet<String>,
        /// Settings.
        options: Pairs,
        /// The greatest wins.
        priority: u16 => Rule::Range(0, 32_767),
    }

    /// A port of a logical router.
    table LogicalRouterPort = "Logical_Router_Port" (unique: &[&["name"]], root: false) {
        /// Whether it works; no value means that it does.
        enabled: Option<bool>,
        /// For whoever writes the row.
        external_ids: Pairs,
        /// Chassis that may host it (older form).
        gateway_chassis: BTreeSet<Uuid> => Rule::Strong(Table::GatewayChassis),
        /// Chassis that may host it.
        ha_chassis_group: Option<Uuid> => Rule::Strong(Table::HaChassisGroup),
        /// Prefixes that were delegated to it.
        ipv6_prefix: BTreeSet<String>,
        /// What it advertises to IPv6 hosts.
        ipv6_ra_configs: Pairs,
        /// Its Ethernet address.
        mac: String,
        /// Its name.
        name: String,
        /// Its addresses with their networks.
        networks: BTreeSet<String> => Rule::Some,
        /// Settings.
        options: Pairs,
        /// The port of another router that it is joined with.
        peer: Option<String>,
    }

    /// A route of a logical router.
    table LogicalRouterStaticRoute = "Logical_Router_Static_Route" (root: false) {
        /// The session that says whether the next hop is alive.
        bfd: Option<Uuid> => Rule::Weak(Table::Bfd),
        /// For whoever writes the row.
        external_ids: Pairs,
        /// The addresses that it is for.
        ip_prefix: String,
        /// Where packets are sent, or `discard`.
        nexthop: String,
        /// Settings.
        options: Pairs,
        /// The port through which they are.
        output_port: Option<String>,
        /// Which of the addresses of a packet counts; none means the destination.
        policy: Option<String> => Rule::Words(&["dst-ip", "src-ip"]),
        /// The routing table that it is in; the empty name is the main one.
        route_table: String,
    }

    /// A logical switch.
    table LogicalSwitch = "Logical_Switch" () {
        /// Its access rules.
        acls: BTreeSet<Uuid> => Rule::Strong(Table::Acl),
        /// Meters of what it sends to the control plane.
        copp: Option<Uuid> => Rule::Weak(Table::Copp),
        /// Names that are answered for in it.
        dns_records: BTreeSet<Uuid> => Rule::Weak(Table::Dns),
        /// For whoever writes the row.
        external_ids: Pairs,
        /// Its forwarding groups.
        forwarding_groups: BTreeSet<Uuid> => Rule::Strong(Table::ForwardingGroup),
        /// Its load balancers.
        load_balancer: BTreeSet<Uuid> => Rule::Weak(Table::LoadBalancer),
        /// Its groups of load balancers.
        load_balancer_group: BTreeSet<Uuid> => Rule::Strong(Table::LoadBalancerGroup),
        /// Its name.
        name: String,
        /// Settings.
        other_config: Pairs,
        /// Its ports.
        ports: BTreeSet<Uuid> => Rule::Strong(Table::LogicalSwitchPort),
        /// Its rules of quality of service.
        qos_rules: BTreeSet<Uuid> => Rule::Strong(Table::Qos),
    }

    /// A port of a logical switch.
    table LogicalSwitchPort = "Logical_Switch_Port" (unique: &[&["name"]], root: false) {
        /// Ethernet addresses with IP addresses, or words such as `unknown`, `dynamic` and `router`.
        addresses: BTreeSet<String>,
        /// What DHCP answers it.
        dhcpv4_options: Option<Uuid> => Rule::Weak(Table::DhcpOptions),
        /// What DHCPv6 answers it.
        dhcpv6_options: Option<Uuid> => Rule::Weak(Table::DhcpOptions),
        /// The addresses that were given to it.
        dynamic_addresses: Option<String>,
        /// Whether it works; no value means that it does.
        enabled: Option<bool>,
        /// For whoever writes the row.
        external_ids: Pairs,
        /// Chassis that may host it, if it is external.
        ha_chassis_group: Option<Uuid> => Rule::Strong(Table::HaChassisGroup),
        /// Mirrors of its packets.
        mirror_rules: BTreeSet<Uuid> => Rule::Weak(Table::Mirror),
        /// Its name.
        name: String,
        /// Settings.
        options: Pairs,
        /// The port that carries it in a VLAN.
        parent_name: Option<String>,
        /// Addresses that it may use.
        port_security: BTreeSet<String>,
        /// Its VLAN.
        tag: Option<u16> => Rule::Range(1, 4095),
        /// The VLAN that was asked for; 0 for any that is free.
        tag_request: Option<u16> => Rule::Range(0, 4095),
        /// What it is: "" for a VIF, or router, localnet, virtual, ….
        kind as "type": String,
        /// Whether it is on a chassis and works.
        up: Option<bool>,
    }

    /// A limit of rate.
    table Meter = "Meter" (unique: &[&["name"]]) {
        /// Its bands.
        bands: BTreeSet<Uuid> => Rule::StrongSome(Table::MeterBand),
        /// For whoever writes the row.
        external_ids: Pairs,
        /// Whether each user of it has the rate for itself.
        fair: Option<bool>,
        /// Its name.
        name: String,
        /// What the rates count.
        unit: String => Rule::Words(&["kbps", "pktps"]),
    }

    /// What a meter does above a rate.
    table MeterBand = "Meter_Band" (root: false) {
        /// What is done.
        action: String => Rule::Words(&["drop"]),
        /// Most that may come at once.
        burst_size: u32 => Rule::Range(0, 4_294_967_295),
        /// For whoever writes the row.
        external_ids: Pairs,
        /// The rate.
        rate: u32 => Rule::Range(1, 4_294_967_295),
    }

    /// A copy of a port's packets.
    table Mirror = "Mirror" (unique: &[&["name"]]) {
        /// For whoever writes the row.
        external_ids: Pairs,
        /// Which direction.
        filter: String => Rule::Words(&["from-lport", "to-lport"]),
        /// Key of the tunnel.
        index: i64,
        /// Its name.
        name: String,
        /// Where to.
        sink: String,
        /// The protocol.
        kind as "type": String => Rule::Words(&["erspan", "gre"]),
    }

    /// A translation of addresses in a router.
    table Nat = "NAT" (root: false) {
        /// Remote addresses that it is for.
        allowed_ext_ips: Option<Uuid> => Rule::Strong(Table::AddressSet),
        /// Remote addresses that it is not for.
        exempted_ext_ips: Option<Uuid> => Rule::Strong(Table::AddressSet),
        /// For whoever writes the row.
        external_ids: Pairs,
        /// The address outside.
        external_ip: String,
        /// The Ethernet address outside, if every chassis translates for itself.
        external_mac: Option<String>,
        /// L4 ports outside.
        external_port_range: String,
        /// The port that it works at, if there are several gateways.
        gateway_port: Option<Uuid> => Rule::Weak(Table::LogicalRouterPort),
        /// The address or network inside.
        logical_ip: String,
        /// The port inside, if every chassis translates for itself.
        logical_port: Option<String>,
        /// Settings.
        options: Pairs,
        /// Which address is translated.
        kind as "type": String => Rule::Words(&["dnat", "dnat_and_snat", "snat"]),
    }

    /// What concerns the whole database.
    table NbGlobal = "NB_Global" (max_rows: 1) {
        /// How clients reach the server.
        connections: BTreeSet<Uuid> => Rule::Strong(Table::Connection),
        /// For whoever writes the row.
        external_ids: Pairs,
        /// The configuration that all chassis have caught up with.
        hv_cfg: i64,
        /// When they had, in milliseconds since 1970.
        hv_cfg_timestamp: i64,
        /// Whether tunnels are encrypted.
        ipsec: bool,
        /// Its name.
        name: String,
        /// The number of the configuration.
        nb_cfg: i64,
        /// When that was taken up, in milliseconds since 1970.
        nb_cfg_timestamp: i64,
        /// Settings.
        options: Pairs,
        /// The configuration that the Southbound rows come from.
        sb_cfg: i64,
        /// When they came, in milliseconds since 1970.
        sb_cfg_timestamp: i64,
        /// Certificates.
        ssl: Option<Uuid> => Rule::Strong(Table::Ssl),
    }

    /// Ports that match expressions name as `@name`.
    table PortGroup = "Port_Group" (unique: &[&["name"]]) {
        /// Access rules of its ports.
        acls: BTreeSet<Uuid> => Rule::Strong(Table::Acl),
        /// For whoever writes the row.
        external_ids: Pairs,
        /// Its name.
        name: String,
        /// The ports.
        ports: BTreeSet<Uuid> => Rule::Weak(Table::LogicalSwitchPort),
    }

    /// A rule that marks or limits packets of a switch.
    table Qos = "QoS" (root: false) {
        /// The mark that packets get.
        action: BTreeMap<String, u8> => Rule::Amounts(&["dscp"], 0, 63),
        /// The limit of their rate.
        bandwidth: BTreeMap<String, u32> => Rule::Amounts(&["burst", "rate"], 1, 4_294_967_295),
        /// Whether it is for packets from ports or to ports.
        direction: String => Rule::Words(&["from-lport", "to-lport"]),
        /// For whoever writes the row.
        external_ids: Pairs,
        /// The packets that it is for.
        matches as "match": String,
        /// The greatest wins.
        priority: u16 => Rule::Range(0, 32_767),
    }

    /// Certificates of the server.
    table Ssl = "SSL" (root: false, max_rows: 1) {
        /// Whether the authority's certificate is taken from the first peer.
        bootstrap_ca_cert: bool,
        /// File of the authority's certificate.
        ca_cert: String,
        /// File of the certificate.
        certificate: String,
        /// For whoever writes the row.
        external_ids: Pairs,
        /// File of the private key.
        private_key: String,
        /// Ciphers.
        ssl_ciphers: String,
        /// Protocols.
        ssl_protocols: String,
    }

    /// A neighbour that is configured.
    table StaticMacBinding = "Static_MAC_Binding" (unique: &[&["logical_port", "ip"]]) {
        /// Its IP address.
        ip: String,
        /// The router port behind which it is.
        logical_port: String,
        /// Its Ethernet address.
        mac: String,
        /// Whether it counts more than what is learned.
        override_dynamic_mac: bool,
    }
}
