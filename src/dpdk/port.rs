//! An Ethernet device: probed, configured and started by [`Port::open`], stopped, closed and removed by its drop.
//!
//! Who may use a queue is checked on every burst, with one relaxed load: a receive queue by its owner, which the
//! control thread changes only after every worker has left the publication that named the earlier one; a transmit
//! queue by the worker of its number, or, where workers outnumber queues, by whoever wins its try-lock. A
//! [`WorkerId`] exists once per number and switch, so no two threads pass for the same worker.

use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use arrayvec::ArrayVec;
use crossbeam::utils::CachePadded;

use super::mbuf::{MAX_L3_LEN, Mbuf};
use super::pool::Pool;
use super::{Errno, log, sys};
use crate::ident::{BURST, Sent, WorkerId};
use crate::packet::checksum::{self, Datagram};
use crate::packet::headers::ip_proto;
use crate::packet::{CsumState, Mac, Packet, PacketMeta};

/// Owner of a receive queue that nobody may poll.
const NOBODY: u16 = u16::MAX;
/// Frame bytes beyond the MTU: Ethernet header and two VLAN tags.
pub const L2_OVERHEAD: u16 = 14 + 8;

/// What a device is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Devargs for `rte_dev_probe`, such as `net_af_packet0,iface=veth0`.
    pub devargs: String,
    /// Receive queues asked for.
    pub n_rxq: u16,
    /// Transmit queues asked for; fewer are taken where the device has fewer.
    pub n_txq: u16,
    /// Receive descriptors a queue; the driver's default if none.
    pub n_rxq_desc: Option<u16>,
    /// Transmit descriptors a queue; the driver's default if none.
    pub n_txq_desc: Option<u16>,
    /// MTU.
    pub mtu: u16,
    /// Address to set.
    pub mac: Option<Mac>,
    /// Receive frames for other addresses.
    pub promiscuous: bool,
    /// Spread over queues by RSS and deliver the hash.
    pub rss: bool,
    /// Use checksum offloads where the device has them.
    pub checksum_offload: bool,
    /// Workers that will use it: the pool holds what their caches and bursts may take.
    pub workers: u16,
    /// Throws away what the device received before it was fully set up, as a packet socket does that is not yet bound to
    /// its interface: it hears all of them.
    pub forget_early: bool,
    /// Buffers that the driver itself keeps for as long as it runs, such as the packets of an endless capture file.
    pub extra_buffers: u32,
}

/// An open, running device.
pub struct Port {
    id: u16,
    device: *mut sys::rte_device,
    driver: String,
    rx_owners: Box<[AtomicU16]>,
    /// Try-locks of the transmit queues, if workers share them.
    tx_locks: Option<Box<[CachePadded<AtomicBool>]>>,
    n_txq: u16,
    n_rxd: u16,
    n_txd: u16,
    tx_offloads: u64,
    rx_offloads: u64,
    numa: i32,
    started: bool,
    /// Whether it was made to receive everything, which outlives the device where the kernel keeps the interface.
    promiscuous: bool,
    /// Dropped after the device is closed.
    pool: Option<Pool>,
}

// SAFETY: the device pointer is only used by the drop. Queues are guarded as the module says; everything else that
// takes `&self` is a call of the control plane that DPDK allows beside running queues.
unsafe impl Send for Port {}
// SAFETY: as above.
unsafe impl Sync for Port {}

impl Port {
    /// Probes, configures and starts a device. The error is one sentence.
    pub fn open(options: &Options) -> Result<Self, String> {
        log::forget();
        let mut port = Self::probe(&options.devargs)?;
        port.configure(options)?;
        Ok(port)
    }

    fn probe(devargs: &str) -> Result<Self, String> {
        let name = devargs.split(',').next().unwrap_or_default();
        let fail = |what: String| {
            format!("the device {devargs} cannot be opened: {what}{}; mend its arguments", log::said())
        };
        let (c_args, c_name) = match (CString::new(devargs), CString::new(name)) {
            (Ok(args), Ok(name)) => (args, name),
            _ => return Err(fail("its devargs contain a NUL byte".to_owned())),
        };
        let mut id = 0;
        // SAFETY: a NUL-terminated name and a place for the answer.
        if unsafe { sys::rte_eth_dev_get_port_by_name(c_name.as_ptr(), &mut id) } == 0 && Self::is_claimed(id)
        {
            return Err(fail("another port of this switch has it".to_owned()));
        }
        // SAFETY: a NUL-terminated string, not kept.
        let answer = unsafe { sys::rte_dev_probe(c_args.as_ptr()) };
        if answer != 0 {
            return Err(fail(Errno::from_return(answer).to_string()));
        }
        // SAFETY: as above.
        let found = unsafe { sys::rte_eth_dev_get_port_by_name(c_name.as_ptr(), &mut id) };
        if found != 0 {
            return Err(fail("it was probed but is no Ethernet device".to_owned()));
        }
        Self::claim(id, true);
        // SAFETY: the port id was just found; both return NULL or a pointer good while the device is there.
        let (device, driver) = unsafe { (sys::mr_device_of(id), sys::mr_driver_of(id)) };
        let driver = if driver.is_null() {
            String::new()
        } else {
            // SAFETY: a NUL-terminated string of the driver.
            unsafe { CStr::from_ptr(driver) }.to_string_lossy().into_owned()
        };
        Ok(Self {
            id,
            device,
            driver,
            rx_owners: Box::default(),
            tx_locks: None,
            n_txq: 0,
            n_rxd: 0,
            n_txd: 0,
            tx_offloads: 0,
            rx_offloads: 0,
            numa: -1,
            started: false,
            promiscuous: false,
            pool: None,
        })
    }

    fn claim(id: u16, claimed: bool) {
        if let Some(slot) = CLAIMED.get(usize::from(id)) {
            slot.store(claimed, Ordering::Release);
        }
    }

    fn is_claimed(id: u16) -> bool {
        CLAIMED.get(usize::from(id)).is_some_and(|slot| slot.load(Ordering::Acquire))
    }

    fn info(&self) -> Result<sys::rte_eth_dev_info, String> {
        let mut info = sys::rte_eth_dev_info::default();
        // SAFETY: the port exists; the struct is filled in.
        self.check(unsafe { sys::rte_eth_dev_info_get(self.id, &mut info) }, "does not describe itself")?;
        Ok(info)
    }

    /// Turns a failed call into a sentence.
    fn check(&self, answer: i32, what: &str) -> Result<(), String> {
        if answer == 0 {
            return Ok(());
        }
        Err(format!("the device {} {what}: {}{}", self.driver, Errno::from_return(answer), log::said()))
    }

    fn configure(&mut self, options: &Options) -> Result<(), String> {
        let info = self.info()?;
        self.numa = match info.device {
            // SAFETY: the port exists.
            _ if !info.device.is_null() => unsafe { sys::rte_eth_dev_socket_id(self.id) },
            _ => -1,
        };
        if options.n_rxq == 0 || options.n_rxq > info.max_rx_queues {
            return Err(format!(
                "the device {} has at most {} receive queue(s), and {} were asked for; set `n_rxq` to fit",
                self.driver, info.max_rx_queues, options.n_rxq
            ));
        }
        let (least, most) = mtu_range(&info);
        if !(least..=most).contains(&options.mtu) {
            return Err(format!(
                "the device {} allows an MTU from {least} to {most}, and {} was asked for; set `mtu` to fit",
                self.driver, options.mtu
            ));
        }
        self.n_txq = options.n_txq.clamp(1, info.max_tx_queues.max(1));
        self.negotiate(options, &info);
        let mut conf = sys::rte_eth_conf::default();
        conf.rxmode.offloads = self.rx_offloads;
        conf.txmode.offloads = self.tx_offloads;
        let rss = info.flow_type_rss_offloads
            & (sys::RTE_ETH_RSS_IP | sys::RTE_ETH_RSS_TCP | sys::RTE_ETH_RSS_UDP | sys::RTE_ETH_RSS_SCTP);
        if options.rss && rss != 0 && options.n_rxq > 1 {
            conf.rxmode.mq_mode = sys::rte_eth_rx_mq_mode_RTE_ETH_MQ_RX_RSS;
            conf.rx_adv_conf.rss_conf.rss_hf = rss;
        }
        // SAFETY: the port exists and is stopped; the configuration is copied.
        let answer = unsafe { sys::rte_eth_dev_configure(self.id, options.n_rxq, self.n_txq, &conf) };
        self.check(answer, "refused its configuration")?;
        self.set_up_queues(options)?;
        if let Some(mac) = options.mac {
            let mut address = sys::rte_ether_addr { addr_bytes: mac.0 };
            // SAFETY: the port exists; the address is copied.
            let answer = unsafe { sys::rte_eth_dev_default_mac_addr_set(self.id, &mut address) };
            self.check(answer, &format!("does not take the address {mac}; leave `mac` out"))?;
        }
        self.set_mtu(options.mtu)?;
        // SAFETY: the port is configured and its queues are set up.
        self.check(unsafe { sys::rte_eth_dev_start(self.id) }, "did not start")?;
        self.started = true;
        if options.promiscuous {
            // Devices that always receive everything may refuse; that is no failure.
            // SAFETY: the port runs.
            self.promiscuous = unsafe { sys::rte_eth_promiscuous_enable(self.id) } == 0;
        }
        if options.forget_early {
            self.forget_early();
        }
        Ok(())
    }

    /// Empties the receive queues. Nobody has them yet.
    fn forget_early(&self) {
        for queue in 0..self.rx_queues() {
            for _ in 0..usize::from(u16::MAX) / BURST {
                let mut early = [std::ptr::null_mut(); BURST];
                // SAFETY: the port runs and its queues have no owner, so this thread alone polls them. The driver
                // writes `count` valid mbufs, which are freed here.
                let count = unsafe {
                    let count = sys::mr_rx_burst(self.id, queue, early.as_mut_ptr(), BURST as u16);
                    early.iter().take(usize::from(count)).for_each(|mbuf| sys::mr_mbuf_free(*mbuf));
                    count
                };
                if count == 0 {
                    break;
                }
            }
        }
    }

    /// Takes the offloads that both sides have.
    fn negotiate(&mut self, options: &Options, info: &sys::rte_eth_dev_info) {
        if options.checksum_offload {
            let both = sys::RTE_ETH_RX_OFFLOAD_CHECKSUM | sys::RTE_ETH_RX_OFFLOAD_SCTP_CKSUM;
            self.rx_offloads |= info.rx_offload_capa & both;
            let both = sys::RTE_ETH_TX_OFFLOAD_IPV4_CKSUM
                | sys::RTE_ETH_TX_OFFLOAD_TCP_CKSUM
                | sys::RTE_ETH_TX_OFFLOAD_UDP_CKSUM
                | sys::RTE_ETH_TX_OFFLOAD_SCTP_CKSUM;
            self.tx_offloads |= info.tx_offload_capa & both;
        }
        if options.rss && options.n_rxq > 1 {
            self.rx_offloads |= info.rx_offload_capa & sys::RTE_ETH_RX_OFFLOAD_RSS_HASH;
        }
    }

    fn set_up_queues(&mut self, options: &Options) -> Result<(), String> {
        // 0 asks for the driver's own default.
        let (mut n_rxd, mut n_txd) = (options.n_rxq_desc.unwrap_or(512), options.n_txq_desc.unwrap_or(512));
        // SAFETY: the port is configured; both numbers are adjusted in place.
        let answer = unsafe { sys::rte_eth_dev_adjust_nb_rx_tx_desc(self.id, &mut n_rxd, &mut n_txd) };
        self.check(answer, "does not allow these numbers of descriptors; change `n_rxq_desc`, `n_txq_desc`")?;
        (self.n_rxd, self.n_txd) = (n_rxd, n_txd);
        let queues = u32::from(options.n_rxq) * u32::from(n_rxd) + u32::from(self.n_txq) * u32::from(n_txd);
        let workers = (u32::from(options.workers) + 1) * (super::pool::CACHE * 3 / 2 + 4 * BURST as u32);
        let frame = options.mtu.saturating_add(L2_OVERHEAD).max(2048);
        let pool = Pool::new(queues + workers + options.extra_buffers + 1024, frame, self.numa)?;
        let node = self.numa.cast_unsigned();
        for queue in 0..options.n_rxq {
            // SAFETY: the port is configured with that queue; the pool outlives the port (field order, drop).
            let answer = unsafe {
                sys::rte_eth_rx_queue_setup(self.id, queue, n_rxd, node, std::ptr::null(), pool.as_ptr())
            };
            self.check(answer, &format!("did not set up receive queue {queue}"))?;
        }
        for queue in 0..self.n_txq {
            // SAFETY: as above.
            let answer =
                unsafe { sys::rte_eth_tx_queue_setup(self.id, queue, n_txd, node, std::ptr::null()) };
            self.check(answer, &format!("did not set up transmit queue {queue}"))?;
        }
        self.pool = Some(pool);
        self.rx_owners = (0..options.n_rxq).map(|_| AtomicU16::new(NOBODY)).collect();
        self.tx_locks =
            (options.workers > self.n_txq).then(|| (0..self.n_txq).map(|_| CachePadded::default()).collect());
        Ok(())
    }

    /// Sets the MTU, as far as buffers and device allow it. A device that has no say in it takes any that fits.
    pub fn set_mtu(&self, mtu: u16) -> Result<(), String> {
        let room = self.pool.as_ref().map_or(0, Pool::frame_room);
        if usize::from(mtu) + usize::from(L2_OVERHEAD) > room {
            return Err(format!(
                "the port's buffers hold frames of {room} bytes, which allows an MTU of {}; to go above, remove the \
                 port and add it with `mtu={mtu}`",
                room.saturating_sub(usize::from(L2_OVERHEAD))
            ));
        }
        // SAFETY: the port exists.
        let answer = unsafe { sys::rte_eth_dev_set_mtu(self.id, mtu) };
        if answer == -libc::ENOTSUP {
            return Ok(());
        }
        if answer == -libc::EBUSY {
            return Err(format!(
                "the device {} changes its MTU only while it is stopped; remove the port and add it with `mtu={mtu}`",
                self.driver
            ));
        }
        if answer != 0 {
            let (least, most) = mtu_range(&self.info()?);
            return Err(format!(
                "the device {} does not take the MTU {mtu}: {}{}; it allows {least} to {most}",
                self.driver,
                Errno::from_return(answer),
                log::said(),
            ));
        }
        Ok(())
    }

    /// Names the worker that may poll a receive queue. The caller has made sure that no worker polls it now.
    pub(crate) fn set_rx_owner(&self, queue: u16, worker: Option<u16>) {
        if let Some(owner) = self.rx_owners.get(usize::from(queue)) {
            owner.store(worker.unwrap_or(NOBODY), Ordering::Release);
        }
    }

    /// Receives into the free part of `out`, if the queue is this worker's. Returns how many came.
    #[inline]
    pub fn rx_burst(&self, worker: &mut WorkerId, queue: u16, out: &mut ArrayVec<Mbuf, BURST>) -> usize {
        let Some(owner) = self.rx_owners.get(usize::from(queue)) else { return 0 };
        if owner.load(Ordering::Relaxed) != worker.number() {
            return 0;
        }
        let held = out.len();
        let room = out.remaining_capacity() as u16;
        // SAFETY: the queue was set up, the port runs until its drop, and this worker alone polls the queue. `Mbuf`
        // is transparent over a non-null pointer; the driver writes `received` valid ones, owned by nobody else, into
        // the unused capacity.
        unsafe {
            let free = out.as_mut_ptr().add(held).cast::<*mut sys::rte_mbuf>();
            let received = usize::from(sys::mr_rx_burst(self.id, queue, free, room));
            out.set_len(held + received);
            received
        }
    }

    /// Hands packets from the front of `packets` to the driver; those that it did not take stay.
    #[inline]
    pub fn tx_burst<const N: usize>(&self, worker: &mut WorkerId, packets: &mut ArrayVec<Mbuf, N>) -> Sent {
        let queue = worker.number() % self.n_txq;
        let lock = match &self.tx_locks {
            None => None,
            Some(locks) => {
                let Some(lock) = locks.get(usize::from(queue)) else { return Sent::Contended };
                if lock.swap(true, Ordering::Acquire) {
                    return Sent::Contended;
                }
                Some(lock)
            }
        };
        let count = packets.len() as u16;
        // SAFETY: the queue was set up, the port runs until its drop, and this worker alone uses the queue: it is
        // the one of its number, or it holds the lock. The driver owns the first `sent` mbufs afterwards; `forget_first`
        // removes them without freeing.
        let sent = unsafe {
            let raw = packets.as_mut_ptr().cast::<*mut sys::rte_mbuf>();
            usize::from(sys::mr_tx_burst(self.id, queue, raw, count))
        };
        if let Some(lock) = lock {
            lock.store(false, Ordering::Release);
        }
        forget_first(packets, sent);
        Sent::Took(sent)
    }

    /// Prepares a packet for this device: checksums left open go to its offload or are completed here. False if
    /// they cannot be, because the headers do not say where they go.
    #[inline]
    pub fn prepare(&self, packet: &mut Mbuf, meta: &PacketMeta) -> bool {
        packet.clear_offloads();
        if meta.said.l3_csum() != CsumState::Partial && meta.said.l4_csum() != CsumState::Partial {
            return true;
        }
        self.complete_checksums(packet, meta)
    }

    #[cold]
    fn complete_checksums(&self, packet: &mut Mbuf, meta: &PacketMeta) -> bool {
        let Some(ip) = Datagram::read(packet.data(), meta) else { return false };
        let mut flags = if ip.is_ipv6 { sys::RTE_MBUF_F_TX_IPV6 } else { sys::RTE_MBUF_F_TX_IPV4 };
        if meta.said.l3_csum() == CsumState::Partial && !ip.is_ipv6 {
            // Software completes a few bytes faster than a flag is worth.
            if checksum::complete_l3(packet.data_mut(), meta).is_err() {
                return false;
            }
        }
        if meta.said.l4_csum() != CsumState::Partial {
            return true;
        }
        let (capability, flag) = match ip.proto {
            ip_proto::TCP => (sys::RTE_ETH_TX_OFFLOAD_TCP_CKSUM, sys::RTE_MBUF_F_TX_TCP_CKSUM),
            ip_proto::UDP => (sys::RTE_ETH_TX_OFFLOAD_UDP_CKSUM, sys::RTE_MBUF_F_TX_UDP_CKSUM),
            ip_proto::SCTP => (sys::RTE_ETH_TX_OFFLOAD_SCTP_CKSUM, sys::RTE_MBUF_F_TX_SCTP_CKSUM),
            _ => (u64::MAX, 0),
        };
        let l3_len = meta.l4.saturating_sub(meta.l3);
        if self.tx_offloads & capability != capability || l3_len > MAX_L3_LEN {
            return checksum::complete_l4(packet.data_mut(), meta).is_ok();
        }
        if checksum::put_pseudo_header_sum(packet.data_mut(), meta).is_err() {
            return false;
        }
        flags |= flag;
        packet.request_offloads(flags, meta.l3, l3_len);
        true
    }

    /// The device's address.
    pub fn mac(&self) -> Mac {
        let mut address = sys::rte_ether_addr::default();
        // SAFETY: the port exists; the address is filled in.
        unsafe { sys::rte_eth_macaddr_get(self.id, &mut address) };
        Mac(address.addr_bytes)
    }

    /// Whether the link is up, its speed in Mbit/s (0 if unknown), and whether it is full duplex.
    pub fn link(&self) -> (bool, u32, bool) {
        let mut link = sys::rte_eth_link::default();
        // SAFETY: the port exists; the struct is filled in.
        unsafe { sys::rte_eth_link_get_nowait(self.id, &mut link) };
        let unknown = link.link_speed == u32::MAX;
        let speed = if unknown { 0 } else { link.link_speed };
        (link.link_status() != 0, speed, link.link_duplex() != 0)
    }

    /// The device's counters: ipackets, opackets, ibytes, obytes, imissed, ierrors, oerrors, rx_nombuf.
    pub fn stats(&self) -> [u64; 8] {
        let mut stats = sys::rte_eth_stats::default();
        // SAFETY: the port exists; the struct is filled in.
        unsafe { sys::rte_eth_stats_get(self.id, &mut stats) };
        let sys::rte_eth_stats {
            ipackets,
            opackets,
            ibytes,
            obytes,
            imissed,
            ierrors,
            oerrors,
            rx_nombuf,
            ..
        } = stats;
        [ipackets, opackets, ibytes, obytes, imissed, ierrors, oerrors, rx_nombuf]
    }

    /// The driver's extended statistics.
    pub fn xstats(&self) -> Vec<(String, u64)> {
        // SAFETY: with no room the call only says how many there are.
        let count = unsafe { sys::rte_eth_xstats_get(self.id, std::ptr::null_mut(), 0) };
        let Ok(count) = usize::try_from(count) else { return Vec::new() };
        let mut values = vec![sys::rte_eth_xstat::default(); count];
        let mut names = vec![sys::rte_eth_xstat_name::default(); count];
        // SAFETY: both arrays have room for `count` entries.
        let filled = unsafe {
            sys::rte_eth_xstats_get_names(self.id, names.as_mut_ptr(), count as u32);
            sys::rte_eth_xstats_get(self.id, values.as_mut_ptr(), count as u32)
        };
        values.truncate(usize::try_from(filled).unwrap_or(0));
        let named = values.iter().filter_map(|value| {
            let name = names.get(value.id as usize)?;
            let bytes: Vec<u8> =
                name.name.iter().map(|c| c.cast_unsigned()).take_while(|c| *c != 0).collect();
            Some((String::from_utf8_lossy(&bytes).into_owned(), value.value))
        });
        named.collect()
    }

    /// Names of the offloads in use.
    pub fn offloads(&self) -> Vec<&'static str> {
        let names = [
            (self.rx_offloads, sys::RTE_ETH_RX_OFFLOAD_IPV4_CKSUM, "RX_IPV4_CKSUM"),
            (self.rx_offloads, sys::RTE_ETH_RX_OFFLOAD_UDP_CKSUM, "RX_UDP_CKSUM"),
            (self.rx_offloads, sys::RTE_ETH_RX_OFFLOAD_TCP_CKSUM, "RX_TCP_CKSUM"),
            (self.rx_offloads, sys::RTE_ETH_RX_OFFLOAD_SCTP_CKSUM, "RX_SCTP_CKSUM"),
            (self.rx_offloads, sys::RTE_ETH_RX_OFFLOAD_RSS_HASH, "RX_RSS_HASH"),
            (self.tx_offloads, sys::RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, "TX_IPV4_CKSUM"),
            (self.tx_offloads, sys::RTE_ETH_TX_OFFLOAD_UDP_CKSUM, "TX_UDP_CKSUM"),
            (self.tx_offloads, sys::RTE_ETH_TX_OFFLOAD_TCP_CKSUM, "TX_TCP_CKSUM"),
            (self.tx_offloads, sys::RTE_ETH_TX_OFFLOAD_SCTP_CKSUM, "TX_SCTP_CKSUM"),
        ];
        names.into_iter().filter(|(have, bit, _)| have & bit != 0).map(|(_, _, name)| name).collect()
    }

    /// Driver's name.
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// NUMA node, -1 if any.
    pub fn numa(&self) -> i32 {
        self.numa
    }

    /// Receive queues.
    pub fn rx_queues(&self) -> u16 {
        self.rx_owners.len() as u16
    }

    /// Transmit queues, and whether workers share them.
    pub fn tx_queues(&self) -> (u16, bool) {
        (self.n_txq, self.tx_locks.is_some())
    }

    /// Receive and transmit descriptors a queue.
    pub fn descriptors(&self) -> (u16, u16) {
        (self.n_rxd, self.n_txd)
    }

    /// The pool its packets come from. There is one for as long as the port is open.
    pub fn pool(&self) -> Option<&Pool> {
        self.pool.as_ref()
    }
}

static CLAIMED: [AtomicBool; sys::RTE_MAX_ETHPORTS as usize] =
    [const { AtomicBool::new(false) }; sys::RTE_MAX_ETHPORTS as usize];

/// What a device allows as MTU: what it says, and what its longest frame holds. (af_packet of DPDK 22.11 says 65535 and
/// takes frames of 1518 bytes.)
fn mtu_range(info: &sys::rte_eth_dev_info) -> (u16, u16) {
    const ETHERNET_AND_FCS: u32 = 18;
    let by_frame = info.max_rx_pktlen.saturating_sub(ETHERNET_AND_FCS).min(u32::from(u16::MAX)) as u16;
    (info.min_mtu, info.max_mtu.min(by_frame))
}

/// Removes the first `count` packets without freeing them.
fn forget_first<const N: usize>(packets: &mut ArrayVec<Mbuf, N>, count: usize) {
    for mbuf in packets.drain(..count.min(packets.len())) {
        let _driver_owns_it = mbuf.into_raw();
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // SAFETY: no worker can reach the port any more: they do so through a snapshot that holds it. The pool is
        // freed after the device has given its buffers back.
        unsafe {
            if self.promiscuous {
                sys::rte_eth_promiscuous_disable(self.id);
            }
            if self.started {
                sys::rte_eth_dev_stop(self.id);
            }
            sys::rte_eth_dev_close(self.id);
            if !self.device.is_null() {
                sys::rte_dev_remove(self.device);
            }
        }
        Self::claim(self.id, false);
    }
}
