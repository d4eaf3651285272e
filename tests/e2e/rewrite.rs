//! Headers rewritten on the way, and judged by the kernel that receives them: with a wrong checksum it would not answer.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use crate::lab::{Capture, Drops, Host, Lab, Setup, Switch};

/// A megabyte there and back over TCP.
fn echo_a_megabyte(client: &Host, target: SocketAddr, server: &Host, listen: SocketAddr) {
    let limit = Some(Duration::from_secs(20));
    let listener = server.inside(|| TcpListener::bind(listen).expect("listen"));
    let echo = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accept");
        stream.set_read_timeout(limit).expect("set a limit");
        let mut all = vec![0; 1 << 20];
        stream.read_exact(&mut all).expect("receive a megabyte");
        stream.write_all(&all).expect("send it back");
    });
    let sent: Vec<u8> = (0..1u32 << 20).map(|place| (place.wrapping_mul(2654435761) >> 24) as u8).collect();
    let mut back = vec![0; sent.len()];
    client.inside(|| {
        let mut stream = TcpStream::connect_timeout(&target, Duration::from_secs(10))
            .unwrap_or_else(|error| panic!("{target} did not answer: {error}"));
        stream.set_read_timeout(limit).expect("set a limit");
        stream.write_all(&sent).expect("send a megabyte");
        stream.read_exact(&mut back).expect("receive it back");
    });
    echo.join().expect("the server");
    assert!(sent == back, "the megabyte came back changed");
}

/// Waits for nothing: what the kernel has counted as wrong checksums so far.
fn wrong_checksums(host: &Host) -> u64 {
    let snmp = host.ok(&["cat", "/proc/net/snmp"]);
    let lines: Vec<&str> = snmp.lines().collect();
    let pairs = lines.as_chunks::<2>().0.iter();
    pairs
        .flat_map(|[names, values]| names.split(' ').zip(values.split(' ')))
        .filter(|(name, _)| *name == "InCsumErrors")
        .map(|(_, value)| value.parse::<u64>().expect("a count"))
        .sum()
}

/// One machine talks to an address and port that do not exist; the switch makes them those of the other machine.
#[test]
fn destination_nat_over_tcp_v4() {
    let mut lab = Lab::new();
    let (one, two) = (lab.host(1), lab.host(2));
    let (outside, there) = ("10.9.9.9", "02:00:00:00:00:99");
    one.route(outside);
    one.knows(outside, there);
    two.knows(one.ip, &one.mac);
    let switch = Switch::start(&lab, &Setup::new().joined(&one.iface, &two.iface));
    switch.flows(&[
        &format!(
            "priority=40000,in_port=1,tcp,nw_dst={outside},tp_dst=8080,actions=mod_dl_dst:{},mod_nw_dst:{},\
             mod_tp_dst:5000,mod_nw_tos:32,dec_ttl,output:2",
            two.mac, two.ip
        ),
        &format!(
            "priority=40000,in_port=2,tcp,nw_src={},tp_src=5000,actions=set_field:{outside}->nw_src,\
             set_field:8080->tcp_src,set_field:{there}->eth_src,output:1",
            two.ip
        ),
    ]);
    let capture = Capture::start(&lab, &two, "tcp[tcpflags] & tcp-syn != 0");
    let target = SocketAddr::new(outside.parse().expect("an address"), 8080);
    echo_a_megabyte(&one, target, &two, SocketAddr::new(IpAddr::V4(two.ip), 5000));
    let syn = capture.take(1).swap_remove(0);
    assert_eq!((syn[15], syn[22]), (32, 63), "TOS and TTL of the rewritten packet: {syn:02x?}");
    assert_eq!((wrong_checksums(&one), wrong_checksums(&two)), (0, 0), "wrong checksums the kernels counted");
    assert!(switch.packets("in_port=2,tcp,tp_src=5000") > 10, "the way back did not meet its flow");
    switch.end(&Drops::none().maybe("tx_queue_full"));
}

#[test]
fn destination_nat_over_tcp_v6() {
    let mut lab = Lab::new();
    let (one, two) = (lab.host_with(1, 1500, true), lab.host_with(2, 1500, true));
    let (outside, there) = ("fd99::9", "02:00:00:00:00:99");
    one.route(outside);
    one.knows(outside, there);
    let switch = Switch::start(&lab, &Setup::new().joined(&one.iface, &two.iface));
    switch.flows(&[
        &format!(
            "priority=40000,in_port=1,tcp6,ipv6_dst={outside},tp_dst=8080,actions=mod_dl_dst:{},\
             set_field:{}->ipv6_dst,set_field:5000->tcp_dst,dec_ttl,output:2",
            two.mac, two.ip6
        ),
        &format!(
            "priority=40000,in_port=2,tcp6,ipv6_src={},tp_src=5000,actions=set_field:{outside}->ipv6_src,\
             set_field:8080->tcp_src,mod_dl_src:{there},output:1",
            two.ip6
        ),
    ]);
    let target = SocketAddr::new(outside.parse().expect("an address"), 8080);
    echo_a_megabyte(&one, target, &two, SocketAddr::new(IpAddr::V6(two.ip6), 5000));
    assert!(switch.packets("in_port=2,tcp6,tp_src=5000") > 10, "the way back did not meet its flow");
    switch.end(&Drops::none().maybe("tx_queue_full"));
}

/// UDP with every part of the address rewritten by `move` and `load` through a register.
#[test]
fn udp_addresses_swapped_by_moves_come_back() {
    let mut lab = Lab::new();
    let one = lab.host(1);
    let nobody = "10.0.0.77";
    one.knows(nobody, "02:00:00:00:00:77");
    let switch = Switch::start(
        &lab,
        &Setup::new()
            .port("p1", &format!("type=af_packet iface={} number=1", one.iface))
            .flow(
                "priority=10,udp,actions=move:NXM_OF_IP_SRC[]->NXM_NX_REG0[],move:NXM_OF_IP_DST[]->NXM_OF_IP_SRC[],\
                 move:NXM_NX_REG0[]->NXM_OF_IP_DST[],push:NXM_OF_ETH_SRC[],push:NXM_OF_ETH_DST[],\
                 pop:NXM_OF_ETH_SRC[],pop:NXM_OF_ETH_DST[],load:9->NXM_OF_UDP_DST[],move:NXM_OF_UDP_SRC[]->NXM_OF_UDP_DST[],\
                 load:4321->NXM_OF_UDP_SRC[],in_port",
            )
            .flow("priority=0,actions=drop"),
    );
    let socket = one.inside(|| UdpSocket::bind((one.ip, 1234)).expect("bind"));
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("set a limit");
    for length in [1, 2, 3, 100, 1472] {
        let sent: Vec<u8> = (0..length).map(|place: u32| place as u8).collect();
        socket.send_to(&sent, (nobody, 4321)).expect("send");
        let mut buffer = [0; 2000];
        let (size, from) =
            socket.recv_from(&mut buffer).expect("the datagram comes back within five seconds");
        assert_eq!((&buffer[..size], from.to_string()), (&sent[..], format!("{nobody}:4321")));
    }
    assert_eq!(wrong_checksums(&one), 0, "wrong checksums the kernel counted");
    switch.end(&Drops::none());
}
