//! The flow key: everything the pipeline may match on, as plain `u64` words with zeroed padding.
//!
//! Words `0..SHORT_WORDS` (one cache line) hold all that an IPv4 or non-IP packet can carry when it enters the
//! pipeline; the rest (IPv6, ND, tunnel, conntrack, registers) is the long form. A field lives inside one word as a
//! host-order integer, or in two consecutive words, the more significant first, when it has 128 bits. So a prefix
//! mask is a run of high bits and `reg0` is the upper half of `xreg0` and the top quarter of `xxreg0`.

use super::field::Field;

/// Words of the short form: 64 bytes.
pub const SHORT_WORDS: usize = 8;
/// Words of the whole key.
pub const KEY_WORDS: usize = 47;

/// Word indexes, used by the field table and the parser. Comments give the layout from the most significant bit.
pub(crate) mod w {
    /// in_port:32 | frozen context id:32
    pub const CONTEXT: usize = 0;
    /// pkt_mark:32 | dp_hash:32
    pub const MARK: usize = 1;
    /// eth_dst:48 | eth_type:16
    pub const ETH_DST: usize = 2;
    /// eth_src:48 | zero:16
    pub const ETH_SRC: usize = 3;
    /// outer tpid:16 | outer tci:16 | inner tpid:16 | inner tci:16; a tci has bit 12 set when the tag is there
    pub const VLAN: usize = 4;
    /// nw_src:32 | nw_dst:32 (ARP: spa | tpa)
    pub const NW: usize = 5;
    /// nw_proto:8 | nw_tos:8 | nw_ttl:8 | nw_frag:8 | ipv6_label:32 (ARP: op in nw_proto)
    pub const NW_MISC: usize = 6;
    /// tp_src:16 | tp_dst:16 | tcp_flags:16 | zero:16 (ICMP: type, code)
    pub const TP: usize = 7;
    /// two words
    pub const IPV6_SRC: usize = 8;
    /// two words
    pub const IPV6_DST: usize = 10;
    /// two words
    pub const ND_TARGET: usize = 12;
    /// arp_sha or nd_sll:48 | zero:16
    pub const ARP_SHA: usize = 14;
    /// arp_tha or nd_tll:48 | zero:16
    pub const ARP_THA: usize = 15;
    /// nd_reserved or igmp group:32 | nd_options_type:8 | zero:24
    pub const ND_MISC: usize = 16;
    /// metadata:64
    pub const METADATA: usize = 17;
    /// reg0:32 | reg1:32, and on to reg15
    pub const REGS: usize = 18;
    /// tun_id:64
    pub const TUN_ID: usize = 26;
    /// tun_src:32 | tun_dst:32
    pub const TUN_V4: usize = 27;
    /// two words
    pub const TUN_V6_SRC: usize = 28;
    /// two words
    pub const TUN_V6_DST: usize = 30;
    /// tun_flags:16 | tun_tos:8 | tun_ttl:8 | tun_gbp_id:16 | tun_gbp_flags:8 | zero:8
    pub const TUN_MISC: usize = 32;
    /// tun_metadata0:32 | tun_metadata1:32, and on to tun_metadata7
    pub const TUN_METADATA: usize = 33;
    /// ct_state:32 | ct_zone:16 | ct_nw_proto:8 | zero:8
    pub const CT: usize = 37;
    /// ct_mark:32 | ct_tp_src:16 | ct_tp_dst:16
    pub const CT_MARK: usize = 38;
    /// two words
    pub const CT_LABEL: usize = 39;
    /// ct_nw_src:32 | ct_nw_dst:32
    pub const CT_NW: usize = 41;
    /// two words
    pub const CT_IPV6_SRC: usize = 42;
    /// two words
    pub const CT_IPV6_DST: usize = 44;
    /// conj_id:32 | zero:32; of no packet, only looked at while a lookup follows a conjunction
    pub const CONJ: usize = 46;
}

/// Whether a word says something of the tunnel that a packet came by.
pub const fn is_tunnel(word: usize) -> bool {
    word >= w::TUN_ID && word < w::CT
}

/// The stages of a staged lookup, in the order in which they are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Port, frozen context, metadata, registers, tunnel and conntrack state.
    Context,
    /// Ethernet and VLAN.
    L2,
    /// IPv4, IPv6 and ARP.
    L3,
    /// Ports, flags, ND and IGMP.
    L4,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Stage; 4] = [Stage::Context, Stage::L2, Stage::L3, Stage::L4];

    /// The stage that a word of the key belongs to.
    pub const fn of_word(word: usize) -> Stage {
        match word {
            w::CONTEXT | w::MARK => Stage::Context,
            w::ETH_DST | w::ETH_SRC | w::VLAN => Stage::L2,
            w::NW | w::NW_MISC | w::IPV6_SRC..=11 => Stage::L3,
            w::TP | w::ND_TARGET..=w::ND_MISC => Stage::L4,
            _ => Stage::Context,
        }
    }
}

/// What a packet looks like to the pipeline. Absent fields are zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C, align(64))]
pub struct FlowKey {
    pub(crate) words: [u64; KEY_WORDS],
}

/// Which bits of a [`FlowKey`] count: a one bit is matched, a zero bit is wildcarded.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C, align(64))]
pub struct FlowMask {
    pub(crate) words: [u64; KEY_WORDS],
}

impl Default for FlowKey {
    fn default() -> Self {
        Self { words: [0; KEY_WORDS] }
    }
}

impl Default for FlowMask {
    fn default() -> Self {
        Self { words: [0; KEY_WORDS] }
    }
}

#[inline(always)]
fn get(words: &[u64; KEY_WORDS], field: Field) -> u128 {
    let loc = field.info().loc;
    if loc.bits > 64 {
        return (u128::from(words[loc.word as usize]) << 64) | u128::from(words[loc.word as usize + 1]);
    }
    u128::from((words[loc.word as usize] >> loc.shift) & ones64(loc.bits))
}

#[inline(always)]
fn set(words: &mut [u64; KEY_WORDS], field: Field, value: u128) {
    let loc = field.info().loc;
    if loc.bits > 64 {
        words[loc.word as usize] = (value >> 64) as u64;
        words[loc.word as usize + 1] = value as u64;
        return;
    }
    let ones = ones64(loc.bits);
    let word = &mut words[loc.word as usize];
    *word = (*word & !(ones << loc.shift)) | ((value as u64 & ones) << loc.shift);
}

/// `bits` one bits at the low end, for `bits` in 1..=64.
#[inline(always)]
const fn ones64(bits: u16) -> u64 {
    u64::MAX >> (64 - bits as u32)
}

/// What the key says of the tunnel that a packet came by: the words from `tun_id` to `tun_metadata0`.
pub type TunnelWords = [u64; w::TUN_METADATA + 1 - w::TUN_ID];

impl FlowKey {
    /// What it says of the tunnel that the packet came by; zero if it came by none.
    pub fn tunnel(&self) -> TunnelWords {
        let mut words = TunnelWords::default();
        words.iter_mut().zip(self.words.iter().skip(w::TUN_ID)).for_each(|(own, word)| *own = *word);
        words
    }

    /// Writes that into a key that says nothing of tunnels, and tells whether there was anything.
    #[inline(always)]
    pub fn add_tunnel(&mut self, tunnel: &TunnelWords) -> bool {
        let mut any = 0;
        for (word, own) in self.words.iter_mut().skip(w::TUN_ID).zip(tunnel) {
            *word |= own;
            any |= own;
        }
        any != 0
    }

    /// The value of a field, right-aligned.
    #[inline(always)]
    pub fn get(&self, field: Field) -> u128 {
        get(&self.words, field)
    }

    /// Writes a field; bits beyond its width are ignored.
    #[inline(always)]
    pub fn set(&mut self, field: Field, value: u128) {
        set(&mut self.words, field, value);
    }

    /// Writes the bits of `field` that are one in `mask`.
    #[inline(always)]
    pub fn set_masked(&mut self, field: Field, value: u128, mask: u128) {
        self.set(field, (self.get(field) & !mask) | (value & mask));
    }

    /// Clears the long form, as the parser wants it.
    #[inline(always)]
    pub fn clear_long(&mut self) {
        for word in self.words.iter_mut().skip(SHORT_WORDS) {
            *word = 0;
        }
    }

    /// The words, for classifiers and hashes.
    #[inline(always)]
    pub fn words(&self) -> &[u64; KEY_WORDS] {
        &self.words
    }

    /// The words, for generators of random keys.
    pub fn words_mut(&mut self) -> &mut [u64; KEY_WORDS] {
        &mut self.words
    }

    /// This key with every bit cleared that `mask` wildcards.
    #[inline]
    pub fn masked(&self, mask: &FlowMask) -> FlowKey {
        let mut out = *self;
        for (word, mask) in out.words.iter_mut().zip(&mask.words) {
            *word &= mask;
        }
        out
    }

    /// Whether this key equals `other` on the bits of `mask`.
    #[inline]
    pub fn eq_masked(&self, other: &FlowKey, mask: &FlowMask) -> bool {
        let words = self.words.iter().zip(&other.words).zip(&mask.words);
        words.fold(0, |diff, ((a, b), m)| diff | ((a ^ b) & m)) == 0
    }
}

impl FlowMask {
    /// The mask of a field, right-aligned.
    #[inline(always)]
    pub fn get(&self, field: Field) -> u128 {
        get(&self.words, field)
    }

    /// Overwrites the mask of a field.
    #[inline(always)]
    pub fn set(&mut self, field: Field, mask: u128) {
        set(&mut self.words, field, mask);
    }

    /// Matches the whole field.
    pub fn set_exact(&mut self, field: Field) {
        self.set(field, field.all_ones());
    }

    /// The words.
    #[inline(always)]
    pub fn words(&self) -> &[u64; KEY_WORDS] {
        &self.words
    }

    /// The words, for generators of random masks.
    pub fn words_mut(&mut self) -> &mut [u64; KEY_WORDS] {
        &mut self.words
    }

    /// Whether nothing is matched.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Whether every bit matched by `other` is matched here too.
    pub fn covers(&self, other: &FlowMask) -> bool {
        self.words.iter().zip(&other.words).all(|(mine, theirs)| theirs & !mine == 0)
    }
}

impl std::fmt::Debug for FlowKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        fmt_fields(f, "FlowKey", |field| self.get(field))
    }
}

impl std::fmt::Debug for FlowMask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        fmt_fields(f, "FlowMask", |field| self.get(field))
    }
}

/// Prints the fields that are not zero; views such as `xreg0` would only repeat them.
fn fmt_fields(
    f: &mut std::fmt::Formatter<'_>,
    name: &str,
    value: impl Fn(Field) -> u128,
) -> std::fmt::Result {
    let mut out = f.debug_struct(name);
    for field in Field::ALL.iter().copied().filter(|field| !field.info().is_view) {
        if value(field) != 0 {
            out.field(field.name(), &format_args!("{:#x}", value(field)));
        }
    }
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_written_without_touching_its_neighbours() {
        for &field in Field::ALL {
            let mut key = FlowKey { words: [u64::MAX; KEY_WORDS] };
            key.set(field, 0);
            assert_eq!(key.get(field), 0, "{}", field.name());
            let cleared: u32 = key.words.iter().map(|word| word.count_zeros()).sum();
            assert_eq!(cleared, u32::from(field.bits()), "{}", field.name());
            key.set(field, u128::MAX);
            assert_eq!(key.get(field), field.all_ones(), "{}", field.name());
            assert!(key.words.iter().all(|word| *word == u64::MAX), "{}", field.name());
        }
    }

    #[test]
    fn registers_nest_with_reg0_on_top() {
        let mut key = FlowKey::default();
        key.set(Field::Reg0, 0x1111_1111);
        key.set(Field::Reg3, 0x4444_4444);
        assert_eq!(key.get(Field::Xreg0), 0x1111_1111_0000_0000);
        assert_eq!(key.get(Field::Xxreg0), 0x1111_1111_0000_0000_0000_0000_4444_4444);
    }
}
