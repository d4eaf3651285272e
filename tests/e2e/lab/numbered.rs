//! Numbered packets: what was lost, what overtook what, and which policy each packet met.
//!
//! Every datagram carries its number and the newest policy whose change the switch had acknowledged when it was sent.
//! The flow under test writes the policy's number into the source port, so the receiver sees which one was applied.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use super::Host;

/// A datagram as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Its number, from 0.
    pub number: u64,
    /// Newest acknowledged policy when it was sent.
    pub acknowledged: u64,
    /// The source port that it arrived with.
    pub source_port: u16,
}

/// A stream of numbered datagrams that is under way.
pub struct Numbered {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    sender: Option<JoinHandle<u64>>,
    receiver: Option<JoinHandle<Vec<Seen>>>,
}

impl Numbered {
    /// Port that the datagrams go to.
    pub const PORT: u16 = 7001;
    /// Port that they come from, unless a flow writes another.
    pub const SOURCE: u16 = 7000;
    /// Time from one to the next. A packet socket's ring holds a quarter of a second of them, so that a worker may be
    /// kept from its core that long before one is lost that the switch has never had.
    const PACE: Duration = Duration::from_micros(500);

    /// Starts sending.
    pub fn start(from: &Host, to: &Host) -> Self {
        let target = (to.ip, Self::PORT);
        let send = from.inside(|| UdpSocket::bind((from.ip, Self::SOURCE)).expect("bind the sender"));
        let receive = to.inside(|| UdpSocket::bind(target).expect("bind the receiver"));
        receive.set_read_timeout(Some(Duration::from_millis(500))).expect("set a limit");
        set_socket_recv_buffer_size_force(&receive, 16 << 20).expect("enlarge the receiver's buffer");
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));

        let (stopped, policy) = (Arc::clone(&stop), Arc::clone(&acknowledged));
        let sender = thread::spawn(move || {
            let mut number = 0u64;
            let mut due = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                let mut datagram = number.to_be_bytes().to_vec();
                datagram.extend(policy.load(Ordering::SeqCst).to_be_bytes());
                send.send_to(&datagram, target).expect("send a datagram");
                number += 1;
                due += Self::PACE;
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            number
        });
        let stopped = Arc::clone(&stop);
        let receiver = thread::spawn(move || {
            let (mut seen, mut buffer) = (Vec::new(), [0; 64]);
            loop {
                match receive.recv_from(&mut buffer) {
                    Ok((length, from)) => {
                        let (numbers, _) = buffer[..length].as_chunks::<8>();
                        let [number, acknowledged] = *numbers else { panic!("a datagram of {length} bytes") };
                        seen.push(Seen {
                            number: u64::from_be_bytes(number),
                            acknowledged: u64::from_be_bytes(acknowledged),
                            source_port: from.port(),
                        });
                    }
                    Err(_) if stopped.load(Ordering::Relaxed) => return seen,
                    Err(_) => {}
                }
            }
        });
        Self { stop, acknowledged, sender: Some(sender), receiver: Some(receiver) }
    }

    /// Says that the switch has answered for this policy; datagrams sent from now on must not meet an older one.
    pub fn acknowledge(&self, policy: u64) {
        self.acknowledged.store(policy, Ordering::SeqCst);
    }

    /// Stops, and gives what arrived after checking that all of it did, once and in order.
    pub fn complete(mut self) -> Vec<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.sender.take().expect("started").join().expect("the sender did not panic");
        let seen = self.receiver.take().expect("started").join().expect("the receiver did not panic");
        assert!(sent > 100, "only {sent} datagrams were sent; the test shows nothing");
        let numbers = || seen.iter().map(|seen| seen.number);
        let gaps = numbers().zip(0..).find(|(number, expected)| number != expected);
        assert!(
            gaps.is_none() && seen.len() as u64 == sent,
            "{sent} datagrams were sent and {} arrived; the first that is out of place (number, place): {gaps:?}",
            seen.len(),
        );
        seen
    }
}

impl Drop for Numbered {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
