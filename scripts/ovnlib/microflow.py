"""Random packets for a random network, most of them such that they get somewhere.

Left out is what ovn-trace 23.03 aborts on or misleads about: neighbour solicitations for a router, router
solicitations, duplicate address detection, packets without a TTL, and ip.dscp and ip.ecn, which it takes no notice of
in a microflow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from random import Random

from .services import PORTS, endpoint
from .topology import WORLD, Address, Host, Nat, RouterPort, Switch, Topology, Vip

BROADCAST = "ff:ff:ff:ff:ff:ff"


@dataclass
class Microflow:
    """One question: options, datapath, microflow."""

    kind: str
    datapath: str
    expression: str
    options: list[str] = field(default_factory=list)


@dataclass
class Packet:
    """What a microflow says, before it is put into words."""

    datapath: str
    inport: str
    source: str
    target: str
    terms: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)

    def words(self, rng: Random) -> str:
        terms = [f'inport == "{self.inport}"', f"eth.src == {self.source}", f"eth.dst == {self.target}", *self.terms]
        # Order and grouping mean nothing.
        if rng.random() < 0.1:
            rng.shuffle(terms)
        if rng.random() < 0.05:
            terms[-2:] = [f"({terms[-2]} && {terms[-1]})"]
        return " && ".join(terms)


class Unfit(Exception):
    """The network has nothing for this kind of packet."""


class Generator:
    """Microflows without end."""

    def __init__(self, rng: Random, topology: Topology) -> None:
        self.rng = rng
        self.topology = topology
        self.hosts = [host for host in topology.hosts() if host.addresses]
        self.kinds = {
            "host to host": (45, self.host_to_host),
            "to a virtual address": (18, self.to_vip),
            "from outside": (10, self.from_outside),
            "to outside": (8, self.to_outside),
            "to a route or policy": (9, self.to_destination),
            "to a router": (6, self.to_router),
            "arp": (8, self.arp),
            "neighbour discovery": (4, self.neighbour),
            "ethernet": (5, self.ethernet),
            "dhcp": (2, self.dhcp),
            "dns": (1, self.dns),
            "at a router": (3, self.at_router),
            "anything": (8, self.anything),
        }

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def next(self) -> Microflow:
        weights = [weight for weight, _ in self.kinds.values()]
        while True:
            (kind,) = self.rng.choices(list(self.kinds), weights)
            try:
                packet = self.kinds[kind][1]()
            except Unfit:
                continue
            options = packet.options + self.options(packet)
            return Microflow(kind, packet.datapath, packet.words(self.rng), options)

    def options(self, packet: Packet) -> list[str]:
        """States of connections; a backend and a member where there is a choice, which would be random."""
        options = []
        if self.chance(0.7):
            usual = self.rng.choice(["new", "new", "est", "est,rpl"])
            unusual = ["new", "est", "est,rpl", "rel", "new,rel", "est,dnat", "inv", "trk", "new,snat"]
            for _ in range(self.rng.randint(1, 7)):
                options.append("--ct=" + (usual if self.chance(0.85) else self.rng.choice(unusual)))
        if not any(option.startswith("--lb-dst") for option in packet.options) and self.chance(0.04):
            host = self.rng.choice(self.hosts)
            options.append("--lb-dst=" + endpoint(self.rng.choice(host.addresses), self.rng.choice(PORTS)))
        return [*options, f"--select-id={self.rng.choice([1, 2])}"]

    # ---- pieces -----------------------------------------------------------------------------------------------------

    def shown(self, thing: Host | Switch | RouterPort) -> str:
        """One of the names it has."""
        friendly = getattr(thing, "friendly", None)
        return friendly if friendly and self.chance(0.3) else thing.name

    def from_host(self, host: Host, target: str, terms: list[str]) -> Packet:
        source = host.mac
        if self.chance(0.04):
            source = "50:54:00:00:99:99"
        return Packet(self.shown(host.switch), self.shown(host), source, target, terms)

    def towards(self, host: Host, address: Address) -> str:
        """The MAC that a machine would send to for an address: a neighbour's or a router's."""
        neighbours = {one: other.mac for other in host.switch.hosts for one in other.addresses}
        if address in neighbours and any(address in network for network in host.switch.networks):
            return neighbours[address]
        for port in host.switch.routers:
            if port.address(address.version):
                return port.mac
        raise Unfit

    def source_of(self, version: int, hosts: list[Host] | None = None) -> tuple[Host, Address]:
        found = [(host, one) for host in hosts or self.hosts for one in host.addresses if one.version == version]
        if not found:
            raise Unfit
        return self.rng.choice(found)

    def ip(self, source: Address, target: Address, ttl: int = 0) -> list[str]:
        if self.chance(0.03):
            source += 77
        terms = [f"ip{source.version}.src == {source}", f"ip{source.version}.dst == {target}"]
        terms.append(f"ip.ttl == {ttl or self.rng.choice([64, 64, 64, 64, 255, 2, 1])}")
        if self.chance(0.02):
            terms.append("ip.is_frag" if self.chance(0.5) else "ip.later_frag")
        return terms

    def transport(self, version: int, protocol: str | None = None, port: int | None = None) -> list[str]:
        if protocol is None and self.topology.services and self.chance(0.5):
            protocol, port = self.rng.choice(self.topology.services)
        protocol = protocol or self.rng.choice(["tcp", "tcp", "udp", "udp", "icmp", "icmp", "sctp", "other", "none"])
        if protocol == "none":
            return []
        if protocol == "other":
            return [f"ip.proto == {self.rng.choice([47, 50, 112])}"]
        if protocol == "icmp":
            kind = self.rng.choice([8, 0, 3, 11] if version == 4 else [128, 129, 1, 3])
            name = f"icmp{version}"
            return [f"{name}.type == {kind}", f"{name}.code == {0 if kind != 3 else self.rng.choice([0, 4])}"]
        ports = [f"{protocol}.dst == {port or self.rng.choice(PORTS)}"]
        if self.chance(0.8):
            ports.insert(0, f"{protocol}.src == {self.rng.choice([33000, 40000, 1023, *PORTS[:2]])}")
        if protocol == "tcp" and self.chance(0.3):
            ports.append(f"tcp.flags == {self.rng.choice([2, 0x10, 0x12, 4])}")
        return ([protocol] if self.chance(0.5) else []) + ports

    # ---- kinds ------------------------------------------------------------------------------------------------------

    def host_to_host(self) -> Packet:
        version = self.rng.choice([4, 4, 6])
        host, source = self.source_of(version)
        near = [other for other in host.switch.hosts if other is not host]
        other, target = self.source_of(version, near if near and self.chance(0.35) else None)
        if other is host:
            raise Unfit
        packet = self.from_host(host, self.towards(host, target), [])
        packet.terms = self.ip(source, target) + self.transport(version)
        if self.chance(0.03):
            packet.terms.append(self.rng.choice(["vlan.present", "vlan.vid == 5", "vlan.pcp == 3 && vlan.vid == 0"]))
        return packet

    def to_vip(self) -> Packet:
        host, source, vip = self.client_of_vip()
        packet = self.from_host(host, self.towards(host, vip.address), [])
        return self.ask_vip(packet, source, vip)

    def client_of_vip(self) -> tuple[Host, Address, Vip]:
        if not self.topology.vips:
            raise Unfit
        vip = self.rng.choice(self.topology.vips)
        near = [host for switch in vip.switches for host in switch.hosts if host.addresses]
        host, source = self.source_of(vip.address.version, near if near and self.chance(0.7) else None)
        # Now and then a backend asks itself.
        own = [backend for backend, _ in vip.backends if backend in host.addresses]
        return host, self.rng.choice(own) if own and self.chance(0.5) else source, vip

    def ask_vip(self, packet: Packet, source: Address, vip: Vip) -> Packet:
        port = vip.port if self.chance(0.93) else 9
        packet.terms = self.ip(source, vip.address) + self.transport(source.version, vip.protocol, port)
        # A connection that a switch sees first goes where --lb-dst says before any load balancer is asked. A choice of
        # one needs no --lb-dst.
        if len(vip.backends) > 1 or vip.backends and self.chance(0.25):
            packet.options.append("--lb-dst=" + endpoint(*self.rng.choice(vip.backends)))
        # New connections are those that a backend is chosen for.
        packet.options += ["--ct=new"] * self.rng.choice([0, 1, 2, 4])
        return packet

    def outside(self) -> tuple[Switch, RouterPort]:
        if not self.topology.outside:
            raise Unfit
        return self.topology.outside, self.topology.outside.routers[0]

    def from_outside(self) -> Packet:
        """To a virtual or translated address, a router's, or one inside that nobody translates."""
        switch, port = self.outside()
        nats: list[Nat] = self.topology.nats
        vips = [vip for vip in self.topology.vips if vip.routers]
        choice = self.rng.random()
        packet = Packet(switch.name, str(switch.localnet), "00:00:5e:00:01:01", port.mac)
        if choice < 0.45 and nats:
            nat = self.rng.choice(nats)
            packet.target = nat.mac or port.mac
            target = nat.external
        elif choice < 0.75 and vips:
            vip = self.rng.choice(vips)
            return self.ask_vip(packet, self.world(vip.address.version), vip)
        elif choice < 0.85:
            target = self.rng.choice(port.interfaces).ip
        else:
            _, target = self.source_of(self.rng.choice([4, 6]))
        packet.terms = self.ip(self.world(target.version), target) + self.transport(target.version)
        packet.options += ["--ct=new"] * self.rng.choice([0, 0, 2])
        return packet

    def world(self, version: int) -> Address:
        return ip_address(self.rng.choice([one for one in WORLD if (":" in one) == (version == 6)]))

    def to_outside(self) -> Packet:
        switch, _ = self.outside()
        host, source = self.source_of(self.rng.choice([4, 4, 6]))
        target = self.world(source.version)
        external = [nat.external for nat in self.topology.nats if nat.external.version == source.version]
        if external and self.chance(0.4):
            target = self.rng.choice(external)
        elif self.chance(0.3):
            target = switch.networks[source.version == 6][self.rng.choice([1, 77])]
        packet = self.from_host(host, self.towards(host, target), [])
        packet.terms = self.ip(source, target) + self.transport(source.version)
        return packet

    def to_destination(self) -> Packet:
        if not self.topology.destinations:
            raise Unfit
        router, network = self.rng.choice(self.topology.destinations)
        host, source = self.source_of(network.version, router.hosts())
        target = network[self.rng.randint(1, 200)]
        packet = self.from_host(host, self.towards(host, target), [])
        if self.chance(0.25):
            # The way back, from whoever is behind the next hop.
            source, (_, target) = target, self.source_of(source.version)
        packet.terms = self.ip(source, target) + self.transport(source.version)
        return packet

    def to_router(self) -> Packet:
        """Pings, closed ports, a TTL that ends, an address that nobody has."""
        host = self.rng.choice(self.hosts)
        if not host.switch.routers:
            raise Unfit
        port = self.rng.choice(self.rng.choice(host.switch.routers).router.ports)
        target = self.rng.choice(port.interfaces).ip
        if self.chance(0.2):
            target += 40
        _, source = self.source_of(target.version, [host])
        mac = self.rng.choice(host.switch.routers).mac
        if self.chance(0.1):
            target = ip_address("255.255.255.255" if target.version == 4 else "ff02::1")
            mac = BROADCAST
        packet = self.from_host(host, mac, [])
        packet.terms = self.ip(source, target) + self.transport(target.version)
        return packet

    def arp(self) -> Packet:
        host, source = self.source_of(4)
        packet = self.from_host(host, BROADCAST, [])
        known = [one for other in host.switch.hosts for one in other.addresses if one.version == 4]
        routers = [one for port in host.switch.routers if (one := port.address(4))]
        target = self.rng.choice(known * 2 + routers * 3 + [source, source + 60, ip_address("169.254.7.7")])
        if self.topology.outside and self.chance(0.3):
            packet.datapath, packet.inport = "outside", str(self.topology.outside.localnet)
            packet.source = "00:00:5e:00:01:01"
            source = ip_address("172.16.0.1")
            external = [nat.external for nat in self.topology.nats if nat.external.version == 4]
            external += [vip.address for vip in self.topology.vips if vip.address.version == 4]
            target = self.rng.choice([*external, ip_address("172.16.0.10"), ip_address("172.16.0.33")])
        request = self.chance(0.8)
        if not request:
            packet.target = self.rng.choice([port.mac for port in host.switch.routers] or [BROADCAST])
        packet.terms = [
            f"arp.op == {1 if request else 2}", f"arp.sha == {packet.source}", f"arp.spa == {source}",
            f"arp.tpa == {target}",
        ]  # fmt: skip
        if not request or self.chance(0.2):
            packet.terms.append(f"arp.tha == {packet.target}")
        return packet

    def neighbour(self) -> Packet:
        """Solicitations for machines, and advertisements."""
        host, source = self.source_of(6)
        near = [one for other in host.switch.hosts for one in other.addresses if one.version == 6]
        target = self.rng.choice([*near, source + 60])
        if self.chance(0.7):
            low = int(target) & 0xFFFFFF
            group = IPv6Address(int(IPv6Address("ff02::1:ff00:0")) | low)
            mac = f"33:33:ff:{low >> 16:02x}:{low >> 8 & 255:02x}:{low & 255:02x}"
            packet = self.from_host(host, mac, [])
            terms = ["nd_ns", f"nd.target == {target}", f"nd.sll == {packet.source}"]
            packet.terms = [f"ip6.src == {source}", f"ip6.dst == {group}", "ip.ttl == 255", *terms]
            return packet
        macs = [port.mac for port in host.switch.routers] or [host.mac]
        packet = self.from_host(host, self.rng.choice(macs), [])
        target = self.rng.choice([port.address(6) for port in host.switch.routers if port.address(6)] or [target])
        claimed = source if self.chance(0.8) else source + 60
        terms = ["nd_na", f"nd.target == {claimed}", f"nd.tll == {packet.source}"]
        packet.terms = [f"ip6.src == {source}", f"ip6.dst == {target}", "ip.ttl == 255", *terms]
        return packet

    def ethernet(self) -> Packet:
        """Everything that is not IP, and addresses that are no single machine's."""
        host = self.rng.choice(self.topology.hosts())
        stations = [mac for other, mac in self.topology.stations if other.switch is host.switch]
        others = [other.mac for other in host.switch.hosts if other is not host]
        target = self.rng.choice(
            others + stations * 2 + [BROADCAST, "01:00:5e:00:00:05", "33:33:00:00:00:05", "50:54:00:00:77:77"]
        )
        packet = self.from_host(host, target, [])
        mine = [mac for other, mac in self.topology.stations if other is host]
        if mine and self.chance(0.7):
            packet.source = self.rng.choice(mine)
        elif self.chance(0.05):
            packet.source = "01:00:5e:00:00:01"
        terms = [["eth.type == 0x88cc"], ["eth.type == 0x1234"], [], ["vlan.present"], ["vlan.vid == 5"]]
        packet.terms = list(self.rng.choice(terms))
        if host.addresses and self.chance(0.4):
            version = host.addresses[0].version
            group = ip_address("224.0.0.251" if version == 4 else "ff02::fb")
            packet.terms = self.ip(host.addresses[0], group) + self.transport(version)
        return packet

    def dhcp(self) -> Packet:
        if not self.topology.dhcp:
            raise Unfit
        packet = self.from_host(self.rng.choice(self.topology.dhcp), BROADCAST, [])
        packet.terms = [
            "ip4.src == 0.0.0.0", "ip4.dst == 255.255.255.255", "ip.ttl == 64", "udp.src == 68", "udp.dst == 67",
        ]  # fmt: skip
        return packet

    def dns(self) -> Packet:
        if not self.topology.dns:
            raise Unfit
        hosts = [host for host in self.topology.dns.hosts if host.addresses]
        host, source = self.source_of(self.rng.choice([4, 6]), hosts)
        packet = self.from_host(host, self.towards(host, self.world(source.version)), [])
        packet.terms = self.ip(source, self.world(source.version)) + self.transport(source.version, "udp", 53)
        return packet

    def at_router(self) -> Packet:
        """A packet that begins inside a router."""
        ports = self.topology.router_ports()
        if not ports:
            raise Unfit
        port = self.rng.choice(ports)
        _, source = self.source_of(self.rng.choice([4, 6]))
        _, target = self.source_of(source.version)
        name = port.router.friendly if port.router.friendly and self.chance(0.3) else port.router.name
        packet = Packet(name, port.name, "50:54:00:00:99:01", port.mac)
        packet.terms = self.ip(source, target) + self.transport(source.version)
        return packet

    def anything(self) -> Packet:
        """Whatever the language can say of a packet, much of which contradicts itself: then both must refuse it."""
        host = self.rng.choice(self.hosts)
        macs = [other.mac for other in host.switch.hosts] + [port.mac for port in host.switch.routers] + [BROADCAST]
        packet = self.from_host(host, self.rng.choice(macs), [])
        number = self.rng.choice([0, 1, 2, 80, 255])
        mac = self.rng.choice(macs)
        v4, v6 = self.rng.choice(["10.0.0.10", "224.0.0.1"]), self.rng.choice(["fd00::a", "ff02::1", "fe80::1"])
        below = [
            ["ip4", f"ip4.src == {v4}"], ["ip4", f"ip4.dst == {v4}"], ["ip6", f"ip6.src == {v6}"], ["ip6.mcast"],
            ["ip4.mcast"], ["ip"], ["arp", f"arp.tpa == {v4}", f"arp.sha == {mac}"], ["rarp", f"rarp.tpa == {v4}"],
            [f"eth.type == {number + 0x800:#x}"], ["eth.mcast"], ["eth.bcast"], ["mpls"], [],
        ]  # fmt: skip
        above = [
            [f"tcp.src == {number}", f"tcp.flags == {number}"], [f"udp.dst == {number}"], [f"sctp.src == {number}"],
            [f"icmp4.type == {number}", "icmp4.code == 1"], [f"icmp6.type == {number}"], ["icmp"], ["igmp"],
            ["nd", f"nd.target == {v6}", f"nd.tll == {mac}"], ["nd_na", f"nd.target == {v6}"], ["mldv1"], ["mldv2"],
            [f"ip.proto == {number}"], ["tcp.dst == {80}"], ["80 <= tcp.dst <= 80"], ["tcp.dst > 80"], ["tcp"], [],
            ["tcp.dst == {80, 81}"], ["tcp.dst[0..7] == 80"], ["!tcp"],
        ]  # fmt: skip
        beside = [
            "vlan.present", f"vlan.vid == {number}", "vlan.pcp == 3", "!vlan.present", "vlan.tci == 0x1064",
            "ip.is_frag", "ip.first_frag", "ip.is_frag && ip.later_frag", f"ip.ttl == {number or 64}",
            "ip.ttl == 64/0xff", "eth.type == {0x800, 0x86dd}", "ip4.src == 10.0.0.0/24", "(ip4 || ip6)",
            f"reg0 == {number}", "reg1[0..7] == 3", f"xreg1 == {number}", "xxreg0 == fd00::1", "flags == 1",
            "flags.loopback == 1", "ct.est", "ct.new && ct.trk", "ct.dnat", "ct_mark == 1", "ct_mark.blocked == 1",
            "ct_label == 5", "pkt.mark == 3", "1", "0",
        ]  # fmt: skip
        packet.terms = [*self.rng.choice(below[:6] if self.chance(0.6) else below)]
        if self.chance(0.6):
            packet.terms += self.rng.choice(above)
        packet.terms += self.rng.sample(beside, self.rng.choice([0, 0, 1, 2]))
        return packet
