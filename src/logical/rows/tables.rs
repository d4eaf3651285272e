//! The tables of the Southbound database of OVN 23.03: the one place where their columns are written down.
//!
//! Tables and columns stand in the order of their names, which is the order in which they are printed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::cell::{BadValue, Cell, Pipeline};
use super::datum::Datum;
pub use super::schema::Row;
use super::schema::{
    Column, Columns, Rule, TableDef, Tables, Untyped, column_name, column_rule, declare_tables,
};
use super::uuid::Uuid;

/// Pairs of texts, such as `external_ids`.
pub type Pairs = BTreeMap<String, String>;

declare_tables! {
    /// Addresses that match expressions name as `$name`.
    table AddressSet = "Address_Set" (unique: &[&["name"]]) {
        /// Addresses, networks or Ethernet addresses, all of one kind.
        addresses: BTreeSet<String>,
        /// Its name.
        name: String,
    }

    /// A session of bidirectional forwarding detection.
    table Bfd = "BFD" (unique: &[&["logical_port", "dst_ip", "src_port", "disc"]]) {
        /// Missed packets that count as a failure.
        detect_mult: i64,
        /// Own discriminator.
        disc: i64,
        /// The other end.
        dst_ip: String,
        /// For whoever writes the row.
        external_ids: Pairs,
        /// The port that it runs through.
        logical_port: String,
        /// Shortest interval of reception, in milliseconds.
        min_rx: i64,
        /// Shortest interval of transmission, in milliseconds.
        min_tx: i64,
        /// Settings.
        options: Pairs,
        /// UDP source port.
        src_port: i64 => Rule::Range(49_152, 65_535),
        /// Its state.
        status: String => Rule::Words(&["admin_down", "down", "init", "up"]),
    }

    /// A hypervisor or gateway.
    table Chassis = "Chassis" (unique: &[&["name"]]) {
        /// How it is reached.
        encaps: BTreeSet<Uuid> => Rule::StrongSome(Table::Encap),
        /// For whoever writes the row.
        external_ids: Pairs,
        /// Its host name.
        hostname: String,
        /// Its name, which port bindings and options name it by.
        name: String,
        /// The configuration that it had caught up with (older releases).
        nb_cfg: i64,
        /// What it is set to do, such as bridge mappings.
        other_config: Pairs,
        /// Zones within which tunnels are built; none means everywhere.
        transport_zones: BTreeSet<String>,
        /// Switches of a VTEP gateway.
        vtep_logical_switches: BTreeSet<String>,
    }

    /// What a chassis alone writes of itself.
    table ChassisPrivate = "Chassis_Private" (unique: &[&["name"]]) {
        /// The chassis.
        chassis: Option<Uuid> => Rule::Weak(Table::Chassis),
        /// For whoever writes the row.
        external_ids: Pairs,
        /// The name of the chassis.
        name: String,
        /// The configuration that it has caught up with.
        nb_cfg: i64,
        /// When it had, in milliseconds since 1970.
        nb_cfg_timestamp: i64,
    }

    /// Template variables with their values on one chassis.
    table ChassisTemplateVar = "Chassis_Template_Var" (unique: &[&["chassis"]]) {
        /// The name of the chassis.
        chassis: String,
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
        /// Whether it may only read.
        read_only: bool,
        /// Role of access control.
        role: String,
        /// Its state.
        status: Pairs,
        /// Where to.
        target: String,
    }

    /// Something that a chassis reports to the controller.
    table ControllerEvent = "Controller_Event" () {
        /// Who reports it.
        chassis: Option<Uuid> => Rule::Weak(Table::Chassis),
        /// What is known of it.
        event_info: Pairs,
        /// What happened.
        event_type: String => Rule::Words(&["empty_lb_backends"]),
        /// Number of the event.
        seq_num: i64,
    }

    /// An option of DHCPv4 that actions may name.
    table DhcpOptions = "DHCP_Options" () {
        /// Its code on the wire.
        code: u8 => Rule::Range(0, 254),
        /// The name that actions use.
        name: String,
        /// The type of its value.
        kind as "type": String => Rule::Words(&[
            "bool", "domains", "host_id", "ipv4", "static_routes", "str", "uint16", "uint32", "uint8",
        ]),
    }

    /// An option of DHCPv6 that actions may name.
    table Dhcpv6Options = "DHCPv6_Options" () {
        /// Its code on the wire.
        code: u8 => Rule::Range(0, 254),
        /// The name that actions use.
        name: String,
        /// The type of its value.
        kind as "type": String => Rule::Words(&["ipv6", "mac", "str"]),
    }

    /// Names that the switch itself answers for.
    table Dns = "DNS" () {
        /// The datapaths in which it does.
        datapaths: BTreeSet<Uuid> => Rule::StrongSome(Table::DatapathBinding),
        /// For whoever writes the row.
        external_ids: Pairs,
        /// Addresses by name.
        records: Pairs,
    }

    /// A logical datapath: a logical switch or router.
    table DatapathBinding = "Datapath_Binding" (unique: &[&["tunnel_key"]]) {
        /// Among them its names and what it is in the Northbound database.
        external_ids: Pairs,
        /// Its load balancers (older releases).
        load_balancers: BTreeSet<Uuid>,
        /// Its key, the VNI of a tunnel.
        tunnel_key: u32 => Rule::Range(1, 16_777_215),
    }

    /// An end of a tunnel.
    table Encap = "Encap" (unique: &[&["type", "ip"]], root: false) {
        /// The chassis that has it.
        chassis_name: String,
        /// Its address.
        ip: String,
        /// Settings.
        options: Pairs,
        /// The protocol.
        kind as "type": String => Rule::Words(&["geneve", "stt", "vxlan"]),
    }

    /// An Ethernet address that was learned at a port.
    table Fdb = "FDB" (unique: &[&["mac", "dp_key"]]) {
        /// Key of the datapath.
        dp_key: u32 => Rule::Range(1, 16_777_215),
        /// The address.
        mac: String,
        /// Key of the port.
        port_key: u32 => Rule::Range(1, 16_777_215),
    }

    /// A chassis that may host a gateway port (older form).
    table GatewayChassis = "Gateway_Chassis" (unique: &[&["name"]], root: false) {
        /// The chassis.
        chassis: Option<Uuid> => Rule::Weak(Table::Chassis),
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
        /// The chassis.
        chassis: Option<Uuid> => Rule::Weak(Table::Chassis),
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
        /// Chassis that look after its health.
        ref_chassis: BTreeSet<Uuid> => Rule::Weak(Table::Chassis),
    }

    /// Who has joined a multicast group.
    table IgmpGroup = "IGMP_Group" (unique: &[&["address", "datapath", "chassis"]]) {
        /// The group.
        address: String,
        /// The chassis that learned it.
        chassis: Option<Uuid> => Rule::Weak(Table::Chassis),
        /// The datapath.
        datapath: Option<Uuid> => Rule::Weak(Table::DatapathBinding),
        /// The ports.
        ports: BTreeSet<Uuid> => Rule::Weak(Table::PortBinding),
    }

    /// How a datapath treats IP multicast.
    table IpMulticast = "IP_Multicast" (unique: &[&["datapath"]]) {
        /// The datapath.
        datapath: Uuid => Rule::Weak(Table::DatapathBinding),
        /// Whether it snoops.
        enabled: Option<bool>,
        /// Source address of queries.
        eth_src: String,
        /// Seconds after which a group is forgotten.
        idle_timeout: Option<i64>,
        /// IPv4 source of queries.
        ip4_src: String,
        /// IPv6 source of queries.
        ip6_src: String,
        /// Whether it queries.
        querier: Option<bool>,
        /// Seconds between queries.
        query_interval: Option<i64>,
        /// Longest response time of a query, in seconds.
        query_max_resp: Option<i64>,
        /// A change of it flushes what was learned.
        seq_no: i64,
        /// Most groups.
        table_size: Option<i64>,
    }

    /// A load balancer.
    table LoadBalancer = "Load_Balancer" () {
        /// The datapaths that it is for, as a group.
        datapath_group: Option<Uuid> => Rule::Strong(Table::LogicalDpGroup),
        /// The datapaths that it is for.
        datapaths: BTreeSet<Uuid> => Rule::Strong(Table::DatapathBinding),
        /// For whoever writes the row.
        external_ids: Pairs,
        /// Its name.
        name: String,
        /// Settings.
        options: Pairs,
        /// The protocol of its ports.
        protocol: Option<String> => Rule::Words(&["sctp", "tcp", "udp"]),
        /// Backends by virtual address.
        vips: Pairs,
    }

    /// Datapaths that share logical flows.
    table LogicalDpGroup = "Logical_DP_Group" (root: false) {
        /// The datapaths.
        datapaths: BTreeSet<Uuid> => Rule::Weak(Table::DatapathBinding),
    }

    /// A logical flow.
    table LogicalFlow = "Logical_Flow" () {
        /// What is done.
        actions: String,
        /// The meter of what goes to the controller.
        controller_meter: Option<String>,
        /// Among them the name of the stage and where the flow comes from.
        external_ids: Pairs,
        /// The datapath that it is for …
        logical_datapath: Option<Uuid> => Rule::Strong(Table::DatapathBinding),
        /// … or the datapaths, as a group.
        logical_dp_group: Option<Uuid> => Rule::Strong(Table::LogicalDpGroup),
        /// What it is done to.
        matches as "match": String,
        /// The half of the datapath.
        pipeline: Pipeline => Rule::Words(&["egress", "ingress"]),
        /// The greatest wins.
        priority: u16 => Rule::Range(0, 65_535),
        /// The stage.
        table_id: u8 => Rule::Range(0, 32),
        /// Hints, such as the port that decides whether a chassis needs the flow.
        tags: Pairs,
    }

    /// A neighbour that was learned.
    table MacBinding = "MAC_Binding" (unique: &[&["logical_port", "ip"]]) {
        /// The datapath.
        datapath: Uuid => Rule::Strong(Table::DatapathBinding),
        /// Its IP address.
        ip: String,
        /// The port behind which it is.
        logical_port: String,
        /// Its Ethernet address.
        mac: String,
        /// When it was learned, in milliseconds since 1970.
        timestamp: i64,
    }

    /// A limit of rate.
    table Meter = "Meter" (unique: &[&["name"]]) {
        /// Its bands.
        bands: BTreeSet<Uuid> => Rule::StrongSome(Table::MeterBand),
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

    /// Ports of a datapath that get copies.
    table MulticastGroup = "Multicast_Group" (unique: &[&["datapath", "tunnel_key"], &["datapath", "name"]]) {
        /// The datapath.
        datapath: Uuid => Rule::Strong(Table::DatapathBinding),
        /// Its name, which stands for it as an output port.
        name: String,
        /// Its members.
        ports: BTreeSet<Uuid> => Rule::Weak(Table::PortBinding),
        /// Its key.
        tunnel_key: u16 => Rule::Range(32_768, 65_535),
    }

    /// A logical port and where it is.
    table PortBinding = "Port_Binding" (unique: &[&["datapath", "tunnel_key"], &["logical_port"]]) {
        /// Further chassis, while it moves.
        additional_chassis: BTreeSet<Uuid> => Rule::Weak(Table::Chassis),
        /// How they are reached.
        additional_encap: BTreeSet<Uuid> => Rule::Weak(Table::Encap),
        /// The chassis that it is on.
        chassis: Option<Uuid> => Rule::Weak(Table::Chassis),
        /// Its datapath.
        datapath: Uuid => Rule::Strong(Table::DatapathBinding),
        /// How the chassis is reached.
        encap: Option<Uuid> => Rule::Weak(Table::Encap),
        /// For whoever writes the row.
        external_ids: Pairs,
        /// Chassis that may host it (older form).
        gateway_chassis: BTreeSet<Uuid> => Rule::Strong(Table::GatewayChassis),
        /// Chassis that may host it.
        ha_chassis_group: Option<Uuid> => Rule::Strong(Table::HaChassisGroup),
        /// Its name.
        logical_port: String,
        /// Its addresses.
        mac: BTreeSet<String>,
        /// Mirrors of its packets.
        mirror_rules: BTreeSet<Uuid> => Rule::Weak(Table::Mirror),
        /// Addresses of NAT to be announced.
        nat_addresses: BTreeSet<String>,
        /// Settings, by its type.
        options: Pairs,
        /// The port that carries it in a VLAN.
        parent_port: Option<String>,
        /// Addresses that it may use.
        port_security: BTreeSet<String>,
        /// Further chassis that were asked for.
        requested_additional_chassis: BTreeSet<Uuid> => Rule::Weak(Table::Chassis),
        /// The chassis that was asked for.
        requested_chassis: Option<Uuid> => Rule::Weak(Table::Chassis),
        /// Its VLAN.
        tag: Option<u16> => Rule::Range(1, 4095),
        /// Its key within the datapath.
        tunnel_key: u16 => Rule::Range(1, 32_767),
        /// What it is: "" for a VIF, or patch, localnet, chassisredirect, ….
        kind as "type": String,
        /// Whether all its flows are in place.
        up: Option<bool>,
        /// The port that has claimed a virtual one.
        virtual_parent: Option<String>,
    }

    /// Ports that match expressions name as `@name`.
    table PortGroup = "Port_Group" (unique: &[&["name"]]) {
        /// Its name.
        name: String,
        /// Names of logical ports.
        ports: BTreeSet<String>,
    }

    /// What a role may do.
    table RbacPermission = "RBAC_Permission" () {
        /// How a client shows that a row is its own.
        authorization: BTreeSet<String>,
        /// Whether it may insert and delete.
        insert_delete: bool,
        /// The table.
        table: String,
        /// Columns that it may change.
        update: BTreeSet<String>,
    }

    /// A role of access control.
    table RbacRole = "RBAC_Role" () {
        /// Its name.
        name: String,
        /// Permissions by table.
        permissions: BTreeMap<String, Uuid> => Rule::Weak(Table::RbacPermission),
    }

    /// What concerns the whole database.
    table SbGlobal = "SB_Global" (max_rows: 1) {
        /// How clients reach the server.
        connections: BTreeSet<Uuid> => Rule::Strong(Table::Connection),
        /// For whoever writes the row.
        external_ids: Pairs,
        /// Whether tunnels are encrypted.
        ipsec: bool,
        /// The configuration that the rows come from.
        nb_cfg: i64,
        /// Settings.
        options: Pairs,
        /// Certificates.
        ssl: Option<Uuid> => Rule::Strong(Table::Ssl),
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

    /// A backend whose health is looked after.
    table ServiceMonitor = "Service_Monitor" (unique: &[&["logical_port", "ip", "port", "protocol"]]) {
        /// For whoever writes the row.
        external_ids: Pairs,
        /// Its address.
        ip: String,
        /// Its port.
        logical_port: String,
        /// Settings.
        options: Pairs,
        /// Its L4 port.
        port: u16 => Rule::Range(0, 65_535),
        /// Its L4 protocol.
        protocol: Option<String> => Rule::Words(&["tcp", "udp"]),
        /// Source address of probes.
        src_ip: String,
        /// Ethernet source of probes.
        src_mac: String,
        /// Its state.
        status: Option<String> => Rule::Words(&["error", "offline", "online"]),
    }

    /// A neighbour that is configured.
    table StaticMacBinding = "Static_MAC_Binding" (unique: &[&["logical_port", "ip"]]) {
        /// The datapath.
        datapath: Uuid => Rule::Strong(Table::DatapathBinding),
        /// Its IP address.
        ip: String,
        /// The port behind which it is.
        logical_port: String,
        /// Its Ethernet address.
        mac: String,
        /// Whether it counts more than what is learned.
        override_dynamic_mac: bool,
    }
}
