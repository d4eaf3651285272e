# --- a distributed router with a gateway port, two tenants, a provider network in a VLAN ------------------------------
ovn-nbctl lr-add r1 -- set Logical_Router r1 options:snat-ct-zone=7 'external_ids:"neutron:router_name"=neutron-r1'
ovn-nbctl lrp-add r1 r1-a 0A:00:00:00:01:01 10.1.0.1/24 10.1.1.1/24 fd01::1/64 fd01:1::1/48
ovn-nbctl lrp-add r1 r1-b 0a:00:00:00:01:02 10.2.0.1/24
ovn-nbctl lrp-add r1 r1-pub 0a:00:00:00:01:03 172.16.0.1/24 fd16::1/64
ovn-nbctl lrp-add r1 r1-off 0a:00:00:00:01:04 10.9.0.1/24 -- lrp-set-enabled r1-off disabled
ovn-nbctl lrp-add r1 r1-six 0a:00:00:00:01:05 fd06::1/64
ovn-nbctl lrp-add r1 'r1-"odd"' 0a:00:00:00:01:06 10.8.0.1/32
ovn-nbctl lrp-set-gateway-chassis r1-pub gw1 20 -- lrp-set-gateway-chassis r1-pub gw2 10
ovn-nbctl set Logical_Router_Port r1-pub options:gateway_mtu=1500 options:gateway_mtu_bypass=tcp external_ids:some=thing
ovn-nbctl set Logical_Router_Port r1-six options:gateway_mtu=9000
ovn-nbctl set Logical_Router_Port r1-a options:reside-on-redirect-chassis=true
for x in a b pub six; do
  ovn-nbctl ls-add $x -- lsp-add $x $x-r1 -- lsp-set-type $x-r1 router -- lsp-set-addresses $x-r1 router \
    -- lsp-set-options $x-r1 router-port=r1-$x
done
ovn-nbctl lsp-add pub pub-ln "" 30 -- lsp-set-type pub-ln localnet -- lsp-set-addresses pub-ln unknown -- lsp-set-options pub-ln network_name=phys
ovn-nbctl lsp-add a a-ln -- lsp-set-type a-ln localnet -- lsp-set-addresses a-ln unknown -- lsp-set-options a-ln network_name=phys
ovn-nbctl lsp-add a vm1 -- lsp-set-addresses vm1 "02:00:00:00:00:01 10.1.0.11 10.1.1.11 10.3.0.11 fd01::11 fd77::1"
ovn-nbctl lsp-add a vm2 -- lsp-set-addresses vm2 "02:00:00:00:00:02 10.1.0.12" "02:00:00:00:00:12 fd01:1:0:5::12"
ovn-nbctl lsp-add b vm3 -- lsp-set-addresses vm3 "02:00:00:00:00:03 10.2.0.13"
ovn-nbctl lsp-add b vm4 -- lsp-set-addresses vm4 "02:00:00:00:00:04 10.2.0.14" -- lsp-set-enabled vm4 disabled
ovn-nbctl lsp-add b vip -- lsp-set-type vip virtual -- set Logical_Switch_Port vip options:virtual-ip=10.2.0.100 options:virtual-parents=vm3
ovn-nbctl set Logical_Router_Port r1-a ipv6_ra_configs:address_mode=dhcpv6_stateful ipv6_ra_configs:mtu=1000 \
  ipv6_ra_configs:router_preference=HIGH ipv6_ra_configs:rdnss=fd01::53 ipv6_ra_configs:dnssl=ex.org ipv6_ra_configs:route_info=HIGH-fd07::/64
ovn-nbctl set Logical_Router_Port r1-six ipv6_ra_configs:address_mode=slaac ipv6_ra_configs:send_periodic=true \
  ipv6_ra_configs:max_interval=8 ipv6_ra_configs:mtu=9000 ipv6_ra_configs:dnssl=ex.org options:prefix_delegation=true
ovn-nbctl static-mac-binding-add r1-pub 172.16.0.9 02:00:00:00:00:09
ovn-nbctl create Static_MAC_Binding logical_port=cr-r1-pub ip=172.16.0.8 'mac="02:00:00:00:00:08"'
# --- routes: both families, by source, discarded, through a named port, in tables, in groups -----------------------------
ovn-nbctl lr-route-add r1 0.0.0.0/0 172.16.0.254
ovn-nbctl lr-route-add r1 ::/0 fd16::fe
ovn-nbctl lr-route-add r1 10.50.0.0/16 10.7.7.7 r1-b
ovn-nbctl lr-route-add r1 10.51.0.0/16 discard
ovn-nbctl lr-route-add r1 fd51::/32 discard
ovn-nbctl --policy=src-ip lr-route-add r1 10.1.0.0/28 10.2.0.13
ovn-nbctl --policy=src-ip lr-route-add r1 fd01::/120 fd16::fd
ovn-nbctl --route-table=red lr-route-add r1 10.60.0.0/16 10.2.0.13
ovn-nbctl --route-table=blue lr-route-add r1 10.60.0.0/16 10.2.0.14
ovn-nbctl --route-table=red --policy=src-ip lr-route-add r1 10.61.0.0/16 10.2.0.13
ovn-nbctl set Logical_Router_Port r1-a options:route_table=red
ovn-nbctl set Logical_Router_Port r1-b options:route_table=green
for next in 10.2.0.21 10.2.0.22 10.2.0.23; do ovn-nbctl --ecmp lr-route-add r1 10.70.0.0/16 $next; done
for next in 10.2.0.21 172.16.0.21; do ovn-nbctl --ecmp --policy=src-ip lr-route-add r1 10.1.1.0/25 $next; done
for next in fd16::21 fd16::22; do ovn-nbctl --ecmp lr-route-add r1 fd70::/64 $next; done
for next in 10.2.0.31 10.2.0.32; do ovn-nbctl --ecmp --route-table=red lr-route-add r1 10.70.0.0/16 $next; done
ovn-nbctl --id=@r create Logical_Router_Static_Route ip_prefix=10.80.0.5/24 nexthop=10.2.0.41 options:origin=connected -- add Logical_Router r1 static_routes @r
ovn-nbctl --id=@r create Logical_Router_Static_Route ip_prefix=10.81.0.0/24 nexthop=99.0.0.1 -- add Logical_Router r1 static_routes @r
ovn-nbctl --id=@r create Logical_Router_Static_Route ip_prefix=10.82.0.0/24 'nexthop="fd01::9"' -- add Logical_Router r1 static_routes @r
ovn-nbctl --id=@r create Logical_Router_Static_Route ip_prefix=10.83.0.0/24 nexthop='""' output_port=r1-b -- add Logical_Router r1 static_routes @r
# --- policies ---------------------------------------------------------------------------------------------------------------
ovn-nbctl lr-policy-add r1 1000 "ip4.dst == 10.90.0.0/16" drop
ovn-nbctl lr-policy-add r1 1001 "ip4.dst == 10.91.0.0/16" allow pkt_mark=77
ovn-nbctl lr-policy-add r1 1002 "ip4.dst == 10.92.0.0/16" reroute 10.2.0.13 pkt_mark=5
ovn-nbctl lr-policy-add r1 1003 "ip6.dst == fd92::/64" reroute fd16::fe
ovn-nbctl lr-policy-add r1 1004 "ip4.dst == 10.93.0.0/16" reroute 10.2.0.13,172.16.0.13 pkt_mark=6
ovn-nbctl lr-policy-add r1 1005 "ip4.dst == 10.94.0.0/16" reroute 10.2.0.14,172.16.0.14,172.16.0.15
ovn-nbctl --id=@p create Logical_Router_Policy priority=1006 'match="ip4.dst == 10.95.0.0/16"' action=reroute nexthops=99.0.0.9 -- add Logical_Router r1 policies @p
# --- a router on one chassis, joined with r1 through a switch, that learns slowly -------------------------------------------
ovn-nbctl lr-add r2 -- set Logical_Router r2 options:chassis=gw3 options:always_learn_from_arp_request=false
ovn-nbctl lrp-add r2 r2-b 0a:00:00:00:02:01 10.2.0.2/24 10.2.2.2/24 fd02::2/64
ovn-nbctl lsp-add b b-r2 -- lsp-set-type b-r2 router -- lsp-set-addresses b-r2 router -- lsp-set-options b-r2 router-port=r2-b
ovn-nbctl lrp-add r2 r2-p 0a:00:00:00:02:02 169.254.0.1/30 fe80::2:1/64
ovn-nbctl lr-add r3 -- set Logical_Router r3 options:dynamic_neigh_routers=true
ovn-nbctl lrp-add r3 r3-p 0a:00:00:00:03:01 169.254.0.2/30 -- set Logical_Router_Port r3-p peer=r2-p -- set Logical_Router_Port r2-p peer=r3-p
ovn-nbctl lrp-add r3 r3-b 0a:00:00:00:03:02 10.2.0.3/24
ovn-nbctl lsp-add b b-r3 -- lsp-set-type b-r3 router -- lsp-set-addresses b-r3 0a:00:00:00:03:02 -- lsp-set-options b-r3 router-port=r3-b
ovn-nbctl lr-route-add r3 0.0.0.0/0 169.254.0.1
# --- a router with two gateway ports, one bridged, one beside a VTEP gateway, with a group of chassis; meters ----------------
ovn-nbctl ha-chassis-group-add group1 -- ha-chassis-group-add-chassis group1 gw1 5 -- ha-chassis-group-add-chassis group1 gw2 6
G=$(ovn-nbctl --bare --columns _uuid find HA_Chassis_Group name=group1)
ovn-nbctl lr-add r4 -- lrp-add r4 r4-x 0a:00:00:00:04:01 10.41.0.1/24 -- lrp-add r4 r4-y 0a:00:00:00:04:02 10.42.0.1/24
ovn-nbctl set Logical_Router_Port r4-x ha_chassis_group=$G options:redirect-type=bridged
ovn-nbctl lrp-set-gateway-chassis r4-y gw1
ovn-nbctl ls-add x -- lsp-add x x-r4 -- lsp-set-type x-r4 router -- lsp-set-addresses x-r4 router -- lsp-set-options x-r4 router-port=r4-x
ovn-nbctl lsp-add x x-ln -- lsp-set-type x-ln localnet -- lsp-set-addresses x-ln unknown -- lsp-set-options x-ln network_name=phys
ovn-nbctl ls-add y -- lsp-add y y-r4 -- lsp-set-type y-r4 router -- lsp-set-addresses y-r4 router -- lsp-set-options y-r4 router-port=r4-y
ovn-nbctl lsp-add y y-vtep -- lsp-set-type y-vtep vtep -- lsp-set-addresses y-vtep unknown
ovn-nbctl meter-add slow drop 100 pktps 10
for proto in arp arp-resolve icmp4-error icmp6-error nd-na nd-ns nd-ns-resolve tcp-reset; do ovn-nbctl copp-add guard $proto slow; done
ovn-nbctl copp-add guard nd-ra-opts absent
ovn-nbctl lr-copp-add guard r4
# --- a router of multicast ------------------------------------------------------------------------------------------------------
ovn-nbctl lr-add r5 -- set Logical_Router r5 options:mcast_relay=true
ovn-nbctl lrp-add r5 r5-m 0a:00:00:00:05:01 10.51.0.1/24 -- lrp-add r5 r5-n 0a:00:00:00:05:02 10.52.0.1/24
ovn-nbctl set Logical_Router_Port r5-m options:mcast_flood=true
ovn-nbctl lr-add r6 -- set Logical_Router r6 options:mcast_relay=true -- lrp-add r6 r6-m 0a:00:00:00:06:01 10.61.0.1/24
ovn-nbctl lr-add r7 -- lrp-add r7 r7-m 0a:00:00:00:07:01 10.71.0.1/24 -- set Logical_Router_Port r7-m options:mcast_flood=true
# --- one that does not work, and one without ports -------------------------------------------------------------------------------
ovn-nbctl lr-add r8 -- lrp-add r8 r8-m 0a:00:00:00:08:01 10.81.0.1/24 -- set Logical_Router r8 enabled=false
ovn-nbctl lr-add r9
