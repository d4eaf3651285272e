//! Cost of the parser, per packet in bursts of 32 that lie hot in the cache.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use etherparse::{PacketBuilder, VlanId};
use millrace::packet::parse::parse;
use millrace::packet::{FlowKey, PacketMeta};

const BURST: usize = 32;

/// The frames, each under the name of its kind.
fn kinds() -> Vec<(&'static str, Vec<u8>)> {
    let eth = || PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let payload = [0; 18];
    let vlan = VlanId::try_new(7).expect("7 is an identifier");
    let (mut udp, mut tcp, mut tcp6) = (Vec::new(), Vec::new(), Vec::new());
    let written = [
        eth().ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(1000, 2000).write(&mut udp, &payload),
        eth()
            .single_vlan(vlan)
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .tcp(1000, 2000, 1, 2)
            .write(&mut tcp, &payload),
        eth().ipv6([1; 16], [2; 16], 64).tcp(1000, 2000, 1, 2).write(&mut tcp6, &payload),
    ];
    assert!(written.iter().all(Result::is_ok));
    let mut arp = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1];
    arp.resize(60, 3);
    vec![("ipv4_udp", udp), ("vlan_ipv4_tcp", tcp), ("ipv6_tcp", tcp6), ("arp", arp)]
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    group.throughput(Throughput::Elements(BURST as u64));
    for (name, frame) in kinds() {
        let frames = vec![frame; BURST];
        let mut metas = [PacketMeta::default(); BURST];
        let mut keys = [FlowKey::default(); BURST];
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for ((frame, meta), key) in black_box(&frames).iter().zip(&mut metas).zip(&mut keys) {
                    let _ = black_box(parse(frame, meta, key));
                }
                black_box((&mut metas, &mut keys));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
