mod underlay;

use std::collections::BTreeSet;

use proptest::prelude::*;
use rstest::rstest;

use super::raw::{Keys, Kind, RawConfig};
use super::*;
use crate::packet::{Mac, PortNo};

fn read(text: &str) -> Result<Config, String> {
    Config::from_toml(text, "m.toml").map_err(|error| error.to_string())
}

/// A file with one af_packet port and one more line for it.
fn with_port(line: &str) -> String {
    format!("[[port]]\nname = \"p1\"\ntype = \"af_packet\"\niface = \"veth0\"\n{line}\n")
}

#[rstest]
#[case("x = ", "m.toml:1:5: this is not TOML: string values must be quoted, expected literal string")]
#[case("a = 1\na = 2", "m.toml:2:1: this is not TOML: duplicate key")]
#[case("[prt]", "m.toml:1:2: prt: there is no key `prt`; did you mean `port`?")]
#[case(
    "x = 1",
    "m.toml:1:1: x: there is no key `x` here; the keys are switch, control, workers, cache, dpdk, log, port, flows, ovn, \
     underlay, chassis"
)]
#[case(
    "[workers]\ncores = [1]\nidel_sleep = \"1ms\"",
    "m.toml:3:1: workers.idel_sleep: there is no key `idel_sleep`; did you mean `idle_sleep`?"
)]
#[case("workers = 3", "m.toml:1:11: workers: must be a table, not the number 3")]
#[case("[[underlay]]", "m.toml:1:1: underlay: must be one table, under [underlay], not a list")]
#[case("switch = [\"br0\"]", "m.toml:1:10: switch: must be one table, under [switch], not a list")]
#[case(
    "port = [[\"p\", \"memory\"]]",
    "m.toml:1:9: port[0]: must be a table, under [[port]], not a value of another type"
)]
#[case("[port]", "m.toml:1:1: port: must be a list of tables, each under [[port]], not a table")]
#[case(
    "[switch]\nname = \"a b\"",
    "m.toml:2:8: switch.name: \"a b\" is not a name; write 1 to 63 printable ASCII characters without blanks, \
     commas, quotes and brackets"
)]
#[case("[switch]\nname = 1", "m.toml:2:8: switch.name: must be a text in quotes, not the number 1")]
#[case(
    "[control]\nsocket = \"run/x.ctl\"",
    "m.toml:2:10: control.socket: \"run/x.ctl\" is not the path of a socket; write one from the root, of at most \
     107 bytes and without commas"
)]
#[case("[control]\nmode = \"0777\"", "m.toml:2:8: control.mode: \"0777\" is not known; write 0600 or 0660")]
#[case(
    "[control]\ngroup = \"\"",
    "m.toml:2:9: control.group: \"\" is not the name of a group; write one of those that `getent group` lists"
)]
#[case("[workers]\ncores = 1", "m.toml:2:9: workers.cores: must be a list in brackets, not the number 1")]
#[case(
    "[workers]\ncores = [1, \"a\"]",
    "m.toml:2:13: workers.cores[1]: must be a whole number, not the text \"a\""
)]
#[case(
    "[workers]\ncores = [1, 2, 1]",
    "m.toml:2:16: workers.cores[2]: core 1 is given twice; name every core once"
)]
#[case(
    "[workers]\ncores = [-1]",
    "m.toml:2:10: workers.cores[0]: -1 is out of range; write a number from 0 to 8191"
)]
#[case(
    "[workers]\ncores = []",
    "m.toml:2:9: workers.cores: a list of 0 cores is out of range; name 1 to 64, one for each worker"
)]
#[case(
    "[workers]\nidle_sleep = \"50\"",
    "m.toml:2:14: workers.idle_sleep: \"50\" is not a pause; write 0, or a number with us or ms behind it, such as \
     50us, up to 100ms"
)]
#[case(
    "[cache]\nmegaflows = 63",
    "m.toml:2:13: cache.megaflows: 63 is out of range; write a number from 64 to 4194304"
)]
#[case(
    "[cache]\nmegaflows = 4194305",
    "m.toml:2:13: cache.megaflows: 4194305 is out of range; write a number from 64 to 4194304"
)]
#[case(
    "[cache]\nmegaflows_per_port = 0",
    "m.toml:2:22: cache.megaflows_per_port: 0 is out of range; write a number from 64 to 4194304"
)]
#[case(
    "[cache]\nmegaflows_per_port = 262145",
    "m.toml:2:22: cache.megaflows_per_port: 262145 is more than `megaflows`, which is 262144; write at most as many \
     or raise `megaflows`"
)]
#[case(
    "[cache]\nmegaflows_per_port = 101\nmegaflows = 100",
    "m.toml:2:22: cache.megaflows_per_port: 101 is more than `megaflows`, which is 100; write at most as many or \
     raise `megaflows`"
)]
#[case(
    "[cache]\nmasks_per_port = 0",
    "m.toml:2:18: cache.masks_per_port: 0 is out of range; write a number from 1 to 256"
)]
#[case(
    "[cache]\nmasks_per_port = 257",
    "m.toml:2:18: cache.masks_per_port: 257 is out of range; write a number from 1 to 256"
)]
#[case(
    "[cache]\nemc_entries = 63",
    "m.toml:2:15: cache.emc_entries: 63 is out of range; write a number from 64 to 4194304"
)]
#[case(
    "[cache]\nmax_idle = \"0\"",
    "m.toml:2:12: cache.max_idle: \"0\" is not a time to keep what is not used; write a number with ms or s behind \
     it, from 100ms to 3600s"
)]
#[case("[cache]\nmax_idle = 10", "m.toml:2:12: cache.max_idle: must be a text in quotes, not the number 10")]
#[case(
    "[cache]\nmegaflow = 100",
    "m.toml:2:1: cache.megaflow: there is no key `megaflow`; did you mean `megaflows`?"
)]
#[case(
    "[dpdk]\nhugepages = \"yes\"",
    "m.toml:2:13: dpdk.hugepages: \"yes\" is not known; write auto, on or off"
)]
#[case(
    "[dpdk]\nmemory_mb = 1",
    "m.toml:2:13: dpdk.memory_mb: 1 is out of range; write a number from 32 to 1048576"
)]
#[case(
    "[dpdk]\nfile_prefix = \"a/b\"",
    "m.toml:2:15: dpdk.file_prefix: \"a/b\" is not a prefix of file names; write at most 64 letters, digits, `_`, \
     `-` and `.`"
)]
#[case("[dpdk]\npci = \"no\"", "m.toml:2:7: dpdk.pci: must be true or false, not the text \"no\"")]
#[case(
    "[dpdk]\nextra_args = [\"--log-level=8\", \"--no-huge\"]",
    "m.toml:2:32: dpdk.extra_args[1]: the switch gives --no-huge to DPDK itself; set `dpdk.hugepages` instead"
)]
#[case(
    "[log]\nfilter = \"a=b=c\"",
    "m.toml:2:10: log.filter: \"a=b=c\" is not a filter of the log; write a level, such as info, or target=level \
     pairs with commas between"
)]
#[case(
    "[flows]\nfile = \"\"",
    "m.toml:2:8: flows.file: \"\" is not a path; write that of a file with one flow a line"
)]
#[case(
    "\n\n[[port]]\ntype = \"memory\"\n",
    "m.toml:3:1: port[0]: a port needs `name`; add it, such as name = \"p1\""
)]
#[case(
    "[[port]]\nname = \"p1\"\n",
    "m.toml:1:1: port[0]: port \"p1\" needs `type`; add it, such as type = \"af_packet\""
)]
#[case(
    "[[port]]\nname = \"p1\"\ntype = \"afpacket\"\n",
    "m.toml:3:8: port[0].type: \"afpacket\" is not known; write af_packet, vhost-user, pcap, null, vdev, pci, \
     memory or geneve"
)]
#[case(
    "[[port]]\nname = \"p1\"\ntype = \"af_packet\"\n",
    "m.toml:1:1: port[0]: a port of type af_packet needs `iface`; add it, such as iface = \"veth0\""
)]
#[case(
    "[[port]]\nname = \"all\"\ntype = \"memory\"\n",
    "m.toml:2:8: port[0].name: \"all\" means something else in a flow; choose another name"
)]
#[case(
    "[[port]]\nname = \"12\"\ntype = \"memory\"\n",
    "m.toml:2:8: port[0].name: \"12\" means something else in a flow; choose another name"
)]
#[case(
    "[[port]]\nname = \"a\"\ntype = \"memory\"\n\n[[port]]\nname = \"a\"\ntype = \"memory\"\n",
    "m.toml:6:8: port[1].name: the port name \"a\" is given twice; give each port a name of its own"
)]
#[case(
    "[[port]]\nname = \"a\"\nnumber = 7\ntype = \"memory\"\n\n[[port]]\nname = \"b\"\nnumber = 7\ntype = \"memory\"\n",
    "m.toml:8:10: port[1].number: the port number 7 is given twice; leave `number` out or choose another"
)]
#[case(
    "[[port]]\nname = \"a\"\ntype = \"af_packet\"\niface = \"eth1\"\n[[port]]\nname = \"b\"\ntype = \"af_packet\"\niface = \"eth1\"",
    "m.toml:8:9: port[1].iface: the kernel interface eth1 is given twice; a device belongs to one port; name another"
)]
#[case(
    "[[port]]\nname = \"a\"\ntype = \"memory\"\nsize = 64\n",
    "m.toml:4:1: port[0].size: `size` does not belong to a port of type memory, which takes no keys of its own; \
     remove it"
)]
#[case(
    "[[port]]\nname = \"a\"\ntype = \"pcap\"\ninfinite = true\n",
    "m.toml:4:12: port[0].infinite: infinite = true needs `rx_file`; add it, such as rx_file = \"/tmp/in.pcap\""
)]
#[case(
    "[[port]]\nname = \"a\"\ntype = \"pcap\"\nrx_file = \"in.pcap\"\n",
    "m.toml:4:11: port[0].rx_file: \"in.pcap\" is not the path of a capture file; write one from the root, without \
     commas"
)]
#[case(
    "[[port]]\nname = \"a\"\ntype = \"null\"\nsize = 1515\n",
    "m.toml:4:8: port[0].size: 1515 is out of range; write a number from 14 to 1514"
)]
#[case(
    "[[port]]\nname = \"a\"\ntype = \"pci\"\ndevargs = \"3:0.0\"\n",
    "m.toml:4:11: port[0].devargs: \"3:0.0\" is not the address of a PCI device; write it as lspci -D does, such as \
     0000:03:00.0"
)]
#[case(
    "[[port]]\nname = \"a\"\ntype = \"vdev\"\ndevargs = \"net_tap0, iface=tap0\"\n",
    "m.toml:4:11: port[0].devargs: \"net_tap0, iface=tap0\" is not the devargs of a virtual device; write them \
     without blanks, such as net_tap0,iface=tap0"
)]
#[case(
    "[[port]]\nname = \"a\"\ntype = \"vhost-user\"\nsocket = \"/x\"\nmode = \"serve\"\n",
    "m.toml:5:8: port[0].mode: \"serve\" is not known; write server or client"
)]
fn refuses_a_file(#[case] text: &str, #[case] sentence: &str) {
    assert_eq!(read(text).unwrap_err(), sentence);
}

#[rstest]
#[case("mtuu = 3", "m.toml:5:1: port[0].mtuu: there is no key `mtuu`; did you mean `mtu`?")]
#[case("mtu = 3.5", "m.toml:5:7: port[0].mtu: must be a whole number, not the number 3.5")]
#[case("mtu = true", "m.toml:5:7: port[0].mtu: must be a whole number, not true")]
#[case("mtu = 67", "m.toml:5:7: port[0].mtu: 67 is out of range; write a number from 68 to 9702")]
#[case("mtu = 9703", "m.toml:5:7: port[0].mtu: 9703 is out of range; write a number from 68 to 9702")]
#[case("number = 0", "m.toml:5:10: port[0].number: 0 is out of range; write a number from 1 to 65279")]
#[case("n_rxq = 65", "m.toml:5:9: port[0].n_rxq: 65 is out of range; write a number from 1 to 64")]
#[case("n_txq = 0", "m.toml:5:9: port[0].n_txq: 0 is out of range; write a number from 1 to 64")]
#[case(
    "n_rxq_desc = 8",
    "m.toml:5:14: port[0].n_rxq_desc: 8 is out of range; write a number from 32 to 32768"
)]
#[case(
    "n_txq_desc = 40000",
    "m.toml:5:14: port[0].n_txq_desc: 40000 is out of range; write a number from 32 to 32768"
)]
#[case(
    "mac = \"2:3\"",
    "m.toml:5:7: port[0].mac: \"2:3\" is not an Ethernet address; write six pairs of hexadecimal digits, such as \
     02:00:00:00:00:01"
)]
#[case(
    "mac = \"01:00:00:00:00:01\"",
    "m.toml:5:7: port[0].mac: \"01:00:00:00:00:01\" is not an address that a port can have; write one with an even \
     first byte that is not all zero"
)]
#[case("rss = \"yes\"", "m.toml:5:7: port[0].rss: must be true or false, not the text \"yes\"")]
#[case(
    "rxq_affinity = \"0-1\"",
    "m.toml:5:16: port[0].rxq_affinity: \"0-1\" is not a list of QUEUE:WORKER pairs; write it such as 0:1,1:0"
)]
#[case(
    "rxq_affinity = \"1:0\"",
    "m.toml:5:16: port[0].rxq_affinity: there is no queue 1; `n_rxq` makes 1, numbered from 0"
)]
#[case(
    "rxq_affinity = \"0:1\"",
    "m.toml:5:16: port[0].rxq_affinity: there is no worker 1; `workers.cores` makes 1, numbered from 0"
)]
#[case(
    "rxq_affinity = \"0:0,0:0\"",
    "m.toml:5:16: port[0].rxq_affinity: queue 0 is given twice; name every queue once"
)]
#[case(
    "socket = \"/x\"",
    "m.toml:5:1: port[0].socket: `socket` does not belong to a port of type af_packet, which takes `iface`; remove it"
)]
fn refuses_a_key_of_a_port(#[case] line: &str, #[case] sentence: &str) {
    assert_eq!(read(&with_port(line)).unwrap_err(), sentence);
}

#[rstest]
#[case(&[("type", "memory"), ("mtu", "abc")], "mtu: must be a whole number, not the text \"abc\"")]
#[case(&[("type", "memory"), ("rss", "on")], "rss: must be true or false, not the text \"on\"")]
#[case(&[("typ", "memory")], "typ: there is no key `typ`; did you mean `type`?")]
#[case(&[("type", "memory"), ("mtu", "12")], "mtu: 12 is out of range; write a number from 68 to 9702")]
#[case(&[("type", "memory"), ("type", "memory")], "`type` is given twice; give every key once")]
#[case(&[("name", "x")], "the name of the port stands before its keys; remove `name=`")]
#[case(&[], "port \"p1\" needs `type`; add it, such as type = \"af_packet\"")]
fn refuses_words(#[case] pairs: &[(&str, &str)], #[case] sentence: &str) {
    assert_eq!(PortSpec::from_pairs("p1", pairs.iter().copied()).unwrap_err().to_string(), sentence);
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(read("").unwrap(), Config::default());
}

#[test]
fn an_absent_file_is_said_to_be_absent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.toml");
    assert_eq!(
        Config::load(&path).unwrap_err().to_string(),
        format!(
            "{}: cannot read it: No such file or directory (os error 2); give the path of a config file that this \
             user may read",
            path.display()
        )
    );
}

fn route(to: &str, via: &str) -> Route {
    Route { to: to.parse().unwrap(), via: via.parse().unwrap() }
}

#[test]
fn reads_every_key() {
    let text = r#"
        [switch]
        name = "br-int"
        [control]
        socket = "/tmp/x.ctl"
        mode = "0600"
        group = "adm"
        cores = [0, 2]
        [workers]
        cores = [2, 3]
        idle_sleep = "50us"
        [cache]
        megaflows = 10000
        megaflows_per_port = 1000
        masks_per_port = 20
        emc_entries = 5000
        max_idle = "2500ms"
        [dpdk]
        hugepages = "off"
        memory_mb = 256
        file_prefix = "mr"
        pci = false
        extra_args = ["--log-level=8"]
        [log]
        filter = "millrace=debug"
        [ovn]
        system_id = "hv1"
        encap_ip = "192.0.2.1"
        bridge_mappings = ["physnet1:p1"]
        state = "kept"
        topology = "net.nb"
        [[port]]
        name = "p1"
        type = "vhost-user"
        socket = "/tmp/vm"
        mode = "client"
        number = 4
        n_rxq = 2
        n_txq = 3
        n_rxq_desc = 512
        n_txq_desc = 1024
        mtu = 9000
        mac = "02:00:00:00:00:01"
        promiscuous = false
        rss = false
        checksum_offload = false
        no_flood = true
        rxq_affinity = "0:1,1:0"
        [[port]]
        name = "tunnels"
        type = "geneve"
        number = 9
        [underlay]
        port = "p1"
        addresses = ["198.51.100.9/24", "192.0.2.1/25", "fd00::1/64"]
        mac = "02:00:00:00:00:09"
        gateway = "192.0.2.2"
        gateway6 = "fd00::2"
        routes = ["10.0.0.0/8 via 198.51.100.1", "fd01::/16 via fd00::3"]
        vlan = 7
        mtu = 8900
        checksum = false
        bfd = true
        bfd_min_rx = "50ms"
        bfd_min_tx = "2s"
        bfd_mult = 5
        [[chassis]]
        name = "hv2"
        encap_ip = "203.0.113.7"
        ports = ["vm2", "vm 3"]
        [flows]
        file = "more.flows"
        flows = ["actions=drop"]
    "#;
    let port = PortSpec {
        number: Some(PortNo(4)),
        n_rxq: 2,
        n_txq: Some(3),
        n_rxq_desc: Some(512),
        n_txq_desc: Some(1024),
        mtu: 9000,
        mac: Some(Mac([2, 0, 0, 0, 0, 1])),
        promiscuous: false,
        rss: false,
        checksum_offload: false,
        no_flood: true,
        rxq_affinity: vec![(0, 1), (1, 0)],
        ..PortSpec::new("p1", PortKind::VhostUser { socket: "/tmp/vm".to_owned(), mode: VhostMode::Client })
    };
    let wanted = Config {
        name: "br-int".to_owned(),
        control: Control {
            socket: PathBuf::from("/tmp/x.ctl"),
            mode: 0o600,
            group: Some("adm".to_owned()),
            cores: vec![0, 2],
        },
        workers: Workers { cores: vec![2, 3], idle_sleep: Duration::from_micros(50) },
        cache: Cache {
            megaflows: 10_000,
            megaflows_per_port: 1000,
            masks_per_port: 20,
            emc_entries: 5000,
            max_idle: Duration::from_millis(2500),
        },
        dpdk: Dpdk {
            hugepages: Hugepages::Off,
            memory_mb: 256,
            file_prefix: Some("mr".to_owned()),
            pci: false,
            extra_args: vec!["--log-level=8".to_owned()],
        },
        ports: vec![port, PortSpec { number: Some(PortNo(9)), ..PortSpec::tunnel("tunnels") }],
        flows: vec!["actions=drop".to_owned()],
        flow_file: Some(PathBuf::from("/etc/millrace/more.flows")),
        ovn: Ovn {
            system_id: Some("hv1".to_owned()),
            encap_ip: "192.0.2.1".parse().unwrap(),
            bridge_mappings: vec![Mapping { network: "physnet1".to_owned(), port: "p1".to_owned() }],
            state: Some(PathBuf::from("/etc/millrace/kept")),
            topology: Some(PathBuf::from("/etc/millrace/net.nb")),
        },
        underlay: Some(Underlay {
            port: "p1".to_owned(),
            // That of `encap_ip` is the first.
            addresses: ["192.0.2.1/25", "198.51.100.9/24", "fd00::1/64"]
                .map(|text| text.parse().unwrap())
                .to_vec(),
            mac: Some(Mac([2, 0, 0, 0, 0, 9])),
            routes: vec![
                route("0.0.0.0/0", "192.0.2.2"),
                route("::/0", "fd00::2"),
                route("10.0.0.0/8", "198.51.100.1"),
                route("fd01::/16", "fd00::3"),
            ],
            vlan: Some(7),
            mtu: 8900,
            checksum: false,
            bfd: Some(Bfd { min_rx: Duration::from_millis(50), min_tx: Duration::from_secs(2), mult: 5 }),
        }),
        chassis: vec![Chassis {
            name: "hv2".to_owned(),
            encap_ip: "203.0.113.7".parse().unwrap(),
            ports: vec!["vm2".to_owned(), "vm 3".to_owned()],
        }],
        log: "millrace=debug".to_owned(),
    };
    let config = Config::from_toml(text, "/etc/millrace/millrace.toml").unwrap();
    assert_eq!(config, wanted);
    assert_eq!(config.shared_cores(), [2]);
}

#[rstest]
#[case("0", Some(0))]
#[case("0us", Some(0))]
#[case("50us", Some(50))]
#[case("1ms", Some(1000))]
#[case("100ms", Some(100_000))]
#[case("101ms", None)]
#[case("1s", None)]
#[case("", None)]
#[case("us", None)]
#[case("-1us", None)]
#[case("+1us", None)]
#[case("5 us", None)]
#[case("99999999999999999999us", None)]
#[case("18446744073709551615ms", None)]
fn reads_a_pause(#[case] text: &str, #[case] micros: Option<u64>) {
    let read = read(&format!("[workers]\nidle_sleep = \"{text}\"")).ok();
    assert_eq!(read.map(|config| config.workers.idle_sleep), micros.map(Duration::from_micros));
}

#[rstest]
#[case("99ms", None)]
#[case("100ms", Some(100))]
#[case("10s", Some(10_000))]
#[case("3600s", Some(3_600_000))]
#[case("3601s", None)]
#[case("10", None)]
#[case("18446744073709551615s", None)]
fn reads_how_long_a_megaflow_is_kept(#[case] text: &str, #[case] millis: Option<u64>) {
    let read = read(&format!("[cache]\nmax_idle = \"{text}\"")).ok();
    assert_eq!(read.map(|config| config.cache.max_idle), millis.map(Duration::from_millis));
}

#[rstest]
#[case(64, 64)]
#[case(200_000, 200_000)]
#[case(4_194_304, 200_000)]
fn a_port_may_have_all_megaflows_where_they_are_few(#[case] megaflows: u32, #[case] per_port: u32) {
    let cache = read(&format!("[cache]\nmegaflows = {megaflows}")).unwrap().cache;
    assert_eq!((cache.megaflows, cache.megaflows_per_port), (megaflows, per_port));
}

/// Folder of the repository.
fn repository(below: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(below)
}

#[test]
fn every_file_of_configs_loads() {
    let mut seen = 0;
    for entry in std::fs::read_dir(repository("configs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let loaded = Config::load(&path);
            assert!(loaded.is_ok(), "{}", loaded.unwrap_err());
            seen += 1;
        }
    }
    assert!(seen >= 3, "{seen} files");
}

#[test]
fn the_example_shows_the_defaults() {
    let example = Config::load(repository("configs/millrace.toml")).unwrap();
    let port = PortSpec {
        number: Some(PortNo(1)),
        rxq_affinity: vec![(0, 0)],
        ..PortSpec::new("p1", PortKind::Memory)
    };
    assert_eq!(example.ports, [port]);
    assert_eq!(Config { ports: Vec::new(), flows: Vec::new(), ..example }, Config::default());
}

fn all_keys(prefix: &str, keys: Keys, into: &mut BTreeSet<(String, &'static str)>) {
    for (key, kind) in keys {
        match kind {
            Kind::Table(inner) | Kind::Tables(inner) => all_keys(key, inner, into),
            _ => {
                into.insert((prefix.to_owned(), key));
            }
        }
    }
}

/// The keys of a text of TOML, those of commented lines (`# key = …`, `# [table]`) included.
fn keys_of_example(text: &str) -> BTreeSet<(String, String)> {
    let mut table = String::new();
    let mut keys = BTreeSet::new();
    for line in text.lines().map(|line| line.trim_start_matches(['#', ' '])) {
        if line.starts_with('[') {
            table = line.trim_matches(['[', ']']).to_owned();
        } else if let Some((key, _)) = line.split_once(" = ")
            && key.bytes().all(|byte| matches!(byte, b'_' | b'a'..=b'z' | b'0'..=b'9'))
        {
            keys.insert((table.clone(), key.to_owned()));
        }
    }
    keys
}

#[test]
fn the_example_and_the_documentation_have_every_key_and_no_other() {
    let mut known = BTreeSet::new();
    all_keys("", RawConfig::KEYS, &mut known);
    assert!(known.contains(&("port".to_owned(), "type")));
    let known: BTreeSet<_> = known.into_iter().map(|(table, key)| (table, key.to_owned())).collect();

    let example = std::fs::read_to_string(repository("configs/millrace.toml")).unwrap();
    assert_eq!(keys_of_example(&example), known);

    let documentation = std::fs::read_to_string(repository("docs/configuration.md")).unwrap();
    let mut table = String::new();
    let mut documented = BTreeSet::new();
    for line in documentation.lines() {
        if let Some(heading) = line.strip_prefix("## `") {
            table = heading.trim_end_matches('`').trim_matches(['[', ']']).to_owned();
        } else if let Some(row) = line.strip_prefix("| `")
            && let Some((key, _)) = row.split_once('`')
        {
            documented.insert((table.clone(), key.to_owned()));
        }
    }
    assert_eq!(documented, known);
}

/// A key of a port with a value, right or wrong, as a word and as TOML.
fn any_pair() -> impl Strategy<Value = (&'static str, String, String)> {
    let number_keys = prop::sample::select(vec![
        "number",
        "n_rxq",
        "n_txq",
        "n_rxq_desc",
        "n_txq_desc",
        "mtu",
        "size",
        "mtuu",
    ]);
    let flags =
        prop::sample::select(vec!["promiscuous", "rss", "checksum_offload", "no_flood", "no_rx", "infinite"]);
    let texts =
        prop::sample::select(vec!["iface", "socket", "mode", "rx_file", "devargs", "mac", "rxq_affinity"]);
    let words = prop::sample::select(vec![
        "veth0",
        "/tmp/x",
        "server",
        "client",
        "0:0",
        "0:1,1:0",
        "02:00:00:00:00:01",
        "0000:03:00.0",
        "5",
        "true",
        "",
        "a\"b",
        "ü,",
    ]);
    let quoted = |word: &str| toml::Value::String(word.to_owned()).to_string();
    prop_oneof![
        (number_keys.clone(), prop_oneof![-2i64..80, 0i64..70000]).prop_map(move |(key, value)| {
            let written = if key == "mtuu" { quoted(&value.to_string()) } else { value.to_string() };
            (key, value.to_string(), written)
        }),
        (flags, any::<bool>()).prop_map(|(key, value)| (key, value.to_string(), value.to_string())),
        (texts, words.clone()).prop_map(move |(key, word)| (key, word.to_owned(), quoted(word))),
        (number_keys, words.prop_filter("a number is one in TOML too", |word| word.parse::<i64>().is_err()))
            .prop_map(move |(key, word)| (key, word.to_owned(), quoted(word))),
    ]
}

proptest! {
    #[test]
    fn words_and_toml_mean_the_same(
        port_type in prop::sample::select(vec![
            "af_packet", "vhost-user", "pcap", "null", "vdev", "pci", "memory", "geneve", "tap",
        ]),
        required in any::<bool>(),
        pairs in prop::collection::vec(any_pair(), 0..4),
        name in prop::sample::select(vec!["p1", "veth-0", "all", "7", "a b", ""]),
    ) {
        let mut keys = vec![("type", port_type.to_owned(), format!("\"{port_type}\""))];
        let own = match port_type {
            "af_packet" => Some(("iface", "veth0")),
            "vhost-user" => Some(("socket", "/tmp/x")),
            "vdev" => Some(("devargs", "net_tap0")),
            "pci" => Some(("devargs", "0000:03:00.0")),
            _ => None,
        };
        keys.extend(own.filter(|_| required).map(|(key, value)| (key, value.to_owned(), format!("\"{value}\""))));
        for pair in pairs {
            if keys.iter().all(|(key, ..)| *key != pair.0) {
                keys.push(pair);
            }
        }
        let by_words =
            PortSpec::from_pairs(name, keys.iter().map(|(key, value, _)| (*key, value.as_str())));
        // 64 workers, so that what only a whole file can know is no difference.
        let cores: Vec<_> = (0..64).collect();
        let lines: String = keys.iter().map(|(key, _, written)| format!("{key} = {written}\n")).collect();
        let text = format!("[workers]\ncores = {cores:?}\n[[port]]\nname = \"{name}\"\n{lines}");
        match (by_words, Config::from_toml(&text, "m.toml")) {
            (Ok(port), Ok(config)) => prop_assert_eq!(vec![port], config.ports),
            (Err(one), Err(other)) => prop_assert_eq!(one.fault, other.fault),
            (one, other) => prop_assert!(false, "{:?} but {:?}", one, other),
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "(\\[{1,2}(port|workers|flows)\\]{1,2}\n|[a-z_]{1,9} = [\\[\\]\"0-9a-zé]{0,9}\n){0,8}") {
        let _ = Config::from_toml(&text, "m.toml");
    }
}
