//! Which endpoints can be, and what the workers look up.

use super::*;
use crate::packet::PortNo;

#[test]
fn an_endpoint_is_refused_with_the_mend() {
    let new = |addresses: &[(&str, u8)], mac, vlan, mtu| {
        let addresses: Vec<_> = addresses.iter().map(|(text, prefix)| (ip(text), *prefix)).collect();
        Endpoint::new(mac, vlan, &addresses, mtu, true).err()
    };
    let good = [("192.168.50.11", 24)];
    assert_eq!(new(&good, OWN, Some(4094), 1500), None);
    assert_eq!(new(&[], OWN, None, 1500), Some(BadEndpoint::NoAddress));
    assert_eq!(new(&[("10.0.0.1", 8); 9], OWN, None, 1500), Some(BadEndpoint::TooMany));
    assert_eq!(new(&[("10.0.0.1", 33)], OWN, None, 1500), Some(BadEndpoint::BadPrefix(ip("10.0.0.1"), 33)));
    assert_eq!(new(&[("fd00::1", 128)], OWN, None, 1500), None);
    for odd in ["224.0.0.1", "ff02::1", "0.0.0.0", "::", "255.255.255.255"] {
        assert_eq!(new(&[(odd, 8)], OWN, None, 1500), Some(BadEndpoint::NotUnicast(ip(odd))));
    }
    assert_eq!(new(&good, Mac::BROADCAST, None, 1500), Some(BadEndpoint::BadMac(Mac::BROADCAST)));
    assert_eq!(new(&good, OWN, Some(4095), 1500), Some(BadEndpoint::BadVlan(4095)));
    assert_eq!(new(&good, OWN, None, 575), Some(BadEndpoint::BadMtu(575)));
    assert_eq!(
        BadEndpoint::BadMtu(575).to_string(),
        "an MTU of 575 leaves no room for tunnelled packets; give the underlay at least 576"
    );
}

#[test]
fn prefixes_say_who_is_near() {
    let endpoint = endpoint(None);
    for (near, far) in
        [("192.168.50.255", "192.168.51.1"), ("10.9.0.3", "10.9.0.4"), ("fd00:50::9", "fd00:51::9")]
    {
        assert!(endpoint.is_on_link(v6(near)) && !endpoint.is_on_link(v6(far)));
    }
    assert!(endpoint.is_on_link(v6("fe80::1")));
    assert!(endpoint.has(v6("10.9.0.1")) && !endpoint.has(v6("10.9.0.2")) && endpoint.has(v6("fd00:50::11")));
    assert_eq!(endpoint.source_for(v6("1.2.3.4")), Some(v6("192.168.50.11")));
    let everywhere = Endpoint::new(OWN, None, &[(ip("10.0.0.1"), 0)], 1500, true).unwrap();
    assert!(everywhere.is_on_link(v6("192.168.50.1")) && !everywhere.is_on_link(v6("fd00::1")));
}

#[test]
fn peers_and_networks_are_found() {
    let remote = |to| Remote::new(&peer(None), v6(to), v6(to), Some(OWN)).unwrap();
    let remotes = [remote("192.168.50.11"), remote("fd00:50::11")];
    let underlay = Underlay::new(PortNo(3), peer(None), remotes.clone(), Some([9, 1, 5].into()));
    assert_eq!(underlay.remote(v6("192.168.50.11")), Some(&remotes[0]));
    assert_eq!(underlay.remote(v6("fd00:50::11")), Some(&remotes[1]));
    assert_eq!(underlay.remote(v6("192.168.50.13")), None);
    let known: Vec<_> = (0..12).filter(|vni| underlay.knows_vni(*vni)).collect();
    assert_eq!(known, [1, 5, 9]);
    assert!(Underlay::new(PortNo(3), peer(None), [], None).knows_vni(77));
}
