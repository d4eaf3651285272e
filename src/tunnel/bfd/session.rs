//! The state machine of one session.

use super::wire::{CONTROL_LEN, Control};
use super::{Diag, Ignored, State};

/// What a session is run with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Params {
    /// Least milliseconds between two packets that we can receive; 0: none are wanted.
    pub min_rx: u32,
    /// Least milliseconds between two packets that we like to send.
    pub min_tx: u32,
    /// So many of our packets may be lost before the peer calls us down; 0 counts as 1.
    pub mult: u8,
}

impl Default for Params {
    /// Those of OVS.
    fn default() -> Self {
        Self { min_rx: 1000, min_tx: 100, mult: 3 }
    }
}

/// Least microseconds between two packets while the session is not up.
const SLOW: u32 = 1_000_000;

/// What there is to show of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    /// State.
    pub state: State,
    /// Why it is not up, or was not.
    pub diag: Diag,
    /// State of the peer's session, as it last said.
    pub remote_state: State,
    /// Its diagnostic.
    pub remote_diag: Diag,
    /// How often the session went up or ceased to be.
    pub flaps: u64,
    /// Milliseconds between packets sent, jitter apart; none if none are sent.
    pub tx_interval: Option<u64>,
    /// Milliseconds without a packet after which the peer counts as lost; none while it was not heard.
    pub detection: Option<u64>,
}

/// One session.
#[derive(Clone, Debug)]
pub struct Session {
    params: Params,
    /// Those that the timers go by until the peer has confirmed new ones.
    confirmed: Params,
    discriminator: u32,
    state: State,
    diag: Diag,
    /// The last packet of the peer, until it is lost.
    peer: Option<Control>,
    heard_at: u64,
    sent_at: Option<u64>,
    /// Milliseconds from the last packet to the next.
    wait: u64,
    is_polling: bool,
    owes_final: bool,
    /// What the peer does not know yet is sent at once.
    has_news: bool,
    flaps: u64,
    random: u64,
}

/// Microseconds on the wire.
fn micros(millis: u32) -> u32 {
    millis.saturating_mul(1000)
}

/// Milliseconds of the clock, not fewer.
fn millis(micros: u32) -> u64 {
    u64::from(micros).div_ceil(1000)
}

impl Session {
    /// A session that is down, and whose packets bear this discriminator, which is not 0 and no other session's.
    pub fn new(params: Params, discriminator: u32) -> Self {
        Self {
            params,
            confirmed: params,
            discriminator,
            state: State::Down,
            diag: Diag::NONE,
            peer: None,
            heard_at: 0,
            sent_at: None,
            wait: 0,
            is_polling: false,
            owes_final: false,
            has_news: false,
            flaps: 0,
            random: u64::from(discriminator) << 32 | u64::from(!discriminator),
        }
    }

    /// State.
    pub fn state(&self) -> State {
        self.state
    }

    /// The discriminator that the peer has to name.
    pub fn discriminator(&self) -> u32 {
        self.discriminator
    }

    /// What there is to show.
    pub fn status(&self) -> Status {
        let peer = self.peer.as_ref();
        Status {
            state: self.state,
            diag: self.diag,
            remote_state: peer.map_or(State::Down, |peer| peer.state),
            remote_diag: peer.map_or(Diag::NONE, |peer| peer.diag),
            flaps: self.flaps,
            tx_interval: self.interval(),
            detection: self.detection(),
        }
    }

    /// Runs the session with other parameters from now on; the peer is asked to confirm them.
    pub fn set_params(&mut self, params: Params) {
        if params == self.params {
            return;
        }
        self.params = params;
        self.has_news = true;
        if matches!(self.state, State::Init | State::Up) {
            self.is_polling = true;
        } else {
            self.confirmed = params;
        }
    }

    /// Switches the session off, which the peer is told, or on again.
    pub fn set_enabled(&mut self, is_enabled: bool) {
        match (is_enabled, self.state) {
            (true, State::AdminDown) => self.go(State::Down, Diag::NONE),
            (false, State::Down | State::Init | State::Up) => self.go(State::AdminDown, Diag::ADMIN_DOWN),
            _ => {}
        }
    }

    /// Takes in a control packet of the peer.
    pub fn received(&mut self, packet: &[u8], now: u64) -> Result<(), Ignored> {
        self.expire(now);
        let heard = Control::read(packet)?;
        if heard.your_discriminator != 0 && heard.your_discriminator != self.discriminator {
            return Err(Ignored::OtherSession);
        }
        if heard.your_discriminator == 0 && matches!(heard.state, State::Init | State::Up) {
            return Err(Ignored::NoReceiver);
        }
        if self.state == State::AdminDown {
            return Err(Ignored::SwitchedOff);
        }
        if heard.is_final && self.is_polling {
            self.is_polling = false;
            self.confirmed = self.params;
        }
        self.owes_final |= heard.is_poll;
        let is_new_interval = self.peer.as_ref().is_none_or(|before| before.min_rx != heard.min_rx);
        let said = heard.state;
        self.peer = Some(heard);
        self.heard_at = now;
        match (self.state, said) {
            (State::Init | State::Up, State::AdminDown) | (State::Up, State::Down) => {
                self.go(State::Down, Diag::NEIGHBOUR_DOWN);
            }
            (State::Down, State::Down) => self.go(State::Init, self.diag),
            (State::Down, State::Init) | (State::Init, State::Init | State::Up) => {
                self.go(State::Up, Diag::NONE)
            }
            _ => {}
        }
        if is_new_interval {
            self.set_wait();
        }
        Ok(())
    }

    /// Goes on to `now`; gives the control packet to be sent, if one is due.
    pub fn tick(&mut self, now: u64) -> Option<[u8; CONTROL_LEN]> {
        self.expire(now);
        if std::mem::take(&mut self.owes_final) {
            return Some(self.control(true).bytes());
        }
        self.interval()?;
        if !self.has_news && self.sent_at.is_some_and(|sent| now < sent + self.wait) {
            return None;
        }
        self.has_news = false;
        self.sent_at = Some(now);
        self.set_wait();
        Some(self.control(false).bytes())
    }

    /// When [`Session::tick`] has to be called next.
    pub fn due(&self) -> Option<u64> {
        if self.owes_final {
            return Some(0);
        }
        let sent_at = self.sent_at.filter(|_| !self.has_news);
        let send = self.interval().map(|_| sent_at.map_or(0, |sent| sent + self.wait));
        let lost = self.detection().map(|time| self.heard_at + time);
        send.into_iter().chain(lost).min()
    }

    /// The packet that says how things are.
    fn control(&self, is_final: bool) -> Control {
        Control {
            diag: self.diag,
            state: self.state,
            // The two never stand together.
            is_poll: self.is_polling && !is_final,
            is_final,
            is_demand: false,
            mult: self.params.mult.max(1),
            my_discriminator: self.discriminator,
            your_discriminator: self.peer.as_ref().map_or(0, |peer| peer.my_discriminator),
            min_tx: self.min_tx(self.params),
            min_rx: micros(self.params.min_rx),
        }
    }

    /// Microseconds that we like between two packets sent.
    fn min_tx(&self, params: Params) -> u32 {
        let wanted = micros(params.min_tx.max(1));
        if self.state == State::Up { wanted } else { wanted.max(SLOW) }
    }

    /// Milliseconds between two packets sent; none if the peer wants none.
    fn interval(&self) -> Option<u64> {
        // A longer interval is used only when the peer knows of it.
        let own = self.min_tx(self.params).min(self.min_tx(self.confirmed));
        let Some(peer) = &self.peer else { return Some(millis(own)) };
        let is_demand = peer.is_demand && (self.state, peer.state) == (State::Up, State::Up);
        let is_wanted = peer.min_rx != 0 && (!is_demand || self.is_polling);
        is_wanted.then(|| millis(own.max(peer.min_rx)))
    }

    /// Milliseconds without a packet after which the peer is lost.
    fn detection(&self) -> Option<u64> {
        let peer = self.peer.as_ref()?;
        // A shorter time counts only when the peer knows of it.
        let own = micros(self.params.min_rx.max(self.confirmed.min_rx));
        Some(millis(own.max(peer.min_tx)).max(1) * u64::from(peer.mult))
    }

    /// Between 75 and 100 % of the interval (RFC 5880, 6.8.7), or 90 where no packet may be late.
    fn set_wait(&mut self) {
        self.random = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let most = if self.params.mult <= 1 { 90 } else { 100 };
        let percent = 75 + (self.random >> 33) % (most - 75 + 1);
        self.wait = self.interval().unwrap_or(0) * percent / 100;
    }

    /// Notices that the peer was not heard for too long.
    fn expire(&mut self, now: u64) {
        let is_lost = self.detection().is_some_and(|time| now >= self.heard_at + time);
        if !is_lost {
            return;
        }
        self.peer = None;
        if matches!(self.state, State::Init | State::Up) {
            self.go(State::Down, Diag::EXPIRED);
        }
        self.set_wait();
    }

    fn go(&mut self, state: State, diag: Diag) {
        if (state == State::Up) != (self.state == State::Up) {
            self.flaps += 1;
        }
        // What we like to send changes with the state up, and the peer is asked to confirm it.
        self.is_polling = state == State::Up;
        if state != State::Up {
            self.confirmed = self.params;
        }
        self.state = state;
        self.diag = diag;
        self.has_news = true;
    }
}
