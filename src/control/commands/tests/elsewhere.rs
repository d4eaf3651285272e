//! Other chassis and the ports that are bound there.

use super::*;
use crate::action::intent::Intent;
use crate::config::Chassis;
use crate::control::bound::naive::is_settled;
use crate::packet::Mac;
use crate::tunnel::Heard;

fn hv1() -> Ovn {
    Ovn { system_id: Some("hv1".to_owned()), ..Ovn::unkept() }
}

fn other(name: &str, ip: &str, ports: &[&str]) -> Chassis {
    let ports = ports.iter().map(|port| (*port).to_owned()).collect();
    Chassis { name: name.to_owned(), encap_ip: ip.parse().unwrap(), ports }
}

impl Bench {
    async fn sbctl(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let answer = self.ok("sbctl/change", &words).await;
        let state = self.switch.state();
        let logical = &state.logical;
        let following = logical.following.as_ref().unwrap();
        assert!(
            is_settled(&logical.bound, following.bindings(), logical.rows.snapshot(), &*state.datapath),
            "{line}"
        );
        answer
    }

    async fn not_said(&mut self, line: &str) -> String {
        let before = self.ok("sbctl/show", &[]).await;
        let words: Vec<&str> = line.split(' ').collect();
        let sentence = self.refused("sbctl/change", &words).await;
        assert_eq!(self.ok("sbctl/show", &[]).await, before, "{line}");
        sentence
    }

    async fn type_in(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        self.ok("nbctl", &words).await;
    }

    /// The name of the chassis that a port is on, and whether it is up.
    async fn place(&mut self, port: &str) -> (String, String) {
        let chassis = self.ok("sbctl/get", &["Port_Binding", port, "chassis"]).await;
        let up = self.ok("sbctl/get", &["Port_Binding", port, "up"]).await.trim().to_owned();
        let name = match chassis.trim() {
            "[]" => String::new(),
            uuid => self.ok("sbctl/get", &["Chassis", uuid, "name"]).await.trim().to_owned(),
        };
        (name, up)
    }
}

fn at(chassis: &str) -> (String, String) {
    (chassis.to_owned(), (!chassis.is_empty()).to_string())
}

#[test]
fn the_chassis_of_the_config_have_rows_and_ports() {
    let others = [other("hv2", "192.0.2.2", &["vm2", "vm3"]), other("hv3", "fd00::3", &["vm4"])];
    bench_among(&hv1(), &others, async |mut bench| {
        let shown = bench.ok("sbctl/show", &[]).await;
        for part in [
            "Chassis hv1\n",
            "Chassis hv2\n    Encap geneve\n        ip: \"192.0.2.2\"\n        options: {csum=\"true\"}\n",
            "Chassis hv3\n    Encap geneve\n        ip: \"fd00::3\"\n",
        ] {
            assert!(shown.contains(part), "{shown}");
        }
        // A port gets its place when it comes, again and again, and the Northbound hears of it.
        bench.type_in("ls-add s -- lsp-add s vm1 -- lsp-add s vm2 -- lsp-add s other").await;
        assert_eq!((bench.place("vm2").await, bench.place("vm1").await), (at("hv2"), at("")));
        assert_eq!(bench.ok("nbctl", &["lsp-get-up", "vm2"]).await, "up\n");
        bench.type_in("lsp-add s vm4").await;
        assert_eq!(bench.place("vm4").await, at("hv3"));
        bench.type_in("lsp-del vm2").await;
        bench.type_in("ls-add t -- lsp-add t vm2").await;
        assert_eq!(bench.place("vm2").await, at("hv2"));
        // One inside it is where it is, whoever comes first.
        bench.type_in("lsp-add t c1 vm3 7 -- lsp-add t c2 vm2 8").await;
        let told = bench.ok("sbctl/troubles", &[]).await;
        let sentence =
            "Port_Binding: there is no port vm3, which is bound to hv2; add it, or correct the name\n";
        assert!(told.contains(sentence), "{told}");
        bench.type_in("lsp-add t vm3").await;
        assert_eq!((bench.place("c1").await, bench.place("c2").await), (at("hv2"), at("hv2")));
        // A port that is here is here, and that is told.
        bench.ok("port/set", &["p1", "iface_id=vm2"]).await;
        assert_eq!((bench.place("vm2").await, bench.place("c2").await), (at("hv1"), at("hv1")));
        let told = bench.ok("sbctl/troubles", &[]).await;
        let sentence = "is port 1 here, so that it is not on hv2; `millrace sbctl lsp-unbind vm2` settles it";
        assert!(told.contains(sentence), "{told}");
        bench.ok("port/set", &["p1", "iface_id="]).await;
        assert_eq!((bench.place("vm2").await, bench.place("c2").await), (at("hv2"), at("hv2")));
        assert_eq!(bench.ok("sbctl/troubles", &[]).await, "");
    });
}

#[test]
fn this_chassis_is_none_of_the_others() {
    let (path, _) = MemoryDatapath::new(1);
    let switch = Rc::new(Switch::new("br0", Box::new(path), &hv1()));
    switch.state_mut().logical.bound.say_elsewhere(Elsewhere::of(&[other("hv1", "192.0.2.2", &[])]));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let started = LocalSet::new().block_on(&runtime, switch.start_northbound(&hv1()));
    assert_eq!(
        started.unwrap_err().to_string(),
        "[[chassis]] \"hv1\" is this host, by `system_id` in `[ovn]` or else by its host name; name the others only"
    );
}

#[test]
fn chassis_come_and_go_by_commands() {
    bench_with(&hv1(), async |mut bench| {
        assert_eq!(bench.sbctl("chassis-add hv2 geneve,vxlan 192.0.2.2").await, "");
        assert_eq!(
            bench.not_said("chassis-add hv2 geneve 192.0.2.3").await,
            "cannot create a chassis named hv2 because a chassis named hv2 already exists; use --may-exist to leave it \
             as it is"
        );
        bench.sbctl("--may-exist chassis-add hv2 geneve 192.0.2.3").await;
        let shown = bench.ok("sbctl/show", &[]).await;
        assert!(
            shown.contains("Encap vxlan\n        ip: \"192.0.2.2\"") && !shown.contains("192.0.2.3"),
            "{shown}"
        );
        for (line, sentence) in [
            (
                "chassis-add hv3 bogus 1.2.3.4",
                "\"bogus\" is no type of tunnel; write geneve, stt or vxlan, or several with commas between",
            ),
            (
                "chassis-add hv3 geneve x",
                "\"x\" is not the IP address of a host; write that by which the chassis is reached",
            ),
            (
                "chassis-add a,b geneve 1.2.3.4",
                "\"a,b\" is no name of a chassis; write one without blanks and commas, such as worker2",
            ),
            (
                "chassis-add hv1 geneve 1.2.3.4",
                "cannot create a chassis named hv1 because a chassis named hv1 already exists; use --may-exist to leave it as it is",
            ),
            (
                "chassis-del hv9",
                "no chassis named hv9; `millrace sbctl show` lists them, and `chassis-add` makes one",
            ),
            ("chassis-del hv1", "hv1 is this chassis; name another"),
            ("chassis-del", "chassis-del takes 1 arguments and there are 0; add what is missing"),
            ("--may-exist chassis-del hv2", "chassis-del has no option --may-exist; it takes --if-exists"),
            (
                "chassis-move hv2",
                "there is no command \"chassis-move\"; write chassis-add, chassis-del, lsp-bind or lsp-unbind",
            ),
            ("lsp-bind p hv2", "no port named p; `millrace sbctl list port_binding` lists them"),
            ("lsp-unbind p", "no port named p; `millrace sbctl list port_binding` lists them"),
        ] {
            assert_eq!(bench.not_said(line).await, sentence, "{line}");
        }
        for address in ["255.255.255.255", "0.1.2.3", "::ffff:192.0.2.2", "ff02::1", "::1"] {
            assert_eq!(
                bench.not_said(&format!("chassis-add hv3 geneve {address}")).await,
                format!(
                    "\"{address}\" is not the IP address of a host; write that by which the chassis is reached"
                )
            );
        }
        let clash = bench.not_said("chassis-add hv3 geneve 192.0.2.2").await;
        assert_eq!(
            clash,
            "192.0.2.2 is the address of chassis hv2; give the address by which this one is reached"
        );
        bench.sbctl("--if-exists chassis-del hv9 -- --if-exists lsp-unbind p").await;
        bench.type_in("ls-add s -- lsp-add s p -- lsp-add s q -- lr-add r -- lrp-add r rp 02:00:00:00:00:01 10.0.0.1/24").await;
        // What asks for a chassis finds it when it comes.
        bench.type_in("lsp-set-options q requested-chassis=hv3").await;
        assert_eq!(bench.ok("sbctl/get", &["Port_Binding", "q", "requested_chassis"]).await, "[]\n");
        bench.sbctl("chassis-add hv3 geneve fd00:0::3").await;
        assert_ne!(bench.ok("sbctl/get", &["Port_Binding", "q", "requested_chassis"]).await, "[]\n");
        assert!(bench.ok("sbctl/show", &[]).await.contains("ip: \"fd00::3\""));
        bench.sbctl("chassis-del hv3").await;
        assert_eq!(bench.ok("sbctl/get", &["Port_Binding", "q", "requested_chassis"]).await, "[]\n");
        assert_eq!(bench.ok("sbctl/find", &["Encap", "chassis_name=hv3"]).await, "");
        assert_eq!(
            bench.not_said("lsp-bind rp hv2").await,
            "rp has type \"patch\", and only ports without a type are bound to a chassis here; bind another"
        );
    });
}

#[test]
fn ports_are_bound_moved_and_unbound_by_commands() {
    bench_with(&hv1(), async |mut bench| {
        bench.sbctl("chassis-add hv2 geneve 192.0.2.2 -- chassis-add hv3 geneve 192.0.2.3").await;
        bench.type_in("ls-add s -- lsp-add s p -- lsp-add s q -- lsp-add s c p 3").await;
        bench.sbctl("lsp-bind p hv2").await;
        assert_eq!((bench.place("p").await, bench.place("c").await), (at("hv2"), at("hv2")));
        assert_eq!(
            bench.not_said("lsp-bind p hv3").await,
            "lport (p) has already been binded to chassis (hv2); `lsp-unbind p -- lsp-bind p CHASSIS` moves it"
        );
        assert!(bench.not_said("--may-exist lsp-bind p hv3").await.starts_with("lport (p) has already"));
        assert!(bench.not_said("lsp-bind p hv2").await.starts_with("lport (p) has already"));
        bench.sbctl("--may-exist lsp-bind p hv2").await;
        // A move is one change: nobody sees the port nowhere.
        bench.sbctl("lsp-unbind p -- lsp-bind p hv3").await;
        assert_eq!((bench.place("p").await, bench.place("c").await), (at("hv3"), at("hv3")));
        // What is done to the networks does not touch it.
        bench.type_in("lsp-del p").await;
        bench.type_in("lsp-add s p -- lsp-set-addresses p 02:00:00:00:00:01").await;
        assert_eq!(bench.place("p").await, at("hv3"));
        let both = "--if-exists lsp-del p -- --may-exist lsp-add s p";
        bench.type_in(both).await;
        assert_eq!(bench.place("p").await, at("hv3"));
        // This chassis has its ports otherwise.
        assert_eq!(
            bench.not_said("lsp-bind q hv1").await,
            "hv1 is this chassis; a port of the switch becomes the logical port q with `millrace port set PORT \
             iface_id=q`"
        );
        bench.ok("port/set", &["p1", "iface_id=q"]).await;
        assert_eq!(
            bench.not_said("lsp-unbind q").await,
            "q is a port of this switch; take it away with `millrace port set PORT iface_id=`"
        );
        // The way that is named is one that there is.
        assert_eq!(
            bench.not_said("lsp-bind q hv2").await,
            "q is a port of this switch; take it away with `millrace port set PORT iface_id=`"
        );
        // One that comes here from there, and the other way about.
        bench.ok("port/set", &["p2", "iface_id=p"]).await;
        assert_eq!(bench.place("p").await, at("hv1"));
        bench.sbctl("lsp-unbind p").await;
        assert_eq!(bench.place("p").await, at("hv1"));
        bench.ok("port/set", &["p2", "iface_id="]).await;
        assert_eq!((bench.place("p").await, bench.place("c").await), (at(""), at("")));
        bench.sbctl("lsp-unbind p -- lsp-bind p hv2").await;
        bench.sbctl("lsp-unbind p").await;
        assert_eq!(bench.place("p").await, at(""));
        // A chassis goes with what is bound to it.
        bench.sbctl("lsp-bind p hv2").await;
        bench.sbctl("chassis-del hv2").await;
        assert_eq!(bench.place("p").await.0, "");
        bench.sbctl("chassis-add hv2 geneve 192.0.2.2").await;
        assert_eq!(bench.place("p").await.0, "");
        assert_eq!(bench.ok("nbctl", &["lsp-get-up", "p"]).await, "down\n");
    });
}

#[test]
fn rows_of_a_dump_are_changed_themselves() {
    let others = [other("worker2", "192.0.2.2", &["vm2"])];
    bench_among(&hv1(), &others, async |mut bench| {
        bench.ok("sbctl/load", &["--chassis=hv1", &super::chassis::rows()]).await;
        let shown = bench.ok("sbctl/show", &[]).await;
        assert!(!shown.contains("worker2"), "the dump says what there is: {shown}");
        assert_eq!(bench.place("vm2").await, at(""));
        bench.sbctl("chassis-add hv7 geneve 192.0.2.7 -- lsp-bind vm2 hv7").await;
        assert_eq!(bench.place("vm2").await, at("hv7"));
        bench.sbctl("lsp-unbind vm2").await;
        assert_eq!(bench.place("vm2").await, (String::new(), "[]".to_owned()));
        bench.sbctl("lsp-bind net1-router1 hv7").await;
        assert_eq!(bench.place("net1-router1").await.0, "hv7");
        bench.ok("sbctl/unload", &[]).await;
        let shown = bench.ok("sbctl/show", &[]).await;
        assert!(shown.contains("worker2") && !shown.contains("hv7"), "{shown}");
        bench.type_in("ls-add s -- lsp-add s vm2").await;
        assert_eq!(bench.place("vm2").await, at("worker2"));
    });
}

#[test]
fn hosts_that_were_given_the_same_have_the_same_keys() {
    const LINES: [&str; 3] = [
        "ls-add s -- lsp-add s p -- lsp-add s q",
        "lr-add r -- lrp-add r rp 02:00:00:00:00:01 10.0.0.1/24",
        "lsp-add s sr -- lsp-set-type sr router -- lsp-set-options sr router-port=rp",
    ];
    let mut digests = Vec::new();
    for (host, more) in [("hv1", None), ("hv2", None), ("hv3", Some("ls-add t"))] {
        bench_with(&Ovn { system_id: Some(host.to_owned()), ..Ovn::unkept() }, async |mut bench| {
            assert!(!bench.ok("show", &[]).await.contains("keys"));
            for line in LINES.into_iter().chain(more) {
                bench.type_in(line).await;
            }
            let keys = bench.ok("sbctl/keys", &[]).await;
            assert!(keys.contains("\ndatapath r 2\n") && keys.contains("\nport s sr 3\n"), "{keys}");
            let short = keys[22..34].to_owned();
            for shown in [bench.ok("sbctl/show", &[]).await, bench.ok("show", &[]).await] {
                assert!(shown.to_lowercase().contains(&format!("keys {short}\n")), "{shown}");
            }
            digests.push(short);
        });
    }
    assert_eq!(digests[0], digests[1]);
    assert_ne!(digests[0], digests[2]);
}

const UNDERLAY: &str = "
[[port]]
name = \"uplink\"
type = \"memory\"
mac = \"02:00:00:00:00:11\"
[underlay]
port = \"uplink\"
addresses = [\"192.0.2.11/24\", \"fd00::11/64\"]
gateway = \"192.0.2.1\"
routes = [\"198.51.100.0/24 via 192.0.2.7\"]
vlan = 7
bfd = true
[ovn]
state = \"\"
";

#[test]
fn the_mtu_of_the_underlays_port_is_no_less_than_the_underlays() {
    bench_with(&hv1(), async |mut bench| {
        let config = config::Config::from_toml(UNDERLAY, "m.toml").unwrap();
        bench.switch.state_mut().overlay = crate::control::underlay::Overlay::new(&config);
        assert_eq!(bench.ok("port/add", &["uplink", "type=memory"]).await, "port 3\n");
        let refused = "the underlay sends packets of up to 1500 bytes by port \"uplink\"; lower `underlay.mtu` in the \
                       config and restart, or give an MTU that is no less";
        for params in [["uplink", "1499"], ["3", "68"]] {
            assert_eq!(bench.refused("port/set-mtu", &params).await, refused);
        }
        assert_eq!(bench.refused("port/set", &["uplink", "iface_id=ln", "mtu=1499"]).await, refused);
        let list = bench.json("port/list", &[]).await;
        assert_eq!((&list[2]["mtu"], &list[2]["iface_id"]), (&json!(1500), &Value::Null), "nothing is done");
        for (port, mtu) in [("uplink", "9000"), ("uplink", "1500"), ("p1", "1400")] {
            bench.ok("port/set-mtu", &[port, mtu]).await;
        }
    });
}

#[test]
fn the_underlay_is_shown() {
    bench_with(&hv1(), async |mut bench| {
        for method in ["underlay/show", "bfd/show", "tnl/neigh/show", "tnl/arp/show", "ovs/route/show"] {
            let told = bench.refused(method, &[]).await;
            assert_eq!(
                told,
                "there is no [underlay] in the config, so there are no tunnels; add it and start again"
            );
        }
        assert!(!bench.ok("show", &[]).await.contains("underlay"));
        let config = config::Config::from_toml(UNDERLAY, "m.toml").unwrap();
        bench.switch.state_mut().overlay = crate::control::underlay::Overlay::new(&config);
        let shown = bench.ok("show", &[]).await;
        assert!(
            shown.contains(
                "underlay none: there is no port \"uplink\"; add it with `millrace port add`; 0 tunnels\n"
            ),
            "{shown}"
        );
        // Not every port of that name can be it.
        let why = bench.refused("port/add", &["uplink", "type=geneve"]).await;
        assert_eq!(
            why,
            "port \"uplink\" of [underlay] leads to the other hosts, and one of type geneve has no wire; choose another \
             type or another name"
        );
        let too_small = "the underlay sends packets of up to 1500 bytes by port \"uplink\"; lower `underlay.mtu` in the config \
                         and restart, or give an MTU that is no less";
        assert_eq!(bench.refused("port/add", &["uplink", "type=memory", "mtu=1499"]).await, too_small);
        bench.ok("port/add", &["uplink", "type=memory", "mac=02:00:00:00:00:11"]).await;
        assert_eq!(bench.refused("port/set-mtu", &["uplink", "1499"]).await, too_small);
        bench.switch.state_mut().tick_underlay();
        let shown = bench.ok("underlay/show", &[]).await;
        let complaint = "underlay 192.0.2.11/24, fd00::11/64 on port uplink; there is no port of type geneve, where \
                         tunnels end; add it with `millrace port add geneve type=geneve`; 0 tunnels\n";
        assert!(shown.starts_with(complaint), "{shown}");
        bench.ok("port/add", &["geneve", "type=geneve"]).await;
        assert_eq!(
            bench.refused("port/set", &["geneve", "iface_id=vm1"]).await,
            "a port of type geneve is where tunnels end, and no logical port; name the port that is it"
        );
        // Nor is every address that of another host.
        for (address, sentence) in [
            (
                "192.0.2.255",
                "\"192.0.2.255\" is not the IP address of a host; write that by which the chassis is reached",
            ),
            (
                "192.0.2.0",
                "\"192.0.2.0\" is not the IP address of a host; write that by which the chassis is reached",
            ),
            (
                "fd00::11",
                "fd00::11 is the address of chassis hv1; give the address by which this one is reached",
            ),
        ] {
            assert_eq!(
                bench.refused("sbctl/change", &["chassis-add", "hv2", "geneve", address]).await,
                sentence
            );
        }
        bench.sbctl("chassis-add hv2 geneve 192.0.2.12 -- chassis-add hv3 geneve 198.51.100.3").await;
        bench.switch.state_mut().tick_underlay();
        bench.tell([Intent::Heard(Heard {
            ip: "::ffff:192.0.2.12".parse().unwrap(),
            mac: Mac([2, 0, 0, 0, 0, 12]),
            is_answer: true,
            overrides: true,
        })]);
        bench.switch.state_mut().tick_underlay();
        let shown = bench.ok("show", &[]).await;
        let part = "underlay 192.0.2.11/24, fd00::11/64 on port uplink; 2 tunnels, 1 without a next hop, BFD up with 0 of 2\n\n\
            chassis  address       next hop    state       bfd   remote  diagnostic     flaps\n\
            hv2      192.0.2.12    192.0.2.12  resolved    down  down    No Diagnostic      0\n\
            hv3      198.51.100.3  192.0.2.7   unresolved  down  down    No Diagnostic      0\n";
        assert!(shown.contains(part), "{shown}");
        let more = "         mac 02:00:00:00:00:11, vlan 7, mtu 1500, with checksum\n\nchassis ";
        let neighbours = "\nneighbour   mac                state       since\n\
            192.0.2.7   -                  incomplete    0 s\n\
            192.0.2.12  02:00:00:00:00:0c  reachable     0 s\n";
        let shown = bench.ok("underlay/show", &[]).await;
        assert!(shown.contains(more) && shown.ends_with(neighbours), "{shown}");
        bench.tell([Intent::Claimed("::ffff:192.0.2.11".parse().unwrap(), Mac([2, 0, 0, 0, 0, 0x66]))]);
        bench.switch.state_mut().tick_underlay();
        let claimed = "         another host claimed an address of these, 1 time; the last was 02:00:00:00:00:66 with \
                       192.0.2.11\n";
        assert!(bench.ok("underlay/show", &[]).await.contains(claimed));
        let json = bench.json("show", &[]).await["underlay"].take();
        assert_eq!(json["last_conflict"], json!({"ip": "192.0.2.11", "mac": "02:00:00:00:00:66"}));
        assert_eq!(json["endpoint"]["addresses"], json!(["192.0.2.11/24", "fd00::11/64"]));
        assert_eq!(json["tunnels"][0]["chassis"], "hv2");
        assert_eq!(json["tunnels"][0]["bfd"]["state"], "down");
        assert_eq!(json["neighbours"][1]["mac"], "02:00:00:00:00:0c");

        let bfd = bench.ok("bfd/show", &["hv2"]).await;
        assert!(bfd.starts_with("---- hv2 ----\n\tForwarding: false\n\tDetect Multiplier: 3\n"), "{bfd}");
        assert!(bfd.contains("\tLocal Session State: down\n") && !bfd.contains("hv3"), "{bfd}");
        assert!(bench.ok("bfd/show", &[]).await.contains("---- hv3 ----"));
        assert_eq!(
            bench.refused("bfd/show", &["hv4"]).await,
            "no such bfd object: there is no chassis \"hv4\"; did you mean \"hv3\"?"
        );
        let line = "=".repeat(74);
        let neighbours = format!(
            "{:<45} {:<19} Bridge\n{line}\n{:<45} {:<19} uplink\n",
            "IP", "MAC", "192.0.2.12", "02:00:00:00:00:0c"
        );
        assert_eq!(bench.ok("tnl/neigh/show", &[]).await, neighbours);
        assert_eq!(bench.ok("tnl/arp/show", &[]).await, neighbours);
        assert_eq!(
            bench.ok("ovs/route/show", &[]).await,
            "Route Table:\nCached: 192.0.2.0/24 dev uplink SRC 192.0.2.11\nCached: fd00::/64 dev uplink SRC fd00::11\n\
             User: 0.0.0.0/0 dev uplink GW 192.0.2.1 SRC 192.0.2.11\n\
             User: 198.51.100.0/24 dev uplink GW 192.0.2.7 SRC 192.0.2.11\n"
        );
        bench.switch.state_mut().overlay = {
            let mut config = config;
            config.underlay.as_mut().unwrap().bfd = None;
            crate::control::underlay::Overlay::new(&config)
        };
        assert_eq!(
            bench.refused("bfd/show", &[]).await,
            "there is no BFD here; set `bfd = true` in [underlay] of the config and start again"
        );
    });
}
