ovn-nbctl ls-add network1
ovn-nbctl ls-add network2
ovn-nbctl lsp-add network1 vm1
ovn-nbctl lsp-add network2 vm2
ovn-nbctl lsp-set-addresses vm1 "40:44:00:00:00:01 192.168.0.11 fd00:1::11"
ovn-nbctl lsp-set-addresses vm2 "40:44:00:00:00:02 192.168.1.11 fd00:2::11"
ovn-nbctl lr-add router1
ovn-nbctl lr-add router2
ovn-nbctl lrp-add router1 router1-net1 40:44:00:00:00:03 192.168.0.1/24 fd00:1::1/64
ovn-nbctl lrp-add router2 router2-net2 40:44:00:00:00:04 192.168.1.1/24 fd00:2::1/64
ovn-nbctl lrp-add router1 router1-router2 40:44:00:00:00:05 10.0.0.1/30 fd00:3::1/64 peer=router2-router1
ovn-nbctl lrp-add router2 router2-router1 40:44:00:00:00:06 10.0.0.2/30 fd00:3::2/64 peer=router1-router2
ovn-nbctl lsp-add network1 net1-router1
ovn-nbctl lsp-set-addresses net1-router1 router
ovn-nbctl lsp-set-type net1-router1 router
ovn-nbctl lsp-set-options net1-router1 router-port=router1-net1
ovn-nbctl lsp-add network2 net2-router2
ovn-nbctl lsp-set-addresses net2-router2 router
ovn-nbctl lsp-set-type net2-router2 router
ovn-nbctl lsp-set-options net2-router2 router-port=router2-net2
ovn-nbctl lr-route-add router1 192.168.1.0/24 10.0.0.2
ovn-nbctl lr-route-add router1 fd00:2::/64 fd00:3::2
ovn-nbctl lr-route-add router2 192.168.0.0/24 10.0.0.1
ovn-nbctl lr-route-add router2 fd00:1::/64 fd00:3::1
ovn-sbctl chassis-add hv1 geneve 192.168.50.101
