//! The table of all actions: what each is called, which release brought it, and how far the switch has it.

use super::ast::Action;
use crate::logical::symbol::FieldRef;

/// How far the switch has an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// The tracer does what it does.
    Interpreted,
    /// It changes nothing a trace shows: the tracer prints it and goes on, the datapath is to execute it.
    Datapath,
    /// Nobody does what it does.
    NotYet(Meanwhile),
}

/// What an action does that is not there yet. Either way it is printed and the actions after it run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    /// Writes 0 into the field it yields to.
    WritesZero,
    /// Leaves everything as it is.
    Passes,
}

/// The release of OVN that brought an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// 23.03 or before.
    V23_03,
    /// 23.09
    V23_09,
    /// 24.03
    V24_03,
    /// 24.09
    V24_09,
    /// 25.03
    V25_03,
    /// 25.09
    V25_09,
    /// 26.03
    V26_03,
    /// The one after 26.03, from its development branch.
    Next,
}

/// What there is to know of an action without its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The action.
    pub kind: Kind,
    /// The word it begins with, or that stands after the `=`; what is written between fields for the first few.
    pub name: &'static str,
    /// When OVN got it.
    pub since: Release,
    /// How far the switch has it.
    pub support: Support,
}

/// Makes [`Kind`], [`TABLE`] and [`Action::kind`] of one list, so that none can lack an action.
macro_rules! table {
    ($($kind:ident $pattern:tt $name:literal $since:ident $support:expr;)*) => {
        /// An action without its arguments.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = concat!("`", $name, "`")] $kind,)*
        }

        /// One row for each action, in the order of [`Kind`].
        pub const TABLE: &[Row] = &[
            $(Row { kind: Kind::$kind, name: $name, since: Release::$since, support: $support },)*
        ];

        impl Action {
            /// Which action it is.
            pub fn kind(&self) -> Kind {
                match self {
                    $(table!(@pattern $kind $pattern) => Kind::$kind,)*
                }
            }
        }

        impl Kind {
            /// Its row in the [`TABLE`].
            pub fn row(self) -> Row {
                match self {
                    $(Kind::$kind => Row {
                        kind: self,
                        name: $name,
                        since: Release::$since,
                        support: $support,
                    },)*
                }
            }
        }
    };
    (@pattern $kind:ident ()) => { Action::$kind };
    (@pattern $kind:ident (..)) => { Action::$kind(..) };
    (@pattern $kind:ident {..}) => { Action::$kind { .. } };
}

use Meanwhile::{Passes, WritesZero};
use Support::{Datapath, Interpreted, NotYet};

table! {
    Output () "output" V23_03 Interpreted;
    Next (..) "next" V23_03 Interpreted;
    Load {..} "= constant" V23_03 Interpreted;
    LoadReply {..} "frag_mtu" V23_03 Interpreted;
    Move {..} "= field" V23_03 Interpreted;
    Exchange (..) "<->" V23_03 Interpreted;
    Push (..) "push" V23_03 Interpreted;
    Pop (..) "pop" V23_03 Interpreted;
    DecTtl () "ip.ttl--" V23_03 Interpreted;

    CtNext (..) "ct_next" V23_03 Interpreted;
    CtCommit (..) "ct_commit" V23_03 Datapath;
    CtCommitArgs (..) "ct_commit" V23_03 Datapath;
    CtCommitToZone (..) "ct_commit_to_zone" V24_03 Interpreted;
    CtCommitNat (..) "ct_commit_nat" V23_03 Interpreted;
    CtDnat (..) "ct_dnat" V23_03 Interpreted;
    CtSnat (..) "ct_snat" V23_03 Interpreted;
    CtDnatInCzone (..) "ct_dnat_in_czone" V23_03 Interpreted;
    CtSnatInCzone (..) "ct_snat_in_czone" V23_03 Interpreted;
    CtLb (..) "ct_lb" V23_03 Interpreted;
    CtLbMark (..) "ct_lb_mark" V23_03 Interpreted;
    CtLbMarkLocal (..) "ct_lb_mark_local" V26_03 Interpreted;
    CtClear () "ct_clear" V23_03 Interpreted;
    CtSnatToVip () "ct_snat_to_vip" V23_03 Interpreted;
    CtNwDst (..) "ct_nw_dst" V23_09 NotYet(WritesZero);
    CtIp6Dst (..) "ct_ip6_dst" V23_09 NotYet(WritesZero);
    CtTpDst (..) "ct_tp_dst" V23_09 NotYet(WritesZero);
    CtProto (..) "ct_proto" V25_09 NotYet(WritesZero);
    CtStateSave (..) "ct_state_save" V24_03 NotYet(WritesZero);
    Select (..) "select" V23_03 Interpreted;

    Clone (..) "clone" V23_03 Interpreted;
    Arp (..) "arp" V23_03 Interpreted;
    Icmp4 (..) "icmp4" V23_03 Interpreted;
    Icmp4Error (..) "icmp4_error" V23_03 Interpreted;
    Icmp6 (..) "icmp6" V23_03 Interpreted;
    Icmp6Error (..) "icmp6_error" V23_03 Interpreted;
    TcpReset (..) "tcp_reset" V23_03 Interpreted;
    SctpAbort (..) "sctp_abort" V23_03 Interpreted;
    Reject (..) "reject" V23_03 Interpreted;
    NdNs (..) "nd_ns" V23_03 Interpreted;
    NdNa (..) "nd_na" V23_03 Interpreted;
    NdNaRouter (..) "nd_na_router" V23_03 Interpreted;

    GetArp (..) "get_arp" V23_03 Interpreted;
    PutArp (..) "put_arp" V23_03 Datapath;
    LookupArp (..) "lookup_arp" V23_03 Interpreted;
    LookupArpIp (..) "lookup_arp_ip" V23_03 Interpreted;
    GetNd (..) "get_nd" V23_03 Interpreted;
    PutNd (..) "put_nd" V23_03 Datapath;
    LookupNd (..) "lookup_nd" V23_03 Interpreted;
    LookupNdIp (..) "lookup_nd_ip" V23_03 Interpreted;
    ChkEvpnArp {..} "chk_evpn_arp" Next NotYet(WritesZero);
    MacCacheUse () "mac_cache_use" V23_09 Datapath;
    PutFdb {..} "put_fdb" V23_03 Datapath;
    GetFdb (..) "get_fdb" V23_03 Interpreted;
    GetRemoteFdb (..) "get_remote_fdb" V25_09 NotYet(WritesZero);
    LookupFdb {..} "lookup_fdb" V23_03 Interpreted;

    PutDhcpOpts (..) "put_dhcp_opts" V23_03 Interpreted;
    PutDhcpv6Opts (..) "put_dhcpv6_opts" V23_03 Interpreted;
    PutNdRaOpts (..) "put_nd_ra_opts" V23_03 Interpreted;
    DhcpRelayReqChk (..) "dhcp_relay_req_chk" V24_09 NotYet(WritesZero);
    DhcpRelayRespChk (..) "dhcp_relay_resp_chk" V24_09 NotYet(WritesZero);
    HandleDhcpv6Reply () "handle_dhcpv6_reply" V23_03 Datapath;
    DnsLookup (..) "dns_lookup" V23_03 NotYet(WritesZero);

    CheckPktLarger {..} "check_pkt_larger" V23_03 Datapath;
    CheckInPortSec (..) "check_in_port_sec" V23_03 Interpreted;
    CheckOutPortSec (..) "check_out_port_sec" V23_03 Interpreted;
    ChkLbHairpin (..) "chk_lb_hairpin" V23_03 Interpreted;
    ChkLbHairpinReply (..) "chk_lb_hairpin_reply" V23_03 Interpreted;
    ChkLbAff (..) "chk_lb_aff" V23_03 NotYet(WritesZero);
    ChkEcmpNhMac (..) "chk_ecmp_nh_mac" V23_03 NotYet(WritesZero);
    ChkEcmpNh (..) "chk_ecmp_nh" V23_03 NotYet(WritesZero);
    CommitEcmpNh {..} "commit_ecmp_nh" V23_03 NotYet(Passes);
    CommitLbAff (..) "commit_lb_aff" V23_03 NotYet(Passes);
    FwdGroup (..) "fwd_group" V23_03 NotYet(Passes);

    SetQueue (..) "set_queue" V23_03 Datapath;
    SetMeter {..} "set_meter" V23_03 Datapath;
    Log (..) "log" V23_03 Interpreted;
    Sample (..) "sample" V23_03 Datapath;
    Mirror (..) "mirror" V25_09 NotYet(Passes);
    FloodRemote () "flood_remote" V25_03 NotYet(Passes);

    TriggerEvent (..) "trigger_event" V23_03 Datapath;
    BindVport {..} "bind_vport" V23_03 Datapath;
    HandleSvcCheck (..) "handle_svc_check" V23_03 Datapath;
    HandleBfdMsg () "handle_bfd_msg" V23_03 Datapath;
    Igmp () "igmp" V23_03 Datapath;
}

impl Action {
    /// The field it yields to, if it is written `field = action(…)`.
    pub fn result(&self) -> Option<FieldRef> {
        match self {
            Action::CtNwDst(dst)
            | Action::CtIp6Dst(dst)
            | Action::CtTpDst(dst)
            | Action::CtProto(dst)
            | Action::CtStateSave(dst)
            | Action::DnsLookup(dst)
            | Action::CheckInPortSec(dst)
            | Action::CheckOutPortSec(dst)
            | Action::ChkLbHairpin(dst)
            | Action::ChkLbHairpinReply(dst)
            | Action::ChkLbAff(dst)
            | Action::ChkEcmpNhMac(dst)
            | Action::ChkEcmpNh(dst)
            | Action::ChkEvpnArp { dst, .. }
            | Action::LookupFdb { dst, .. }
            | Action::CheckPktLarger { dst, .. } => Some(*dst),
            Action::Select(select) => Some(select.dst),
            Action::LookupArp(lookup) | Action::LookupNd(lookup) => Some(lookup.dst),
            Action::LookupArpIp(lookup) | Action::LookupNdIp(lookup) => Some(lookup.dst),
            Action::GetFdb(get) | Action::GetRemoteFdb(get) => Some(get.dst),
            Action::PutDhcpOpts(put) | Action::PutDhcpv6Opts(put) | Action::PutNdRaOpts(put) => Some(put.dst),
            Action::DhcpRelayReqChk(relay) | Action::DhcpRelayRespChk(relay) => Some(relay.dst),
            _ => None,
        }
    }

    /// The actions in its braces, if it has any.
    pub fn nested(&self) -> Option<&[Action]> {
        match self {
            Action::CtCommit(nested)
            | Action::Clone(nested)
            | Action::Arp(nested)
            | Action::Icmp4(nested)
            | Action::Icmp4Error(nested)
            | Action::Icmp6(nested)
            | Action::Icmp6Error(nested)
            | Action::TcpReset(nested)
            | Action::SctpAbort(nested)
            | Action::Reject(nested)
            | Action::NdNs(nested)
            | Action::NdNa(nested)
            | Action::NdNaRouter(nested) => Some(nested),
            _ => None,
        }
    }
}
