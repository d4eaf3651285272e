use proptest::prelude::*;

use super::wire::Control;
use super::*;
use crate::packet::Mac;

/// Two sessions and what is between them.
struct Pair {
    ends: [Session; 2],
    now: u64,
    /// Packets on their way: when they arrive, where, and what they are.
    flying: Vec<(u64, usize, [u8; CONTROL_LEN])>,
    sent: [Vec<(u64, Control)>; 2],
    random: u64,
}

impl Pair {
    fn new(params: [Params; 2]) -> Self {
        let ends = [Session::new(params[0], 0x11), Session::new(params[1], 0x22)];
        Pair { ends, now: 0, flying: Vec::new(), sent: [vec![], vec![]], random: 1 }
    }

    /// Goes on for so many milliseconds; of the packets to each end so many in a hundred are lost.
    fn run(&mut self, millis: u64, lost: [u64; 2]) {
        let end = self.now + millis;
        while self.now < end {
            for at in 0..2 {
                while let Some(packet) = self.ends[at].tick(self.now) {
                    self.sent[at].push((self.now, Control::read(&packet).unwrap()));
                    self.random = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                    if (self.random >> 33) % 100 >= lost[1 - at] {
                        self.flying.push((self.now + 3, 1 - at, packet));
                    }
                }
                let due = self.ends[at].due();
                assert!(due.is_none_or(|due| due > self.now), "{due:?} at {}", self.now);
            }
            self.now += 1;
            for (_, at, packet) in self.flying.extract_if(.., |(when, ..)| *when <= self.now) {
                assert_eq!(self.ends[at].received(&packet, self.now), Ok(()));
            }
        }
    }

    fn states(&self) -> [State; 2] {
        [self.ends[0].state(), self.ends[1].state()]
    }
}

const FAST: Params = Params { min_rx: 100, min_tx: 50, mult: 3 };

#[test]
fn two_sessions_come_up_and_agree() {
    let mut pair = Pair::new([Params::default(), FAST]);
    pair.run(100, [0, 0]);
    assert_eq!(pair.states(), [State::Up, State::Up]);
    pair.run(5000, [0, 0]);
    // Each sends no faster than the other takes; the lost one is missed after three intervals of the sender.
    let of = |end: &Session| (end.status().tx_interval, end.status().detection, end.status().flaps);
    assert_eq!(of(&pair.ends[0]), (Some(100), Some(3000), 1));
    assert_eq!(of(&pair.ends[1]), (Some(1000), Some(300), 1));
    assert_eq!(pair.ends[0].status().remote_state, State::Up);
    // With jitter, and the last packets without a poll, which was confirmed.
    for (at, interval) in [(0, 100), (1, 1000)] {
        let sent = &pair.sent[at];
        let late: Vec<_> = sent.iter().filter(|(when, _)| *when > 1500).collect();
        assert!(late.iter().all(|(_, packet)| !packet.is_poll && !packet.is_final));
        let gaps: Vec<_> = late.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert!(gaps.iter().all(|gap| (interval * 3 / 4..=interval).contains(gap)), "{gaps:?}");
        assert!(gaps.iter().min() != gaps.iter().max());
    }
}

#[test]
fn polls_are_answered() {
    let mut pair = Pair::new([FAST, FAST]);
    pair.run(2000, [0, 0]);
    for sent in &pair.sent {
        assert!(sent.iter().any(|(_, packet)| packet.is_poll && packet.state == State::Up));
        assert!(sent.iter().any(|(_, packet)| packet.is_final && !packet.is_poll));
    }
    // A slower pace is kept from when the peer has confirmed it.
    pair.sent = [vec![], vec![]];
    pair.ends[0].set_params(Params { min_tx: 700, min_rx: 700, mult: 5 });
    pair.run(3000, [0, 0]);
    assert_eq!(pair.states(), [State::Up, State::Up]);
    assert!(pair.sent[0][0].1.is_poll && pair.sent[0][0].1.min_tx == 700_000);
    assert!(pair.sent[1].iter().any(|(_, packet)| packet.is_final));
    assert!(!pair.sent[0].last().unwrap().1.is_poll);
    assert_eq!(pair.ends[0].status().tx_interval, Some(700));
    assert_eq!(pair.ends[1].status().tx_interval, Some(700));
    assert_eq!(pair.ends[1].status().detection, Some(3500));
}

#[test]
fn a_lost_peer_is_noticed_in_time_and_found_again() {
    let mut pair = Pair::new([FAST, FAST]);
    pair.run(1000, [0, 0]);
    // Nothing reaches the first any more.
    pair.run(296, [100, 0]);
    let silent_at = pair.now;
    pair.run(20, [100, 0]);
    assert_eq!(pair.states()[0], State::Down, "{silent_at}");
    assert_eq!(pair.ends[0].status().diag, Diag::EXPIRED);
    assert_eq!(pair.states()[1], State::Down);
    assert_eq!(pair.ends[1].status().diag, Diag::NEIGHBOUR_DOWN);
    assert_eq!(pair.ends[1].status().remote_diag, Diag::EXPIRED);
    pair.run(5000, [100, 0]);
    // The second hears that it is not heard: it gets no further than init.
    assert_eq!(pair.states(), [State::Down, State::Init]);
    assert_eq!(pair.ends[0].status().tx_interval, Some(1000));
    pair.run(2000, [0, 0]);
    assert_eq!(pair.states(), [State::Up, State::Up]);
    assert_eq!(pair.ends[0].status().flaps, 3);
    assert_eq!(pair.ends[0].status().diag, Diag::NONE);
}

#[test]
fn a_fifth_of_the_packets_may_be_lost() {
    let slow = Params { mult: 8, ..FAST };
    let mut pair = Pair::new([slow, slow]);
    pair.run(3000, [20, 20]);
    assert_eq!(pair.states(), [State::Up, State::Up]);
    pair.run(60_000, [20, 20]);
    assert_eq!(pair.states(), [State::Up, State::Up]);
    assert_eq!((pair.ends[0].status().flaps, pair.ends[1].status().flaps), (1, 1));
    // Whatever is lost, they find each other again.
    pair.run(20_000, [70, 70]);
    pair.run(4000, [0, 0]);
    assert_eq!(pair.states(), [State::Up, State::Up]);
}

#[test]
fn a_session_is_switched_off_and_on() {
    let mut pair = Pair::new([FAST, FAST]);
    pair.run(1000, [0, 0]);
    pair.ends[0].set_enabled(false);
    let packet = pair.ends[0].tick(pair.now).unwrap();
    let said = Control::read(&packet).unwrap();
    assert_eq!((said.state, said.diag), (State::AdminDown, Diag::ADMIN_DOWN));
    pair.ends[1].received(&packet, pair.now).unwrap();
    assert_eq!(pair.states(), [State::AdminDown, State::Down]);
    let packet = pair.ends[1].tick(pair.now).unwrap();
    assert_eq!(pair.ends[0].received(&packet, pair.now), Err(Ignored::SwitchedOff));
    pair.ends[0].set_enabled(true);
    pair.flying.clear();
    pair.run(3000, [0, 0]);
    assert_eq!(pair.states(), [State::Up, State::Up]);
}

#[test]
fn one_that_wants_no_packets_gets_none() {
    let mut session = Session::new(FAST, 0x11);
    assert!(session.tick(0).is_some());
    let mut peer = Session::new(Params { min_rx: 0, ..FAST }, 0x22);
    session.received(&peer.tick(0).unwrap(), 1).unwrap();
    assert_eq!(session.status().tx_interval, None);
    assert!((2..2900).all(|now| session.tick(now).is_none()));
    // It is not heard any more, and what it wanted is forgotten.
    assert!((2900..5000).any(|now| session.tick(now).is_some()));
}

/// As a session of OVS says it is down.
const DOWN: [u8; CONTROL_LEN] =
    [0x20, 0x40, 3, 24, 0x84, 0x52, 0x3d, 0xaa, 0, 0, 0, 0, 0, 15, 0x42, 0x40, 0, 15, 0x42, 0x40, 0, 0, 0, 0];

#[test]
fn a_session_says_what_that_of_ovs_does() {
    let ours = |session: &mut Session| session.tick(0).unwrap();
    let mut session = Session::new(Params::default(), 0x8452_3daa);
    assert_eq!(ours(&mut session), DOWN);
    let mut peer = DOWN;
    peer[4..8].copy_from_slice(&[0xc3, 0x6f, 0x18, 0xda]);
    session.received(&peer, 0).unwrap();
    let mut wanted = DOWN;
    wanted[1] = 0x80;
    wanted[8..12].copy_from_slice(&[0xc3, 0x6f, 0x18, 0xda]);
    assert_eq!(ours(&mut session), wanted);
    peer[1] = 0xc0;
    peer[8..12].copy_from_slice(&DOWN[4..8]);
    session.received(&peer, 0).unwrap();
    // Up, and 100 ms wanted; beside OVS with a poll until that is confirmed.
    wanted[1] = 0xc0 | 0x20;
    wanted[12..16].copy_from_slice(&[0, 1, 0x86, 0xa0]);
    assert_eq!(ours(&mut session), wanted);
    peer[1] = 0xc0 | 0x10;
    session.received(&peer, 0).unwrap();
    wanted[1] = 0xc0;
    let later = (0..2000).find_map(|now| session.tick(now)).unwrap();
    assert_eq!(later, wanted);
}

#[test]
fn what_is_wrong_is_named() {
    let mut session = Session::new(FAST, 0x11);
    let mut told = |changes: &[(usize, u8)]| {
        let mut packet = DOWN;
        for (at, byte) in changes {
            packet[*at] = *byte;
        }
        session.received(&packet, 0)
    };
    assert_eq!(told(&[(0, 0x40)]), Err(Ignored::Version));
    assert_eq!(told(&[(3, 23)]), Err(Ignored::Length));
    assert_eq!(told(&[(1, 0x44), (3, 25)]), Err(Ignored::Length));
    assert_eq!(told(&[(1, 0x44), (3, 26)]), Err(Ignored::Authenticated));
    assert_eq!(told(&[(2, 0)]), Err(Ignored::Multiplier));
    assert_eq!(told(&[(1, 0x41)]), Err(Ignored::Multipoint));
    assert_eq!(told(&[(4, 0), (5, 0), (6, 0), (7, 0)]), Err(Ignored::NoSender));
    assert_eq!(told(&[(11, 0x12)]), Err(Ignored::OtherSession));
    assert_eq!(told(&[(1, 0x80)]), Err(Ignored::NoReceiver));
    assert_eq!(told(&[(1, 0xc0)]), Err(Ignored::NoReceiver));
    assert_eq!(told(&[(1, 0)]), Ok(()));
    assert_eq!(told(&[]), Ok(()));
    assert_eq!(session.received(&DOWN[..23], 0), Err(Ignored::Length));
    assert_eq!(session.state(), State::Init);
}

#[test]
fn a_frame_that_is_not_quite_bfd_is_none() {
    let good = frame(Mac([2, 0, 0, 0, 0, 1]), 49152, &DOWN);
    assert_eq!(control(&good), Some(DOWN));
    let changed = |at: usize, byte: u8| {
        let mut frame = good;
        frame[at] = byte;
        control(&frame)
    };
    // Address, type, version, header length, more fragments, TTL, protocol, lengths, port, and BFD's own length.
    for (at, byte) in [
        (5, 2),
        (13, 6),
        (14, 0x55),
        (14, 0x44),
        (20, 0x20),
        (22, 254),
        (23, 6),
        (17, 0x35),
        (17, 0x33),
        (37, 0xc9),
        (39, 0x21),
        (45, 25),
    ] {
        assert_eq!(changed(at, byte), None, "{at}");
    }
    assert_eq!(control(&good[..65]), None);
    // Padding does no harm.
    assert_eq!(control(&[&good[..], &[0; 9]].concat()), Some(DOWN));
}

proptest! {
    /// Whatever comes, what is sent is sound and no more often than allowed, and up is only who was named.
    #[test]
    fn a_session_stands_random_packets(
        packets in prop::collection::vec((any::<[u8; CONTROL_LEN]>(), 0..3u8, 0..2000u64, any::<bool>()), 1..60),
    ) {
        let mut session = Session::new(FAST, 0x11);
        let mut now = 0;
        for (mut packet, sound, wait, is_named) in packets {
            if sound > 0 {
                let [diag, flags, mult, ..] = packet;
                packet[..4].copy_from_slice(&[0x20 | diag & 0x1f, flags & 0xf8, mult % 4 + 1, 24]);
                packet[8..12].copy_from_slice(&if is_named { [0, 0, 0, 0x11] } else { [0; 4] });
            }
            let before = session.state();
            let outcome = session.received(&packet, now);
            if before != State::Up && session.state() == State::Up {
                let said = Control::read(&packet).unwrap();
                prop_assert!(outcome.is_ok() && matches!(said.state, State::Init | State::Up));
                prop_assert_eq!(said.your_discriminator, 0x11);
            }
            let end = now + wait;
            let mut sent = 0;
            while now < end {
                if let Some(packet) = session.tick(now) {
                    let said = Control::read(&packet).unwrap();
                    prop_assert_eq!(said.my_discriminator, 0x11);
                    prop_assert!(!(said.is_poll && said.is_final));
                    prop_assert_eq!(said.min_tx, if said.state == State::Up { 50_000 } else { 1_000_000 });
                    sent += 1;
                } else {
                    let Some(due) = session.due() else { break };
                    prop_assert!(due > now);
                    now = due;
                }
            }
            now = end;
            // One at once, one answer to a poll, one for each change by time, and the periodic ones.
            prop_assert!(sent <= 4 + wait / 37, "{} in {}", sent, wait);
        }
    }
}
