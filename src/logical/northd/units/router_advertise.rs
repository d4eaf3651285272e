//! Router advertisements: the answers to IPv6 hosts that look for a router, and what is said to them unasked.

use crate::logical::nb::Uuid;
use crate::logical::nb::tables::LogicalRouterPort;
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::addresses::ipv6_text;
use crate::logical::northd::facts::options::{flag, number};
use crate::logical::northd::facts::router::{Peer, Port, meter, peer, port};
use crate::logical::northd::memory::View;
use crate::logical::northd::output::{Output, flow};
use crate::logical::northd::stage::Stage;
use crate::logical::rows::tables::Pairs;

/// Ways in which hosts may get their addresses.
const MODES: &[&str] = &["slaac", "dhcpv6_stateful", "dhcpv6_stateless"];

/// The way in which hosts get their addresses, if the port advertises any.
fn mode<'a>(view: &View<'_>, row: Uuid, settings: &'a LogicalRouterPort) -> Option<&'a str> {
    if settings.peer.is_some() || peer(view, row) == Peer::Nothing {
        return None;
    }
    settings.ipv6_ra_configs.get("address_mode").map(|mode| &**mode)
}

/// The networks that are not of the link alone.
fn prefixes(port: &Port) -> impl Iterator<Item = String> {
    let own = port.addresses.ipv6.iter().filter(|own| !own.is_link_local());
    own.map(|own| format!("{}/{}", ipv6_text(own.network()), own.length))
}

/// The least that IPv6 asks of a network.
fn mtu(configs: &Pairs) -> Option<i32> {
    number(configs, "mtu").filter(|mtu| *mtu >= 1280)
}

/// The flows that answer.
pub struct Answer;

impl Unit for Answer {
    fn compile(view: &View<'_>, row: Uuid, output: &mut Output) {
        let Some(port) = port(view, row) else { return };
        let Some(settings) = view.row::<LogicalRouterPort>(row) else { return };
        let Some(mode) = mode(view, row, settings) else { return };
        if !MODES.contains(&mode) {
            return output.trouble(format!("ipv6_ra_configs:address_mode is none of {}", MODES.join(", ")));
        }
        let prefixes: String = prefixes(&port).map(|prefix| format!(", prefix = {prefix}")).collect();
        if prefixes.is_empty() {
            return;
        }
        let (key, mac, configs) = (&port.key, port.addresses.mac, &settings.ipv6_ra_configs);
        let mut options = format!("addr_mode = \"{mode}\", slla = {mac}");
        let mut say = |name: &str, value: Option<String>| {
            options.extend(value.map(|value| format!(", {name} = {value}")));
        };
        let text = |name: &str| configs.get(name).map(|value| format!("\"{value}\""));
        say("mtu", mtu(configs).map(|mtu| mtu.to_string()));
        say("router_preference", text("router_preference").filter(|text| text != "\"MEDIUM\""));
        say("rdnss", configs.get("rdnss").cloned());
        say("dnssl", text("dnssl"));
        say("route_info", text("route_info"));
        let matches = format!("inport == {key} && ip6.dst == ff02::2 && nd_rs");
        let actions = format!("reg0[5] = put_nd_ra_opts({options}{prefixes}); next;");
        let meter = meter(view, port.router, "nd-ra-opts");
        let answer = flow(port.router, Stage::RouterInNdRaOptions, 50, matches, actions);
        output.add(answer.hint(row).meter(meter.as_deref()));
        let own = port.addresses.ipv6.last().map(ToString::to_string).unwrap_or_default();
        let matches = format!("inport == {key} && ip6.dst == ff02::2 && nd_ra && reg0[5]");
        let actions = format!(
            "eth.dst = eth.src; eth.src = {mac}; ip6.dst = ip6.src; ip6.src = {own}; outport = inport; \
             flags.loopback = 1; output;"
        );
        output.add(flow(port.router, Stage::RouterInNdRaResponse, 50, matches, actions).hint(row));
    }
}

/// The options of the port's row by which chassis advertise it unasked.
pub(super) fn options(view: &View<'_>, row: Uuid, port: &Port, settings: &LogicalRouterPort) -> Pairs {
    let mut options = Pairs::new();
    let mut say = |name: &str, value: String| options.insert(name.to_owned(), value);
    if settings.peer.is_none() && peer(view, row) != Peer::Nothing && port.is_enabled {
        for (option, name) in [("prefix_delegation", "ipv6_prefix_delegation"), ("prefix", "ipv6_prefix")] {
            if flag(&settings.options, option, false) {
                say(name, "true".to_owned());
            }
        }
    }
    let configs = &settings.ipv6_ra_configs;
    let Some(mode) = mode(view, row, settings).filter(|mode| MODES.contains(mode)) else { return options };
    if !flag(configs, "send_periodic", false) {
        return options;
    }
    say("ipv6_ra_send_periodic", "true".to_owned());
    say("ipv6_ra_address_mode", mode.to_owned());
    let longest = number(configs, "max_interval").unwrap_or(600).clamp(4, 1800);
    let unsaid = if longest >= 9 { longest / 3 } else { longest * 3 / 4 };
    let shortest = number(configs, "min_interval").unwrap_or(unsaid).min(longest * 3 / 4).max(3);
    say("ipv6_ra_max_interval", longest.to_string());
    say("ipv6_ra_min_interval", shortest.to_string());
    if let Some(mtu) = mtu(configs) {
        say("ipv6_ra_mtu", mtu.to_string());
    }
    for own in port.addresses.ipv6.iter().filter(|own| own.is_link_local()) {
        // The last one counts.
        say("ipv6_ra_src_addr", own.to_string());
    }
    say("ipv6_ra_prefixes", prefixes(port).collect::<Vec<_>>().join(" "));
    for name in ["rdnss", "dnssl", "route_info"] {
        if let Some(value) = configs.get(name) {
            say(&format!("ipv6_ra_{name}"), value.clone());
        }
    }
    say("ipv6_ra_src_eth", port.addresses.mac.to_string());
    let preference = configs.get("router_preference").map(|word| &**word);
    let preference = preference.filter(|word| matches!(*word, "HIGH" | "LOW")).unwrap_or("MEDIUM");
    say("ipv6_ra_prf", preference.to_owned());
    options
}
