//! `show`: chassis, how they are reached, and the ports that they have.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::logical::rows::Store;
use crate::logical::rows::cell::Cell;
use crate::logical::rows::tables::{Chassis, Encap, Pairs, PortBinding};
use crate::logical::rows::text;
use crate::logical::rows::uuid::Uuid;

/// The chassis as they are shown.
#[derive(Serialize)]
pub struct Show {
    chassis: Vec<ShownChassis>,
}

#[derive(Serialize)]
struct ShownChassis {
    name: String,
    hostname: String,
    encaps: Vec<ShownEncap>,
    ports: Vec<String>,
}

#[derive(Serialize)]
struct ShownEncap {
    #[serde(rename = "type")]
    kind: String,
    ip: String,
    options: Pairs,
}

/// `show`
pub fn show(store: &Store) -> Show {
    let mut ports: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
    for (_, port) in store.iter::<PortBinding>() {
        if let Some(chassis) = port.chassis {
            ports.entry(chassis).or_default().push(port.logical_port.clone());
        }
    }
    let chassis = store.iter::<Chassis>().map(|(uuid, row)| {
        let encaps = row.encaps.iter().filter_map(|encap| store.get::<Encap>(*encap));
        ShownChassis {
            name: row.name.clone(),
            hostname: row.hostname.clone(),
            encaps: encaps
                .map(|encap| ShownEncap {
                    kind: encap.kind.clone(),
                    ip: encap.ip.clone(),
                    options: encap.options.clone(),
                })
                .collect(),
            ports: ports.remove(&uuid).unwrap_or_default(),
        }
    });
    Show { chassis: chassis.collect() }
}

impl fmt::Display for Show {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chassis in &self.chassis {
            writeln!(f, "Chassis {}", print(&chassis.name))?;
            if !chassis.hostname.is_empty() {
                writeln!(f, "    hostname: {}", print(&chassis.hostname))?;
            }
            for encap in &chassis.encaps {
                writeln!(f, "    Encap {}", print(&encap.kind))?;
                if !encap.ip.is_empty() {
                    writeln!(f, "        ip: {}", print(&encap.ip))?;
                }
                if !encap.options.is_empty() {
                    writeln!(f, "        options: {}", print(&encap.options))?;
                }
            }
            for port in &chassis.ports {
                writeln!(f, "    Port_Binding {}", print(port))?;
            }
        }
        Ok(())
    }
}

fn print<C: Cell>(value: &C) -> String {
    text::print(&value.to_datum(), C::KIND)
}
