//! `lb-*`, `ls-lb-*`, `lr-lb-*`: load balancers, and the switches and routers that have them.

use std::collections::BTreeSet;

use super::address::{Endpoint, Network};
use super::context::{Call, Context, Syntax, reads, writes};
use super::error::NbctlError;
use super::set;
use crate::logical::error::shortened;
use crate::logical::nb::Uuid;
use crate::logical::nb::tables::{LoadBalancer, LoadBalancerGroup, LogicalRouter, LogicalSwitch, Table};
use crate::logical::rows::tables::Pairs;

pub const COMMANDS: &[Syntax] = &[
    writes(
        "lb-add",
        "LB VIP[:PORT] IP[:PORT][,IP[:PORT]]... [PROTOCOL] [ADDRESS_FAMILY]",
        (3, 5),
        &["--may-exist", "--add-duplicate", "--reject", "--event", "--add-route", "--template"],
        add,
    ),
    writes("lb-del", "LB [VIP]", (1, 2), &["--if-exists"], delete),
    reads("lb-list", "[LB]", (0, 1), &[], list),
    writes("lr-lb-add", "ROUTER LB", (2, 2), &["--may-exist"], |context, call| {
        Owner::Router.add(context, call)
    }),
    writes("lr-lb-del", "ROUTER [LB]", (1, 2), &["--if-exists"], |context, call| {
        Owner::Router.delete(context, call)
    }),
    reads("lr-lb-list", "ROUTER", (1, 1), &[], |context, call| Owner::Router.list(context, call)),
    writes("ls-lb-add", "SWITCH LB", (2, 2), &["--may-exist"], |context, call| {
        Owner::Switch.add(context, call)
    }),
    writes("ls-lb-del", "SWITCH [LB]", (1, 2), &["--if-exists"], |context, call| {
        Owner::Switch.delete(context, call)
    }),
    reads("ls-lb-list", "SWITCH", (1, 1), &[], |context, call| Owner::Switch.list(context, call)),
];

/// A virtual address and its backends as OVN writes them.
struct Service {
    vip: String,
    backends: String,
    has_port: bool,
}

/// The parts of a text that separators divide, empty ones left out.
fn parts(text: &str, separator: char) -> impl Iterator<Item = &str> {
    text.split(separator).filter(|part| !part.is_empty())
}

/// Addresses, and ports if the virtual one has a port.
fn backends(written: &str, is_v6: bool, has_port: bool) -> Result<String, NbctlError> {
    let mut backends = Vec::new();
    for word in parts(written, ',') {
        let what = if has_port { "an IP address with a port, such as 10.0.0.1:80" } else { "an IP address" };
        let bad = || NbctlError::value(word, &format!("is no backend; write {what}"));
        let backend = Endpoint::read(word).ok_or_else(bad)?;
        if matches!(backend.address, Network::V6(..)) != is_v6 {
            let mend = "is of another kind of IP than the virtual address; write both of one kind";
            return Err(NbctlError::value(word, mend));
        }
        if has_port != (backend.port > 0) {
            return Err(bad());
        }
        backends.push(backend.normal());
    }
    Ok(backends.join(","))
}

/// Variables, and ports or more variables.
fn template(written: &str) -> Option<(&str, Option<&str>)> {
    let mut words = parts(written, ':');
    match (words.next(), words.next(), words.next()) {
        (Some(first), second, None) => Some((first, second)),
        _ => None,
    }
}

impl Service {
    fn read(vip: &str, written: &str) -> Result<Self, NbctlError> {
        let bad = || NbctlError::value(vip, "is no virtual address; write such as 10.0.0.10 or 10.0.0.10:80");
        let endpoint = Endpoint::read(vip).ok_or_else(bad)?;
        let has_port = endpoint.port > 0;
        let backends = backends(written, !endpoint.address.is_v4(), has_port)?;
        Ok(Self { vip: endpoint.normal(), backends, has_port })
    }

    /// The same with variables in it.
    fn read_template(vip: &str, written: &str, is_v6: bool) -> Result<Self, NbctlError> {
        let form = |(first, second): (&str, Option<&str>)| match second {
            Some(second) => format!("{first}:{second}"),
            None => first.to_owned(),
        };
        let bad = || NbctlError::value(vip, "is no virtual address; write such as ^vip:^port");
        let parsed = template(vip).ok_or_else(bad)?;
        let has_port = parsed.1.is_some();
        let words: Option<Vec<String>> = parts(written, ',').map(|word| template(word).map(form)).collect();
        let backends = match words {
            Some(words) => words.join(","),
            None => backends(written, is_v6, has_port)?,
        };
        Ok(Self { vip: form(parsed), backends, has_port })
    }
}

fn add(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let name = call.arg(0);
    if call.has("--reject") && call.has("--event") {
        let sentence = "--reject and --event contradict each other; write one of them";
        return Err(NbctlError::Usage(sentence.to_owned()));
    }
    let protocol = call.arg_if(3);
    if let Some(other) = protocol.filter(|protocol| !matches!(*protocol, "tcp" | "udp" | "sctp")) {
        return Err(NbctlError::value(other, "is no protocol with ports; write tcp, udp or sctp"));
    }
    let is_v6 = call.arg_if(4).is_some_and(|family| family != "ipv4");
    let is_template = call.has("--template");
    let service = if is_template {
        Service::read_template(call.arg(1), call.arg(2), is_v6)?
    } else {
        Service::read(call.arg(1), call.arg(2))?
    };
    if protocol.is_some() && !service.has_port {
        let sentence = "a virtual address without a port has no protocol; leave it out, or write a port";
        return Err(NbctlError::Usage(sentence.to_owned()));
    }
    let known = if call.has("--add-duplicate") { None } else { context.balancer_if(name)? };
    if let Some((uuid, row)) = known {
        if row.vips.contains_key(&service.vip) && !call.has("--may-exist") {
            let mend = "write --may-exist before the command to change its backends";
            return Err(NbctlError::exists("virtual address", &service.vip, mend));
        }
        context.edit.update(uuid, |row: &mut LoadBalancer| {
            row.vips.insert(service.vip, service.backends);
            row.protocol = protocol.map(str::to_owned).or(row.protocol.take());
        });
        return Ok(());
    }
    let flags = [("--reject", "reject"), ("--event", "event"), ("--add-route", "add_route")];
    let flags = flags.iter().filter(|(flag, _)| call.has(flag)).map(|(_, option)| (*option, "true"));
    let family = if is_v6 { "ipv6" } else { "ipv4" };
    let of_template = [("template", "true"), ("address-family", family)].into_iter().filter(|_| is_template);
    let options = flags.chain(of_template).map(|(option, value)| (option.to_owned(), value.to_owned()));
    let options: Pairs = options.collect();
    context.insert(LoadBalancer {
        name: name.to_owned(),
        options,
        protocol: Some(protocol.unwrap_or("tcp").to_owned()),
        vips: Pairs::from([(service.vip, service.backends)]),
        ..LoadBalancer::default()
    });
    Ok(())
}

fn delete(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let Some((uuid, row)) = context.balancer_if(call.arg(0))? else { return Ok(()) };
    let Some(vip) = call.arg_if(1) else {
        context.edit.delete(Table::LoadBalancer, uuid);
        return Ok(());
    };
    if !row.vips.contains_key(vip) {
        let mend = "lb-list shows those that it has";
        let missing = NbctlError::missing("virtual address of the load balancer", vip, mend);
        return if call.has("--if-exists") { Ok(()) } else { Err(missing) };
    }
    if row.vips.len() == 1 {
        context.edit.delete(Table::LoadBalancer, uuid);
    } else {
        context.edit.update(uuid, |row: &mut LoadBalancer| _ = row.vips.remove(vip));
    }
    Ok(())
}

fn list(context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
    let rows = context.rows().iter::<LoadBalancer>();
    let rows = rows.filter(|(_, row)| call.arg_if(0).is_none_or(|name| row.name == name));
    let rows = rows.map(|(uuid, row)| (uuid, LoadBalancer::clone(row))).collect();
    print_balancers(context, rows);
    Ok(())
}

/// Prints load balancers by name.
fn print_balancers(context: &mut Context, rows: Vec<(Uuid, LoadBalancer)>) {
    let longest = |row: &LoadBalancer| row.vips.keys().map(String::len).max().unwrap_or(0);
    let width = rows.iter().map(|(_, row)| longest(row)).max().unwrap_or(0);
    let column = width + 4;
    let mut entries = Vec::new();
    for (uuid, row) in rows {
        if row.vips.is_empty() {
            continue;
        }
        let mut entry = String::new();
        let is_template = set::is_true(&row.options, "template");
        for (at, (vip, backends)) in row.vips.iter().enumerate() {
            let protocol = match Endpoint::read(vip) {
                _ if is_template && row.protocol.is_none() => continue,
                None if !is_template => continue,
                Some(Endpoint { port: 0, .. }) if !is_template => "",
                // As the C library prints what is not there.
                _ => row.protocol.as_deref().unwrap_or("(null)"),
            };
            let start = match at {
                0 => format!("{uuid}    {:<20.16}", row.name),
                _ => format!("\n{:60}", ""),
            };
            entry += &format!("{start}{protocol:<11.7}{vip:<column$.width$}{backends}");
        }
        entries.push((format!("{:<20.16}", row.name), entry));
    }
    entries.sort();
    if !entries.is_empty() {
        let [uuid, lb, proto, vip] = ["UUID", "LB", "PROTO", "VIP"];
        context.print(format_args!("{uuid:<40.36}{lb:<20.16}{proto:<11.7}{vip:<column$.width$}IPs\n"));
    }
    entries.iter().for_each(|(_, entry)| context.print(format_args!("{entry}\n")));
}

/// What can have load balancers.
#[derive(Clone, Copy)]
enum Owner {
    Switch,
    Router,
}

/// Its load balancers, and its groups of them.
type Sets = (BTreeSet<Uuid>, BTreeSet<Uuid>);

impl Owner {
    /// The one that the first argument names.
    fn find(self, context: &Context, call: &Call<'_>) -> Result<(Uuid, Sets), NbctlError> {
        Ok(match self {
            Owner::Switch => {
                let (uuid, row) = context.switch(call.arg(0))?;
                (uuid, (row.load_balancer.clone(), row.load_balancer_group.clone()))
            }
            Owner::Router => {
                let (uuid, row) = context.router(call.arg(0))?;
                (uuid, (row.load_balancer.clone(), row.load_balancer_group.clone()))
            }
        })
    }

    fn set(self, context: &mut Context, uuid: Uuid, balancers: BTreeSet<Uuid>) {
        match self {
            Owner::Switch => {
                context.edit.update(uuid, |row: &mut LogicalSwitch| row.load_balancer = balancers)
            }
            Owner::Router => {
                context.edit.update(uuid, |row: &mut LogicalRouter| row.load_balancer = balancers)
            }
        };
    }

    fn add(self, context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
        let (uuid, (mut balancers, _)) = self.find(context, call)?;
        let (balancer, _) = context.balancer(call.arg(1))?;
        if !balancers.insert(balancer) {
            let exists = NbctlError::has_already(call.arg(0), "load balancer", call.arg(1));
            return if call.has("--may-exist") { Ok(()) } else { Err(exists) };
        }
        self.set(context, uuid, balancers);
        Ok(())
    }

    fn delete(self, context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
        let (uuid, (mut balancers, _)) = self.find(context, call)?;
        if let Some(name) = call.arg_if(1) {
            let (balancer, _) = context.balancer(name)?;
            if !balancers.remove(&balancer) {
                let what = format!("load balancer at {} of the name", shortened(call.arg(0)));
                let missing = NbctlError::missing(&what, name, "ls-lb-list and lr-lb-list show them");
                return if call.has("--if-exists") { Ok(()) } else { Err(missing) };
            }
        } else {
            balancers.clear();
        }
        self.set(context, uuid, balancers);
        Ok(())
    }

    fn list(self, context: &mut Context, call: &Call<'_>) -> Result<(), NbctlError> {
        let (_, (balancers, groups)) = self.find(context, call)?;
        let mut rows = context.all::<LoadBalancer>(&balancers);
        for (_, group) in context.all::<LoadBalancerGroup>(&groups) {
            rows.extend(context.all::<LoadBalancer>(&group.load_balancer));
        }
        print_balancers(context, rows);
        Ok(())
    }
}
