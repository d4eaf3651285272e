# --- two routers that point at each other for all they do not know, and matches that are none -----------
ovn-nbctl ls-add net1
ovn-nbctl lsp-add net1 vm1; ovn-nbctl lsp-set-addresses vm1 "50:54:00:00:01:11 10.1.0.11 fd01::11"
ovn-nbctl lsp-add net1 vm2; ovn-nbctl lsp-set-addresses vm2 "50:54:00:00:01:12 10.1.0.12"
ovn-nbctl ls-add net2
ovn-nbctl lsp-add net2 vm3; ovn-nbctl lsp-set-addresses vm3 "50:54:00:00:02:11 10.2.0.11 fd02::11"
for n in 1 2; do
  ovn-nbctl lr-add r$n
  ovn-nbctl lrp-add r$n r$n-net$n 50:54:00:00:0$n:01 10.$n.0.1/24 fd0$n::1/64
  ovn-nbctl lsp-add net$n net$n-r$n -- lsp-set-type net$n-r$n router -- lsp-set-addresses net$n-r$n router -- lsp-set-options net$n-r$n router-port=r$n-net$n
done
ovn-nbctl lrp-add r1 r1-r2 50:54:00:00:09:01 10.9.0.1/30 fd09::1/64 peer=r2-r1
ovn-nbctl lrp-add r2 r2-r1 50:54:00:00:09:02 10.9.0.2/30 fd09::2/64 peer=r1-r2
ovn-nbctl lr-route-add r1 0.0.0.0/0 10.9.0.2; ovn-nbctl lr-route-add r1 ::/0 fd09::2
ovn-nbctl lr-route-add r2 0.0.0.0/0 10.9.0.1; ovn-nbctl lr-route-add r2 ::/0 fd09::1
ovn-nbctl acl-add net1 to-lport 1001 'ip4.dst == ' drop
ovn-nbctl acl-add net1 to-lport 1002 'ip4.nothing == 1' drop
ovn-nbctl acl-add net1 to-lport 1003 'outport == @nobody' drop
ovn-nbctl acl-add net1 to-lport 1004 'ip4.src == $nowhere' drop
ovn-nbctl acl-add net1 to-lport 1005 'inport != "vm1"' drop
ovn-nbctl acl-add net1 to-lport 1006 'udp.dst == 666' drop
