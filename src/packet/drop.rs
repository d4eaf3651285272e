//! Why a packet was dropped. Every drop is counted under one of these names; `millrace drops` prints them.

/// Declares the reasons with their names and explanations.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// A named drop.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum DropReason { $($(#[doc = $doc])+ $variant,)+ }

        impl DropReason {
            /// All of them, in order.
            pub const ALL: &[DropReason] = &[$(DropReason::$variant,)+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// Name in counters and JSON.
            pub const fn name(self) -> &'static str {
                match self { $(DropReason::$variant => $name,)+ }
            }

            /// One sentence for a person.
            pub const fn explain(self) -> &'static str {
                match self { $(DropReason::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

reasons! {
    /// Shorter than an Ethernet header.
    Runt = "runt",
    /// The driver delivered several segments that do not fit one buffer.
    Segments = "segments",
    /// No flow of a table matched.
    NoMatch = "no_match",
    /// A flow said drop, or its actions sent the packet nowhere.
    Explicit = "explicit",
    /// The only output was the port that the packet came in by.
    ToInPort = "to_in_port",
    /// The output port does not exist.
    NoSuchPort = "no_such_port",
    /// The group that a bucket or a packet that came back named does not exist.
    NoSuchGroup = "no_such_group",
    /// A meter's rate was exceeded.
    MeterExceeded = "meter_exceeded",
    /// More than 64 resubmits deep.
    TooDeep = "resubmit_too_deep",
    /// More than 4096 resubmits for one packet.
    TooMany = "resubmit_too_many",
    /// Actions beyond what one packet may cause (operations, stack, nesting of clones).
    ActionLimit = "action_limit",
    /// TTL or hop limit would have become 0.
    TtlExpired = "ttl_expired",
    /// More VLAN tags than the switch handles.
    TooManyVlans = "too_many_vlans",
    /// No room in the buffer for a header to be pushed.
    NoHeadroom = "no_headroom",
    /// Longer than the output port's MTU allows.
    Mtu = "mtu_exceeded",
    /// No buffer left for a copy.
    NoBuffer = "no_buffer",
    /// The output device took no more within the bounded retry.
    TxFull = "tx_queue_full",
    /// Another worker held the shared transmit queue for the whole of the bounded retry.
    TxContended = "tx_contended",
    /// The output port was removed while the packet was on its way.
    PortGone = "port_gone",
    /// The output device is down.
    LinkDown = "link_down",
    /// The ring to the controller was full.
    ControllerFull = "controller_ring_full",
    /// The frozen context that the packet came back to is gone.
    ContextGone = "context_gone",
    /// More packets of the port waited for translation than may wait.
    MissQueueFull = "miss_queue_full",
    /// A checksum left to the switch could not be completed because the headers do not say where it goes.
    BadPartial = "bad_partial_checksum",
    /// A reply was to be made of a packet that is not of the kind to be answered so.
    BadReply = "bad_reply",
    /// The headers that a reply is made of are cut short.
    ReplyTooShort = "reply_too_short",
    /// A reset, an abort or an error is not answered by another.
    ReplyToError = "reply_to_error",
    /// More packets of a turn were to be parsed again than may be.
    AgainFull = "again_queue_full",
    /// The packet was turned or parsed again more often than a packet may be.
    AgainTooOften = "again_too_often",
    /// No number was left, or left for the port, for the frozen context that the packet was to go on from.
    ContextFull = "context_full",
    /// More packets waited for a neighbour, of a port or in all than may.
    NeighbourFull = "neighbour_queue_full",
    /// The neighbour that the packet waited for did not answer in time.
    NeighbourUnresolved = "neighbour_unresolved",
    /// A Geneve packet ends within its header, its options or the Ethernet header that it carries.
    GeneveTruncated = "geneve_truncated",
    /// A version of Geneve other than 0.
    GeneveBadVersion = "geneve_bad_version",
    /// A Geneve packet carries something else than an Ethernet frame.
    GeneveBadProtocol = "geneve_bad_protocol",
    /// A Geneve control packet, which has the OAM bit; the switch serves none.
    GeneveOam = "geneve_oam",
    /// A critical Geneve option that is not known, comes twice or has the wrong length.
    GeneveCriticalOption = "geneve_critical_option",
    /// The outer UDP checksum of a tunnelled packet is wrong.
    TunnelBadChecksum = "tunnel_bad_checksum",
    /// A fragment of an outer packet; tunnelled packets are not put together again.
    TunnelFragment = "tunnel_fragment",
    /// The outer packet met congestion and the inner one cannot say so (RFC 6040).
    TunnelEcn = "tunnel_ecn",
    /// A tunnelled packet came from an address that is no known peer's.
    TunnelUnknownPeer = "tunnel_unknown_peer",
    /// A tunnelled packet is of a virtual network that the switch does not have.
    TunnelUnknownVni = "tunnel_unknown_vni",
    /// The flow named a tunnel destination that is no known peer's, or none, or one to which there is no route.
    TunnelNoRemote = "tunnel_no_remote",
    /// The packet with its tunnel headers is longer than the MTU of the underlay.
    TunnelMtu = "tunnel_mtu",
    /// A packet for the tunnel endpoint whose lengths or checksums below UDP's are wrong, or that its protocol forbids.
    UnderlayMalformed = "underlay_malformed",
    /// A packet for the tunnel endpoint that is nothing it serves.
    UnderlayNotHandled = "underlay_not_handled",
}
