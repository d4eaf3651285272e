//! Devices of DPDK: what a port's keys mean as devargs, and the way from [`Device`] to [`Port`].

use std::collections::HashMap;
use std::fs::File;

use arrayvec::ArrayVec;

use super::device::{Backend, Device, Facts};
use super::precheck;
use crate::config::{PortKind, PortSpec, VhostMode};
use crate::datapath::{Buffers, DeviceStats};
use crate::dpdk::eal::RegisteredThread;
use crate::dpdk::mbuf::Mbuf;
use crate::dpdk::pool::{self, Pool};
use crate::dpdk::port::{Options, Port};
use crate::ident::{BURST, Sent, WorkerId};
use crate::packet::PacketMeta;

impl Device for Port {
    type Packet = Mbuf;

    #[inline]
    fn rx_burst(&self, worker: &mut WorkerId, queue: u16, out: &mut ArrayVec<Mbuf, BURST>) -> usize {
        Port::rx_burst(self, worker, queue, out)
    }

    #[inline]
    fn tx_burst(&self, worker: &mut WorkerId, packets: &mut ArrayVec<Mbuf, BURST>) -> Sent {
        Port::tx_burst(self, worker, packets)
    }

    #[inline(always)]
    fn prefetch(packet: &Mbuf) {
        packet.prefetch_data();
    }

    #[inline(always)]
    fn read_meta(packet: &Mbuf, meta: &mut PacketMeta) {
        packet.read_meta(meta);
    }

    #[inline(always)]
    fn is_linear(packet: &Mbuf) -> bool {
        packet.is_linear()
    }

    fn linear(packet: Mbuf) -> Option<Mbuf> {
        if packet.is_linear() { Some(packet) } else { packet.linearised() }
    }

    #[inline]
    fn prepare(&self, packet: &mut Mbuf, meta: &PacketMeta) -> bool {
        Port::prepare(self, packet, meta)
    }

    fn set_rx_owner(&self, queue: u16, worker: Option<u16>) {
        Port::set_rx_owner(self, queue, worker);
    }

    fn packet(&self, frame: &[u8]) -> Option<Mbuf> {
        self.pool()?.packet(frame)
    }

    fn buffers(&self) -> Option<Buffers> {
        self.pool().map(|pool| Buffers { size: pool.size(), free: pool.available() })
    }

    fn frame_room(&self) -> usize {
        self.pool().map_or(0, Pool::frame_room)
    }

    fn set_mtu(&self, mtu: u16) -> Result<(), String> {
        Port::set_mtu(self, mtu)
    }

    fn link(&self) -> (bool, u32, bool) {
        Port::link(self)
    }

    fn facts(&self) -> Facts {
        let (tx_queues, tx_shared) = self.tx_queues();
        let (rx_descriptors, tx_descriptors) = self.descriptors();
        Facts {
            driver: self.driver().to_owned(),
            mac: self.mac(),
            rx_queues: self.rx_queues(),
            tx_queues,
            tx_shared,
            rx_descriptors,
            tx_descriptors,
            offloads: self.offloads(),
            numa: self.numa(),
        }
    }

    fn stats(&self) -> DeviceStats {
        let [ipackets, opackets, ibytes, obytes, imissed, ierrors, oerrors, rx_nombuf] = Port::stats(self);
        DeviceStats { ipackets, opackets, ibytes, obytes, imissed, ierrors, oerrors, rx_nombuf }
    }

    fn xstats(&self) -> Vec<(String, u64)> {
        Port::xstats(self)
    }
}

/// Opens DPDK's devices. The environment runs for as long as the backend lives.
#[derive(Default)]
pub struct DpdkBackend {
    /// How many devices of each driver were opened: every one has a name of its own, never used again.
    opened: HashMap<&'static str, u32>,
}

impl DpdkBackend {
    fn vdev(&mut self, driver: &'static str, arguments: &[String]) -> String {
        let count = self.opened.entry(driver).or_insert(0);
        // Not the names that people give to a `vdev` of their own.
        let name = format!("{driver}_mr{count}");
        *count += 1;
        std::iter::once(name).chain(arguments.iter().cloned()).collect::<Vec<_>>().join(",")
    }

    /// The devargs of a port.
    fn devargs(&mut self, spec: &PortSpec) -> Result<String, String> {
        Ok(match &spec.kind {
            PortKind::AfPacket { iface } => {
                let mut arguments = vec![format!("iface={iface}"), format!("qpairs={}", spec.n_rxq)];
                arguments.extend(frame_arguments(spec));
                self.vdev("net_af_packet", &arguments)
            }
            PortKind::VhostUser { socket, mode } => {
                // Here a client is the one that connects, so DPDK's `client=1` is our mode of that name.
                let client = u8::from(*mode == VhostMode::Client);
                let queues = spec.n_rxq.max(spec.n_txq.unwrap_or(1)).max(1);
                let arguments =
                    [format!("iface={socket}"), format!("queues={queues}"), format!("client={client}")];
                self.vdev("net_vhost", &arguments)
            }
            PortKind::Pcap { rx_file, tx_file, infinite } => {
                let mut arguments = Vec::new();
                if let Some(file) = rx_file {
                    arguments.extend((0..spec.n_rxq).map(|_| format!("rx_pcap={file}")));
                    arguments.push(format!("infinite_rx={}", u8::from(*infinite)));
                }
                if let Some(file) = tx_file {
                    arguments.push(format!("tx_pcap={file}"));
                }
                self.vdev("net_pcap", &arguments)
            }
            PortKind::Null { size, no_rx } => {
                let arguments = [format!("size={size}"), format!("no-rx={}", u8::from(*no_rx))];
                self.vdev("net_null", &arguments)
            }
            PortKind::Vdev { devargs } => devargs.clone(),
            // DPDK finds a device by its whole name only.
            PortKind::Pci { devargs } if has_no_domain(devargs) => format!("0000:{devargs}"),
            PortKind::Pci { devargs } => devargs.clone(),
            PortKind::Geneve => return Err("a port of type geneve has no device to open".to_owned()),
            PortKind::Memory => {
                return Err("a port of type memory exists only in a switch that runs with --no-dpdk; here, \
                            type null or pcap may serve"
                    .to_owned());
            }
        })
    }
}

/// Whether a PCI address is written short, as 03:00.0.
fn has_no_domain(devargs: &str) -> bool {
    let address = devargs.split(',').next().unwrap_or_default();
    address.matches(':').count() == 1
}

/// Ring geometry of af_packet for an MTU: frames that hold it, in blocks that hold whole frames.
fn frame_arguments(spec: &PortSpec) -> Vec<String> {
    const HEADERS: u32 = 96;
    const TAGS: u32 = 14 + 8;
    let frame = (u32::from(spec.mtu) + TAGS + HEADERS).next_power_of_two().max(2048);
    let block = frame.max(4096);
    let count = spec.n_rxq_desc.unwrap_or(1024).max(16);
    vec![format!("framesz={frame}"), format!("blocksz={block}"), format!("framecnt={count}")]
}

/// Whether a kernel interface was promiscuous before we came (IFF_PROMISC of netdevice(7)).
fn is_promiscuous(kind: &PortKind) -> bool {
    const IFF_PROMISC: u32 = 0x100;
    let PortKind::AfPacket { iface } = kind else { return false };
    let flags = std::fs::read_to_string(format!("/sys/class/net/{iface}/flags")).unwrap_or_default();
    let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).unwrap_or(0);
    flags & IFF_PROMISC != 0
}

/// Packets in a capture file, which the driver keeps in buffers when it sends the file again and again.
fn packets_in(file: &str) -> u32 {
    let Ok(file) = File::open(file) else { return 0 };
    let Ok(mut reader) = pcap_file::pcap::PcapReader::new(std::io::BufReader::new(file)) else { return 0 };
    let mut count = 0;
    while let Some(Ok(_)) = reader.next_raw_packet() {
        count += 1;
    }
    count
}

impl Backend for DpdkBackend {
    type Device = Port;
    type Thread = RegisteredThread;

    fn open(&mut self, spec: &PortSpec, workers: u16) -> Result<Port, String> {
        precheck::check(spec)?;
        let extra_buffers = match &spec.kind {
            PortKind::Pcap { rx_file: Some(file), infinite: true, .. } => {
                packets_in(file) * u32::from(spec.n_rxq)
            }
            _ => 0,
        };
        // A driver that pairs its queues takes as many transmit queues as receive queues.
        let paired = matches!(spec.kind, PortKind::AfPacket { .. });
        let options = Options {
            devargs: self.devargs(spec)?,
            n_rxq: spec.n_rxq,
            n_txq: if paired { spec.n_rxq } else { spec.n_txq.unwrap_or(workers) },
            n_rxq_desc: spec.n_rxq_desc,
            n_txq_desc: spec.n_txq_desc,
            mtu: spec.mtu,
            mac: spec.mac,
            // Where the interface receives everything already, that is somebody else's to end.
            promiscuous: spec.promiscuous && !is_promiscuous(&spec.kind),
            rss: spec.rss,
            checksum_offload: spec.checksum_offload,
            workers,
            forget_early: paired,
            extra_buffers,
        };
        Port::open(&options)
    }

    fn enter_thread() -> Result<RegisteredThread, String> {
        RegisteredThread::register()
            .ok_or_else(|| "DPDK has no place left for its thread; lower the number of workers".to_owned())
    }

    fn look(&mut self) -> bool {
        pool::look_at_orphans()
    }

    fn free(&mut self) {
        pool::free_orphans();
    }

    #[inline(always)]
    fn tsc() -> u64 {
        crate::dpdk::tsc()
    }

    fn tsc_hz() -> u64 {
        crate::dpdk::tsc_hz()
    }
}
