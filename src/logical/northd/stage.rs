//! The stages of logical pipelines, as ovn-northd(8) 23.03 names and numbers them.

use crate::logical::rows::Pipeline;

macro_rules! stages {
    ($($pipeline:ident { $($stage:ident $table:literal $name:literal,)+ })+) => {
        /// A table of a switch's or a router's pipeline.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[expect(missing_docs, reason = "the names say it")]
        pub enum Stage {
            $($($stage,)+)+
        }

        impl Stage {
            /// All of them.
            pub const ALL: &[Stage] = &[$($(Stage::$stage,)+)+];

            /// The half that it belongs to.
            pub fn pipeline(self) -> Pipeline {
                match self {
                    $($(Stage::$stage => Pipeline::$pipeline,)+)+
                }
            }

            /// Its number within the half.
            pub fn table(self) -> u8 {
                match self {
                    $($(Stage::$stage => $table,)+)+
                }
            }

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $($(Stage::$stage => $name,)+)+
                }
            }
        }
    };
}

stages! {
    Ingress {
        SwitchInCheckPortSec 0 "ls_in_check_port_sec",
        SwitchInApplyPortSec 1 "ls_in_apply_port_sec",
        SwitchInLookupFdb 2 "ls_in_lookup_fdb",
        SwitchInPutFdb 3 "ls_in_put_fdb",
        SwitchInPreAcl 4 "ls_in_pre_acl",
        SwitchInPreLb 5 "ls_in_pre_lb",
        SwitchInPreStateful 6 "ls_in_pre_stateful",
        SwitchInAclHint 7 "ls_in_acl_hint",
        SwitchInAcl 8 "ls_in_acl",
        SwitchInQosMark 9 "ls_in_qos_mark",
        SwitchInQosMeter 10 "ls_in_qos_meter",
        SwitchInLbAffCheck 11 "ls_in_lb_aff_check",
        SwitchInLb 12 "ls_in_lb",
        SwitchInLbAffLearn 13 "ls_in_lb_aff_learn",
        SwitchInPreHairpin 14 "ls_in_pre_hairpin",
        SwitchInNatHairpin 15 "ls_in_nat_hairpin",
        SwitchInHairpin 16 "ls_in_hairpin",
        SwitchInAclAfterLb 17 "ls_in_acl_after_lb",
        SwitchInStateful 18 "ls_in_stateful",
        SwitchInArpRsp 19 "ls_in_arp_rsp",
        SwitchInDhcpOptions 20 "ls_in_dhcp_options",
        SwitchInDhcpResponse 21 "ls_in_dhcp_response",
        SwitchInDnsLookup 22 "ls_in_dns_lookup",
        SwitchInDnsResponse 23 "ls_in_dns_response",
        SwitchInExternalPort 24 "ls_in_external_port",
        SwitchInL2Lkup 25 "ls_in_l2_lkup",
        SwitchInL2Unknown 26 "ls_in_l2_unknown",
        RouterInAdmission 0 "lr_in_admission",
        RouterInLookupNeighbor 1 "lr_in_lookup_neighbor",
        RouterInLearnNeighbor 2 "lr_in_learn_neighbor",
        RouterInIpInput 3 "lr_in_ip_input",
        RouterInUnsnat 4 "lr_in_unsnat",
        RouterInDefrag 5 "lr_in_defrag",
        RouterInLbAffCheck 6 "lr_in_lb_aff_check",
        RouterInDnat 7 "lr_in_dnat",
        RouterInLbAffLearn 8 "lr_in_lb_aff_learn",
        RouterInEcmpStateful 9 "lr_in_ecmp_stateful",
        RouterInNdRaOptions 10 "lr_in_nd_ra_options",
        RouterInNdRaResponse 11 "lr_in_nd_ra_response",
        RouterInIpRoutingPre 12 "lr_in_ip_routing_pre",
        RouterInIpRouting 13 "lr_in_ip_routing",
        RouterInIpRoutingEcmp 14 "lr_in_ip_routing_ecmp",
        RouterInPolicy 15 "lr_in_policy",
        RouterInPolicyEcmp 16 "lr_in_policy_ecmp",
        RouterInArpResolve 17 "lr_in_arp_resolve",
        RouterInChkPktLen 18 "lr_in_chk_pkt_len",
        RouterInLargerPkts 19 "lr_in_larger_pkts",
        RouterInGwRedirect 20 "lr_in_gw_redirect",
        RouterInArpRequest 21 "lr_in_arp_request",
    }
    Egress {
        SwitchOutPreAcl 0 "ls_out_pre_acl",
        SwitchOutPreLb 1 "ls_out_pre_lb",
        SwitchOutPreStateful 2 "ls_out_pre_stateful",
        SwitchOutAclHint 3 "ls_out_acl_hint",
        SwitchOutAcl 4 "ls_out_acl",
        SwitchOutQosMark 5 "ls_out_qos_mark",
        SwitchOutQosMeter 6 "ls_out_qos_meter",
        SwitchOutStateful 7 "ls_out_stateful",
        SwitchOutCheckPortSec 8 "ls_out_check_port_sec",
        SwitchOutApplyPortSec 9 "ls_out_apply_port_sec",
        RouterOutChkDnatLocal 0 "lr_out_chk_dnat_local",
        RouterOutUndnat 1 "lr_out_undnat",
        RouterOutPostUndnat 2 "lr_out_post_undnat",
        RouterOutSnat 3 "lr_out_snat",
        RouterOutPostSnat 4 "lr_out_post_snat",
        RouterOutEgrLoop 5 "lr_out_egr_loop",
        RouterOutDelivery 6 "lr_out_delivery",
    }
}
