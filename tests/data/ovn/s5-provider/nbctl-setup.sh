# --- a provider network with a VLAN of its own, one without, and containers in a guest ------------------
ovn-nbctl ls-add phys
ovn-nbctl lsp-add phys ln -- lsp-set-type ln localnet -- lsp-set-addresses ln unknown -- lsp-set-options ln network_name=physnet1
ovn-nbctl lsp-add phys a; ovn-nbctl lsp-set-addresses a "50:54:00:00:05:01 10.5.0.1"
ovn-nbctl lsp-add phys b; ovn-nbctl lsp-set-addresses b "50:54:00:00:05:02 10.5.0.2"
ovn-nbctl lsp-add phys free; ovn-nbctl lsp-set-addresses free "50:54:00:00:05:03 10.5.0.3"
ovn-nbctl lsp-add phys lp -- lsp-set-type lp localport -- lsp-set-addresses lp "50:54:00:00:05:04 10.5.0.4"
ovn-nbctl lsp-add phys nest a 5; ovn-nbctl lsp-set-addresses nest "50:54:00:00:05:05 10.5.0.5"
ovn-nbctl ls-add vlan
ovn-nbctl lsp-add vlan vlan-ln "" 100 -- lsp-set-type vlan-ln localnet -- lsp-set-addresses vlan-ln unknown -- lsp-set-options vlan-ln network_name=physnet1
ovn-nbctl lsp-add vlan v1; ovn-nbctl lsp-set-addresses v1 "50:54:00:00:06:01 10.6.0.1"
ovn-nbctl lsp-add vlan v2; ovn-nbctl lsp-set-addresses v2 "50:54:00:00:06:02 10.6.0.2"
ovn-nbctl ls-add pods
ovn-nbctl lsp-add pods c1 a 10; ovn-nbctl lsp-set-addresses c1 "50:54:00:00:07:01 10.7.0.1"
ovn-nbctl lsp-set-port-security c1 "50:54:00:00:07:01 10.7.0.1"
ovn-nbctl lsp-add pods c2 a 20; ovn-nbctl lsp-set-addresses c2 "50:54:00:00:07:02 10.7.0.2"
ovn-nbctl lsp-add pods c3 b 30; ovn-nbctl lsp-set-addresses c3 "50:54:00:00:07:03 10.7.0.3"
ovn-nbctl ls-add thru
ovn-nbctl set Logical_Switch thru other_config:vlan-passthru=true
ovn-nbctl lsp-add thru thru-ln -- lsp-set-type thru-ln localnet -- lsp-set-addresses thru-ln unknown -- lsp-set-options thru-ln network_name=physnet1
ovn-nbctl lsp-add thru t1; ovn-nbctl lsp-set-addresses t1 unknown
ovn-nbctl ls-add qinq
ovn-nbctl lsp-add qinq q-ln "" 200 -- lsp-set-type q-ln localnet -- lsp-set-addresses q-ln unknown -- lsp-set-options q-ln network_name=physnet1 ethtype=802.11ad
ovn-nbctl lsp-add qinq q1; ovn-nbctl lsp-set-addresses q1 "50:54:00:00:08:01"
ovn-nbctl lr-add r
ovn-nbctl lrp-add r r-phys 50:54:00:00:00:05 10.5.0.254/24
ovn-nbctl lrp-add r r-pods 50:54:00:00:00:07 10.7.0.254/24
for x in phys pods; do
  ovn-nbctl lsp-add $x $x-r -- lsp-set-type $x-r router -- lsp-set-addresses $x-r router -- lsp-set-options $x-r router-port=r-$x
done
