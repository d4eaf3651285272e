//! The whole loop on one worker: receive, parse, translate, execute, transmit, over DPDK's null ports and over frames
//! replayed from memory. One iteration is one packet. Nothing but the worker runs meanwhile.
#![cfg_attr(not(feature = "dpdk"), allow(missing_docs))]

#[cfg(feature = "dpdk")]
#[path = "../tests/support/mod.rs"]
mod support;

#[cfg(feature = "dpdk")]
mod bench {
    use std::fs::File;
    use std::path::Path;
    use std::time::{Duration, Instant};

    use criterion::{Criterion, Throughput};
    use millrace::config::{PortKind, PortSpec};
    use millrace::datapath::Datapath;
    use millrace::pipeline::cache::CacheSizes;
    use millrace::worker::{DpdkBackend, Engine, WorkerSetup};
    use pcap_file::pcap::{PcapPacket, PcapWriter};

    use super::support::{add, all_cores, numbered, remove, set_flows, start_dpdk};

    /// 64-byte frames (60 without FCS) of that many UDP flows.
    fn capture(path: &Path, flows: u16) {
        let mut writer = PcapWriter::new(File::create(path).unwrap()).unwrap();
        for flow in 0..flows {
            let frame = numbered(flow, u32::from(flow), 60);
            let packet = PcapPacket::new(Duration::ZERO, frame.len() as u32, &frame);
            writer.write_packet(&packet).unwrap();
        }
    }

    fn forward(switch: &Engine<DpdkBackend>, packets: u64) -> Duration {
        let (start, before) = (Instant::now(), switch.totals().received);
        loop {
            let done = switch.totals().received - before;
            if done >= packets {
                return start.elapsed().mul_f64(packets as f64 / done as f64);
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    pub fn all(criterion: &mut Criterion) {
        let cores = all_cores();
        let worker_core = *cores.last().unwrap();
        let eal = start_dpdk(vec![*cores.first().unwrap()]);
        let setups = [WorkerSetup { core: Some(worker_core), numa: -1 }];
        let mut switch =
            Engine::start(DpdkBackend::default(), &setups, Duration::ZERO, CacheSizes::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        add(&mut switch, &PortSpec::new("sink", PortKind::Null { size: 64, no_rx: true }));
        let mut group = criterion.benchmark_group("loop");
        group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(2));
        let null = PortKind::Null { size: 60, no_rx: false };
        let replay = |flows| {
            let file = folder.path().join(format!("{flows}.pcap"));
            capture(&file, flows);
            let rx_file = Some(file.to_str().unwrap().to_owned());
            PortKind::Pcap { rx_file, tx_file: None, infinite: true }
        };
        let masks = [
            "table=0,actions=resubmit(,1)",
            "table=1,priority=3,udp,tp_src=1001 actions=1",
            "table=1,priority=2,udp,nw_src=10.0.0.0/8 actions=1",
            "table=1,priority=1,dl_dst=02:00:00:00:00:02 actions=1",
        ];
        for (name, kind, flows) in [
            ("null, in_port to output", null.clone(), &["in_port=2 actions=1"][..]),
            ("null, drop", null, &["in_port=2 actions=drop"]),
            ("1000 UDP flows, in_port to output", replay(1000), &["in_port=2 actions=1"]),
            ("1000 UDP flows, two tables and three masks", replay(1000), &masks),
            ("1000 UDP flows, rewrite", replay(1000), &["udp actions=mod_nw_dst:10.9.9.9,dec_ttl,1"]),
        ] {
            let source = add(&mut switch, &PortSpec::new("source", kind));
            set_flows(&mut switch, flows);
            group.bench_function(name, |bencher| bencher.iter_custom(|packets| forward(&switch, packets)));
            remove(&mut switch, source);
        }
        group.finish();
        assert_eq!(switch.totals().imbalance(), 0);
        switch.shutdown();
        drop(switch);
        drop(eal);
    }
}

#[cfg(feature = "dpdk")]
criterion::criterion_group!(benches, bench::all);
#[cfg(feature = "dpdk")]
criterion::criterion_main!(benches);

#[cfg(not(feature = "dpdk"))]
fn main() {
    eprintln!("the whole loop runs over DPDK: build with the feature `dpdk`");
}
