"""What a random network offers beyond forwarding: ACLs, QoS, load balancers, NAT, routes, policies, DHCP and DNS."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from random import Random

from .topology import Address, Host, Nat, Network, Router, Switch, Topology, Vip

PORTS = (22, 53, 80, 443, 5432, 8080)


def endpoint(address: Address, port: int | None) -> str:
    """As OVN writes it."""
    if port is None:
        return str(address)
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


class Services:
    """Adds them to a bare network."""

    def __init__(self, rng: Random, topology: Topology, plain: bool = False) -> None:
        self.rng = rng
        self.made = topology
        self.run = topology.run
        # Nothing that needs connections to be tracked, nor a server, and no two rules of equal right.
        self.plain = plain
        self.tenants = [switch for switch in topology.switches if switch.hosts]
        # Names by which matches may refer to ports and addresses.
        self.groups: list[tuple[str, list[Host]]] = []
        self.sets: list[tuple[str, int]] = []
        self.vips = 0

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def add(self) -> None:
        self.add_sets()
        self.add_groups()
        if self.chance(0.7):
            self.add_acls()
        if self.chance(0.35):
            self.add_qos()
        for router in self.made.routers:
            self.add_routes(router)
            if self.chance(0.4):
                self.add_policies(router)
            if router.has_gateway() and not self.plain:
                self.add_nats(router)
        if self.plain:
            self.add_mtus()
            return
        if self.chance(0.7):
            self.add_balancers()
        if self.chance(0.3):
            self.add_dhcp()
        if self.chance(0.15):
            self.add_dns()

    def hosts_of(self, router: Router, version: int) -> list[tuple[Host, Address]]:
        return [(host, one) for host in router.hosts() for one in host.addresses if one.version == version]

    # ---- names ------------------------------------------------------------------------------------------------------

    def add_sets(self) -> None:
        for number in range(self.rng.randint(0, 2)):
            version = self.rng.choice([4, 6])
            addresses = [one for host in self.made.hosts() for one in host.addresses if one.version == version]
            chosen = [str(one) for one in addresses if self.chance(0.3)]
            chosen += ["10.1.0.0/16", "192.0.2.0/25"] if version == 4 else ["fd00:1::/64"]
            name = f"as{number}_v{version}"
            # An empty set is a set too.
            if self.chance(0.1):
                chosen = []
            quoted = ",".join(f'"{one}"' for one in chosen)
            self.run("create", "Address_Set", f"name={name}", *([f"addresses={quoted}"] if chosen else []))
            self.sets.append((name, version))

    def add_groups(self) -> None:
        for number in range(self.rng.randint(0, 2)):
            members = [host for host in self.made.hosts() if self.chance(0.5)]
            name = f"pg{number}"
            self.run("pg-add", name, *(host.name for host in members))
            self.groups.append((name, members))

    # ---- ACLs and QoS -----------------------------------------------------------------------------------------------

    def add_acls(self) -> None:
        seen = set()
        for number in range(self.rng.randint(1, 8)):
            direction = self.rng.choice(["from-lport", "to-lport"])
            port = "inport" if direction == "from-lport" else "outport"
            if self.groups and self.chance(0.5):
                owner, hosts = self.rng.choice(self.groups)
                side = f"{port} == @{owner}"
                kind = ["--type=port-group"]
            else:
                switch = self.rng.choice(self.tenants)
                owner, hosts = switch.name, switch.hosts
                side = self.side(port, hosts)
                kind = ["--type=switch"]
            verdict = self.rng.choice(["allow", "allow-related", "allow-related", "allow-stateless", "drop", "reject"])
            if self.plain and verdict == "allow-related":
                verdict = "allow-stateless"
            match = self.condition()
            if verdict == "reject":
                match = f"ip && ({match})"
            match = f"{side} && {match}" if side else match
            priority = self.rng.choice([0, 900, 1000, 1001, 1002, 32767])
            if self.plain:
                priority = self.rng.randint(0, 3200) * 10 + number
            if (owner, direction, priority, match) in seen:
                continue
            seen.add((owner, direction, priority, match))
            options = list(kind)
            if self.chance(0.2):
                options += ["--log", "--severity=" + self.rng.choice(["alert", "info", "debug"])]
                options += ["--name=acl-" + verdict] if self.chance(0.5) else []
            if direction == "from-lport" and self.chance(0.2):
                options.append("--apply-after-lb")
            if verdict == "allow-related" and self.chance(0.15):
                options.append("--label=1234")
            self.run(*options, "acl-add", owner, direction, priority, match, verdict)

    def side(self, port: str, hosts: list[Host]) -> str:
        """Ports of a switch that a rule is about, or nothing for all."""
        kind = self.rng.random()
        if kind < 0.35:
            return ""
        if kind < 0.8:
            return f'{port} == "{self.rng.choice(hosts).name}"'
        names = ", ".join(f'"{host.name}"' for host in self.rng.sample(hosts, 2))
        return f"{port} == {{{names}}}"

    def condition(self) -> str:
        """Of a rule; one or two terms, seldom negated."""
        terms = [self.term() for _ in range(self.rng.choice([1, 1, 1, 2]))]
        if len(terms) == 1:
            return f"!({terms[0]})" if self.chance(0.08) else terms[0]
        return f"({terms[0]} {self.rng.choice(['||', '&&'])} {terms[1]})"

    def term(self) -> str:
        rng = self.rng
        port = rng.choice(PORTS)
        proto = rng.choice(["tcp", "udp", "tcp", "sctp"])
        side = rng.choice(["src", "dst"])
        self.made.services.append((proto, port))
        host = rng.choice(self.made.hosts())
        terms = [
            "ip", "ip4", "ip6", "arp", "tcp", "icmp4", "icmp6", "eth.mcast", "ip4.mcast", "!ip4", "eth.type == 0x800",
            f"{proto}.dst == {port}",
            f"{proto}.dst == {{{port}, {rng.choice(PORTS)}}}",
            f"{port - 10} <= {proto}.dst <= {port}",
            f"{proto}.{side} > {port} && ip4",
            f"{proto}.src < 1024",
            f"{proto}.dst != {port}",
            "icmp4.type == 8", "icmp6.type == {128, 129}", "icmp && ip.ttl >= 2", "tcp.flags == 2/2",
            f"ip.proto == {rng.choice([6, 17])}", "ip.dscp == 10", "ip.ttl > 63", "ip.is_frag",
            f"eth.src == {host.mac}", f"eth.{side} == {{{host.mac}, 50:54:00:00:00:01}}",
            "arp.op == 1", "nd_ns", "0 < tcp.dst < 81", "tcp.dst == 80/0xfff0", "tcp.dst[0..7] == 80", "tcp.flags[1]",
            "eth.dst[40]", "ip4.src[24..31] == 10", "ip4 && tcp.dst == {80, 443} || ip6 && udp", "ip6.dst == ff00::/8",
            "!(ip4 && tcp)", "!tcp.dst == 80", "ip4.src == 0.0.0.0/0", "tcp.dst == 0x50", "ct.est", "!ct.new && ct.trk",
            f"{proto}.dst != {{{port}, 1}} && {proto}.src != {port}", f"!({proto}.dst == {port} || ip4.mcast)",
            "ip4.dst == 10.0.0.0/8", "ip4.src == 10.0.0.0/255.255.0.0", "ip6.src == fd00::/16", "vlan.vid == 5",
        ]  # fmt: skip
        for address in host.addresses[:2]:
            terms += [f"ip{address.version}.{side} == {address}"] * 3
            terms.append(f"ip{address.version}.{side} != {{{address}, {address + 1}}}")
        for name, version in self.sets:
            terms += [f"ip{version}.{side} == ${name}"] * 2 + [f"ip{version}.{side} != ${name}"]
            terms.append(f"ip{version}.{side} == {{${name}, {'10.3.0.1' if version == 4 else 'fd00::77'}}}")
        for name, members in self.groups:
            versions = {one.version for member in members for one in member.addresses}
            terms += [f"ip{version}.{side} == $" + f"{name}_ip{version}" for version in sorted(versions)]
        return rng.choice(terms)

    def add_qos(self) -> None:
        for number in range(self.rng.randint(1, 3)):
            switch = self.rng.choice(self.tenants)
            direction, port = self.rng.choice([("from-lport", "inport"), ("to-lport", "outport")])
            side = self.side(port, switch.hosts)
            term = self.rng.choice(["ip", "ip4", "tcp", "ip6", f"udp.dst == {self.rng.choice(PORTS)}"])
            what = [f"dscp={self.rng.choice([10, 46, 0, 63])}"] if self.chance(0.8) else []
            what += [f"rate={10000 + number}", "burst=1000"] if not what or self.chance(0.3) else []
            match = f"{side} && {term}" if side else term
            self.run("qos-add", switch.name, direction, 100 + number, match, *what)

    # ---- routes and policies ----------------------------------------------------------------------------------------

    def add_routes(self, router: Router) -> None:
        """Static and source routes to machines, some of several next hops, and discards."""
        for number in range(self.rng.randint(0, 4)):
            version = self.rng.choice([4, 4, 6])
            hops = self.hosts_of(router, version)
            third = 10 * len(self.made.destinations) + number
            prefix = ip_network(f"192.168.{third % 256}.0/24" if version == 4 else f"fd99:{third}::/64")
            kind = self.rng.random()
            if kind < 0.2:
                self.run("lr-route-add", router.name, prefix, "discard")
            elif not hops:
                continue
            elif kind < 0.45:
                host, source = self.rng.choice(hops)
                _, hop = self.rng.choice(hops)
                self.run("--policy=src-ip", "lr-route-add", router.name, f"{source}/{source.max_prefixlen}", hop)
                continue
            elif kind < 0.75 and len(hops) > 1:
                several = self.rng.sample(hops, 2)
                symmetric = router.has_gateway() and self.chance(0.6) and not self.plain
                option = "--ecmp-symmetric-reply" if symmetric else "--ecmp"
                for _, hop in several:
                    self.run(option, "lr-route-add", router.name, prefix, hop)
            else:
                self.run("lr-route-add", router.name, prefix, self.rng.choice(hops)[1])
            self.made.destinations.append((router, prefix))

    def add_policies(self, router: Router) -> None:
        for number in range(self.rng.randint(1, 3)):
            version = self.rng.choice([4, 4, 6])
            prefix = ip_network(f"198.51.{100 + number}.0/24" if version == 4 else f"fd98:{number}::/64")
            match = f"ip{version}.dst == {prefix}"
            hops = self.hosts_of(router, version)
            if hops and self.chance(0.3):
                match += f" && ip{version}.src == {self.rng.choice(hops)[1]}"
            kind = self.rng.random()
            words = ["allow" if kind < 0.2 else "drop"]
            if kind >= 0.4 and hops:
                several = self.rng.sample(hops, min(len(hops), self.rng.choice([1, 1, 2, 3])))
                words = ["reroute", ",".join(str(hop) for _, hop in several)]
            if words[0] != "drop" and self.chance(0.2):
                words.append("pkt_mark=100")
            self.run("lr-policy-add", router.name, 100 + number, match, *words)
            self.made.destinations.append((router, prefix))

    def add_mtus(self) -> None:
        """What is too long for some gateways is answered."""
        for port in self.made.router_ports():
            if port.gateway and self.chance(0.5):
                self.run("set", "Logical_Router_Port", port.name, "options:gateway_mtu=1300")

    # ---- NAT and load balancers -------------------------------------------------------------------------------------

    def add_nats(self, router: Router) -> None:
        """Addresses of the outside network from .100 on, for machines and networks of the router."""
        if not self.made.outside or router is not self.made.routers[0]:
            return
        if router.bound and self.chance(0.3):
            for option in ("lb_force_snat_ip", "dnat_force_snat_ip"):
                if self.chance(0.6):
                    value = "router_ip" if option.startswith("lb") and self.chance(0.5) else "172.16.0.99 fd00:ffff::99"
                    self.run("set", "Logical_Router", router.name, f'options:{option}="{value}"')
        taken = 100
        for network in router.networks_below():
            if self.chance(0.5):
                self.nat(Nat(router, "snat", self.made.outside.networks[network.version == 6][taken], network))
                taken += 1
        for version in (4, 6):
            hosts = self.hosts_of(router, version)
            for host, address in self.rng.sample(hosts, min(len(hosts), self.rng.randint(0, 2))):
                external = self.made.outside.networks[version == 6][taken]
                kind = self.rng.choice(["dnat_and_snat", "dnat_and_snat", "dnat"])
                nat = Nat(router, kind, external, address)
                floating = kind == "dnat_and_snat" and not router.bound and self.chance(0.4)
                if floating:
                    nat.mac = f"50:54:00:00:f1:{taken:02x}"
                self.nat(nat, host if floating else None)
                taken += 1

    def nat(self, nat: Nat, host: Host | None = None) -> None:
        option = ["--stateless"] if nat.kind == "dnat_and_snat" and self.chance(0.15) else []
        words = [host.name, nat.mac] if host else []
        self.run(*option, "lr-nat-add", nat.router.name, nat.kind, nat.external, nat.logical, *words)
        self.made.nats.append(nat)

    def add_balancers(self) -> None:
        if self.chance(0.2):
            self.run("set", "NB_Global", ".", "options:controller_event=true")
        for number in range(self.rng.randint(1, 3)):
            version = self.rng.choice([4, 4, 6])
            hosts = [(host, one) for host in self.made.hosts() for one in host.addresses if one.version == version]
            if not hosts:
                continue
            name = f"lb{number}"
            protocol = self.rng.choice(["tcp", "udp", "tcp", "sctp"])
            with_port = self.chance(0.8)
            vips = [self.vip(version, protocol, with_port, hosts) for _ in range(self.rng.randint(1, 2))]
            for vip in vips:
                backends = ",".join(endpoint(*backend) for backend in vip.backends)
                option = [self.rng.choice(["--reject", "--event"])] if not backends else []
                kind = [protocol] if with_port else []
                self.run(*option, "lb-add", name, endpoint(vip.address, vip.port), backends, *kind)
            self.balancer_options(name)
            self.attach_balancer(name, vips)
            self.made.vips += vips

    def vip(self, version: int, protocol: str, with_port: bool, hosts: list[tuple[Host, Address]]) -> Vip:
        several = self.rng.sample(hosts, min(len(hosts), self.rng.choice([1, 1, 1, 2, 3])))
        if self.chance(0.07):
            several = []
        self.vips += 1
        prefix: Network = ip_network("10.200.0.0/16" if version == 4 else "fd00:200::/64")
        if self.made.outside and self.chance(0.4):
            prefix = self.made.outside.networks[version == 6]
        port = self.rng.choice(PORTS) if with_port else None
        backends = [(one, self.rng.choice([port, 8080]) if port else None) for _, one in several]
        return Vip(prefix[150 + self.vips], port, protocol, backends)

    def balancer_options(self, name: str) -> None:
        for option, probability in (
            ("hairpin_snat_ip=169.254.9.9", 0.15),
            ("skip_snat=true", 0.1),
            ("affinity_timeout=60", 0.2),
            ("reject=true", 0.1),
            ("add_route=true", 0.1),
        ):
            if self.chance(probability):
                self.run("set", "Load_Balancer", name, f"options:{option}")

    def attach_balancer(self, name: str, vips: list[Vip]) -> None:
        switches: list[Switch] = [switch for switch in self.tenants if self.chance(0.6)]
        routers = [router for router in self.made.routers if router.has_gateway() and self.chance(0.6)]
        for switch in switches:
            self.run("ls-lb-add", switch.name, name)
        for router in routers:
            self.run("lr-lb-add", router.name, name)
        for vip in vips:
            vip.switches, vip.routers = switches, routers

    # ---- DHCP and DNS -----------------------------------------------------------------------------------------------

    def add_dhcp(self) -> None:
        switch = self.rng.choice(self.tenants)
        network = next((one for one in switch.networks if one.version == 4), None)
        if network is None:
            return
        server = ip_address(int(network.network_address) + 2)
        options = {
            "server_id": server, "server_mac": "c0:ff:ee:00:00:01", "lease_time": 3600, "router": server,
            "mtu": 1442, "dns_server": "{8.8.8.8, 10.0.0.53}", "domain_name": '\\"example.org\\"',
        }  # fmt: skip
        words = ",".join(f'"{key}"="{value}"' for key, value in options.items())
        self.run("--id=@dhcp", "create", "DHCP_Options", f"cidr={network}", f"options={{{words}}}")
        for host in switch.hosts:
            if host.addresses and self.chance(0.7):
                self.run("set", "Logical_Switch_Port", host.name, "dhcpv4_options=@dhcp")
                self.made.dhcp.append(host)

    def add_dns(self) -> None:
        switch = self.rng.choice(self.tenants)
        self.run("--id=@dns", "create", "DNS", "records:vm.example=10.0.0.10")
        self.run("set", "Logical_Switch", switch.name, "dns_records=@dns")
        self.made.dns = switch
