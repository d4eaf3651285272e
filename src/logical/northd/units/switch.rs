//! Switches: their datapath and how they treat multicast.

use std::collections::BTreeMap;

use crate::logical::nb::tables::LogicalSwitch;
use crate::logical::northd::compiler::Unit;
use crate::logical::northd::facts::options::{flag, number};
use crate::logical::northd::memory::View;
use crate::logical::northd::names;
use crate::logical::northd::output::Output;
use crate::logical::rows::tables::{DatapathBinding, IpMulticast};
use crate::logical::rows::{Table, Uuid};

/// Its rows in the Southbound.
pub struct Rows;

impl Unit for Rows {
    fn compile(view: &View<'_>, uuid: Uuid, output: &mut Output) {
        let columns = &["name", "other_config", "external_ids"];
        let Some(switch) = view.columns::<LogicalSwitch>(uuid, columns) else { return };
        let mut external_ids = BTreeMap::from([
            ("logical-switch".to_owned(), uuid.to_string()),
            ("name".to_owned(), switch.name.clone()),
        ]);
        let other = switch.external_ids.get("neutron:network_name").filter(|name| !name.is_empty());
        external_ids.extend(other.map(|name| ("name2".to_owned(), name.clone())));
        let transit = switch.other_config.get_key_value("interconn-ts");
        external_ids.extend(transit.map(|(key, value)| (key.clone(), value.clone())));
        let tunnel_key = number(&switch.other_config, "requested-tnl-key").unwrap_or(0);
        output.row(names::datapath(uuid), DatapathBinding { external_ids, tunnel_key, ..Default::default() });
        output.row(names::southbound(Table::IpMulticast, uuid), multicast(uuid, switch));
    }
}

/// Seconds after which a group is forgotten: by default, and the limits.
const IDLE: (i64, i64, i64) = (300, 15, 3600);
/// Longest interval of queries, in seconds.
const LONGEST_INTERVAL: i64 = 3600;
/// Groups that are remembered.
const GROUPS: i64 = 2048;

fn multicast(uuid: Uuid, switch: &LogicalSwitch) -> IpMulticast {
    let config = &switch.other_config;
    let amount = |name| number::<u32>(config, name).map(i64::from);
    let text = |name| config.get(name).cloned().unwrap_or_default();
    let (default, least, most) = IDLE;
    let idle = amount("mcast_idle_timeout").unwrap_or(default).clamp(least, most);
    let interval = amount("mcast_query_interval").unwrap_or(idle / 2).clamp(1, LONGEST_INTERVAL);
    IpMulticast {
        datapath: names::datapath(uuid),
        enabled: Some(flag(config, "mcast_snoop", false)),
        eth_src: text("mcast_eth_src"),
        idle_timeout: Some(idle),
        ip4_src: text("mcast_ip4_src"),
        ip6_src: text("mcast_ip6_src"),
        querier: Some(flag(config, "mcast_querier", true)),
        query_interval: Some(interval),
        query_max_resp: Some(amount("mcast_query_max_response").unwrap_or(1)),
        seq_no: 0,
        table_size: Some(amount("mcast_table_size").unwrap_or(GROUPS)),
    }
}
