"""Random logical networks: what one consists of, and the ovn-nbctl commands that make it.

Switches and routers form a tree, and a static route leads to a machine or down the tree, so that no packet goes round.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_interface,
    ip_network,
)
from random import Random

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network

OUTSIDE = (ip_network("172.16.0.0/24"), ip_network("fd00:ffff::/64"))
# What the rest of the world answers with, beyond the outside network.
WORLD = ("8.8.8.8", "203.0.113.77", "2001:db8::8")


@dataclass
class Host:
    """A port of a machine."""

    name: str
    switch: Switch
    mac: str
    addresses: list[Address]
    unknown: bool = False
    enabled: bool = True
    # A second way of naming it, as the names of a cloud's user are.
    friendly: str | None = None


@dataclass
class RouterPort:
    """A router's port, on a switch or facing another router's."""

    name: str
    router: Router
    mac: str
    interfaces: list[Interface]
    switch: Switch | None = None
    gateway: bool = False

    def address(self, version: int) -> Address | None:
        return next((one.ip for one in self.interfaces if one.version == version), None)


@dataclass
class Switch:
    name: str
    networks: list[Network]
    hosts: list[Host] = field(default_factory=list)
    routers: list[RouterPort] = field(default_factory=list)
    localnet: str | None = None
    friendly: str | None = None
    taken: int = 9

    def next_addresses(self) -> list[Address]:
        """One of each network that nobody has."""
        self.taken += 1
        return [network[self.taken] for network in self.networks]


@dataclass
class Router:
    name: str
    ports: list[RouterPort] = field(default_factory=list)
    # Lives on one chassis as a whole.
    bound: bool = False
    children: list[Router] = field(default_factory=list)
    # The port of the router above that leads here, and the one here that leads there.
    uplink: tuple[RouterPort, RouterPort] | None = None
    friendly: str | None = None

    def has_gateway(self) -> bool:
        return self.bound or any(port.gateway for port in self.ports)

    def hosts(self) -> list[Host]:
        """Machines on its own switches."""
        return [host for port in self.ports if port.switch for host in port.switch.hosts]

    def networks_below(self) -> list[Network]:
        """Those of its switches and of the routers below it."""
        own = [network for port in self.ports if port.switch and port.switch.hosts for network in port.switch.networks]
        return own + [network for child in self.children for network in child.networks_below()]


@dataclass
class Vip:
    """One virtual address of a load balancer."""

    address: Address
    port: int | None
    protocol: str
    backends: list[tuple[Address, int | None]]
    switches: list[Switch] = field(default_factory=list)
    routers: list[Router] = field(default_factory=list)


@dataclass
class Nat:
    router: Router
    kind: str
    external: Address
    # An address, for snat also a network.
    logical: Address | Network
    mac: str | None = None


@dataclass
class Topology:
    commands: list[list[str]] = field(default_factory=list)
    switches: list[Switch] = field(default_factory=list)
    routers: list[Router] = field(default_factory=list)
    outside: Switch | None = None
    vips: list[Vip] = field(default_factory=list)
    nats: list[Nat] = field(default_factory=list)
    # Where static routes and policies lead, by the router that has them.
    destinations: list[tuple[Router, Network]] = field(default_factory=list)
    # What somebody would use a name for.
    services: list[tuple[str, int]] = field(default_factory=list)
    dhcp: list[Host] = field(default_factory=list)
    dns: Switch | None = None
    # What the switch has learnt: (router port, address, MAC) and (machine's port, MAC).
    neighbours: list[tuple[RouterPort, Address, str]] = field(default_factory=list)
    stations: list[tuple[Host, str]] = field(default_factory=list)

    def run(self, *words: object) -> None:
        """Adds a command of ovn-nbctl."""
        self.commands.append([str(word) for word in words])

    def hosts(self) -> list[Host]:
        return [host for switch in self.switches for host in switch.hosts]

    def router_ports(self) -> list[RouterPort]:
        return [port for router in self.routers for port in router.ports]


class Builder:
    """Makes the bare network: switches, machines, routers and the links between them."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.made = Topology()
        self.macs = 0
        # A cloud names things by uuids and keeps what its users call them beside.
        self.cloud = rng.random() < 0.2

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def mac(self) -> str:
        self.macs += 1
        return f"50:54:00:00:{self.macs >> 8:02x}:{self.macs & 255:02x}"

    def name(self, plain: str) -> tuple[str, str | None]:
        """A name, and in a cloud the friendly one beside it."""
        if self.cloud and self.chance(0.8):
            return str(uuid.UUID(int=self.rng.getrandbits(128), version=4)), plain
        if self.chance(0.1):
            return f"{plain}.{self.rng.choice(['a b', 'x/y', 'ü', 'none-1', '0x1'])}", None
        return plain, None

    def build(self) -> Topology:
        """The network; what it offers beyond forwarding is added by `services`."""
        run = self.made.run
        if self.chance(0.15):
            run("set", "NB_Global", ".", "options:use_ct_inv_match=false")
        for number in range(self.rng.randint(1, 4)):
            self.switch(number)
        for number in range(self.rng.choice([0, 1, 1, 1, 2, 2, 3])):
            self.router(number)
        if self.made.routers:
            self.link_switches()
            if self.chance(0.75):
                self.add_outside(self.made.routers[0])
            self.route_the_tree()
        self.learn()
        return self.made

    # ---- switches ---------------------------------------------------------------------------------------------------

    def switch(self, number: int) -> None:
        networks: list[Network] = []
        kind = self.rng.random()
        if kind < 0.85:
            networks.append(ip_network(f"10.{number}.0.0/{self.rng.choice([16, 20, 24, 24, 24, 26])}"))
        if kind > 0.3:
            networks.append(ip_network(f"fd00:{number}::/64"))
        name, friendly = self.name(f"sw{number}")
        switch = Switch(name, networks, friendly=friendly)
        self.made.switches.append(switch)
        self.made.run("ls-add", name)
        if friendly:
            self.made.run("set", "Logical_Switch", name, f'external_ids:neutron\\:network_name="{friendly}"')
        for option, probability in (
            ("vlan-passthru=true", 0.1),
            ("mcast_snoop=true", 0.1),
            ("mcast_flood_unregistered=true", 0.05),
            ("broadcast-arps-to-all-routers=false", 0.1),
        ):
            if self.chance(probability):
                self.made.run("set", "Logical_Switch", name, f"other_config:{option}")
        for _ in range(self.rng.randint(2, 5)):
            self.host(switch)

    def host(self, switch: Switch) -> None:
        plain = f"vm{len(self.made.hosts())}"
        name, friendly = self.name(plain)
        host = Host(name, switch, self.mac(), switch.next_addresses(), friendly=friendly)
        run = self.made.run
        run("lsp-add", switch.name, name)
        if friendly:
            run("set", "Logical_Switch_Port", name, f'external_ids:neutron\\:port_name="{friendly}"')
        host.unknown = self.chance(0.15)
        known = " ".join([host.mac, *map(str, host.addresses)])
        # Some have a second address, some are known by nothing but their MAC, some by nothing at all.
        kind = self.rng.random()
        if kind < 0.1:
            host.addresses += switch.next_addresses()
            known = " ".join([host.mac, *map(str, host.addresses)])
        elif kind < 0.17:
            known = host.mac
        if host.unknown:
            run("lsp-set-addresses", name, *([] if self.chance(0.4) else [known]), "unknown")
        else:
            run("lsp-set-addresses", name, known)
        if self.chance(0.4):
            run("lsp-set-port-security", name, *self.security(host))
        if self.chance(0.06):
            host.enabled = False
            run("lsp-set-enabled", name, "disabled")
        if self.chance(0.04):
            run("lsp-set-type", name, "localport")
        elif self.chance(0.03) and switch.hosts:
            run("set", "Logical_Switch_Port", name, f'parent_name="{switch.hosts[0].name}"', "tag=7")
        switch.hosts.append(host)

    def security(self, host: Host) -> list[str]:
        """What the port may send and get: with and without addresses and lengths of prefixes."""
        kind = self.rng.random()
        if kind < 0.2:
            return [host.mac]
        if kind < 0.4:
            return [" ".join([host.mac, *(f"{one}/{one.max_prefixlen}" for one in host.addresses)])]
        if kind < 0.5:
            return [f"{host.mac} {host.addresses[0]}"]
        if kind < 0.6:
            return [f"{self.mac()} {host.addresses[0]}", " ".join([host.mac, *map(str, host.addresses)])]
        return [" ".join([host.mac, *map(str, host.addresses)])]

    # ---- routers ----------------------------------------------------------------------------------------------------

    def router(self, number: int) -> None:
        name, friendly = self.name(f"lr{number}")
        router = Router(name, friendly=friendly)
        run = self.made.run
        run("lr-add", name)
        if friendly:
            run("set", "Logical_Router", name, f'external_ids:neutron\\:router_name="{friendly}"')
        if self.chance(0.2):
            run("set", "Logical_Router", name, "options:always_learn_from_arp_request=false")
        if self.chance(0.2):
            run("set", "Logical_Router", name, "options:dynamic_neigh_routers=true")
        if self.made.routers:
            parent = self.rng.choice(self.made.routers)
            parent.children.append(router)
            router.uplink = self.join(parent, router, number)
        elif self.chance(0.25):
            router.bound = True
            run("set", "Logical_Router", name, "options:chassis=hv1")
        self.made.routers.append(router)

    def join(self, upper: Router, lower: Router, number: int) -> tuple[RouterPort, RouterPort]:
        """Two routers by a pair of peers, or by a switch between them."""
        networks = [ip_network(f"100.64.{number}.0/24"), ip_network(f"fd64:{number}::/64")]
        # A router bound to a chassis is reached over a switch only.
        if self.chance(0.5) and not upper.bound:
            down = self.router_port(upper, f"down{number}", networks, 1)
            up = self.router_port(lower, f"up{number}", networks, 2)
            self.made.run("set", "Logical_Router_Port", down.name, f"peer={up.name}")
            self.made.run("set", "Logical_Router_Port", up.name, f"peer={down.name}")
            return down, up
        switch = Switch(f"join{number}", networks)
        self.made.run("ls-add", switch.name)
        self.made.switches.append(switch)
        return self.attach(upper, switch, 1), self.attach(lower, switch, 2)

    def router_port(self, router: Router, name: str, networks: list[Network], host: int) -> RouterPort:
        interfaces = [ip_interface(f"{network[host]}/{network.prefixlen}") for network in networks]
        port = RouterPort(name, router, self.mac(), interfaces)
        router.ports.append(port)
        self.made.run("lrp-add", router.name, name, port.mac, *interfaces)
        return port

    def attach(self, router: Router, switch: Switch, host: int = 1) -> RouterPort:
        """A router's port on a switch, with the switch's port of type router."""
        number = len(self.made.router_ports())
        port = self.router_port(router, f"lrp{number}", switch.networks, host)
        port.switch = switch
        switch.routers.append(port)
        name = f"lsp-lrp{number}"
        run = self.made.run
        run("lsp-add", switch.name, name)
        run("lsp-set-type", name, "router")
        run("lsp-set-addresses", name, "router" if self.chance(0.7) else port.mac)
        proxy = ["arp_proxy=169.254.7.7"] if self.chance(0.05) else []
        run("lsp-set-options", name, f"router-port={port.name}", *proxy)
        return port

    def link_switches(self) -> None:
        for switch in self.made.switches:
            if switch.hosts and self.chance(0.9):
                self.attach(self.rng.choice(self.made.routers), switch)

    def add_outside(self, router: Router) -> None:
        """A provider network with a way out, by a gateway port or by a router that is bound as a whole."""
        switch = Switch("outside", list(OUTSIDE), localnet="to-physnet")
        run = self.made.run
        run("ls-add", switch.name)
        run("lsp-add", switch.name, switch.localnet)
        run("lsp-set-type", switch.localnet, "localnet")
        run("lsp-set-addresses", switch.localnet, "unknown")
        run("lsp-set-options", switch.localnet, "network_name=physnet1")
        port = self.attach(router, switch, 10)
        if not router.bound:
            port.gateway = self.chance(0.9)
            if port.gateway:
                run("lrp-set-gateway-chassis", port.name, "hv1", 20)
        self.made.switches.append(switch)
        self.made.outside = switch

    def route_the_tree(self) -> None:
        """Down by the networks that are there, up by default."""
        for upper in self.made.routers:
            for lower in upper.children:
                self.route_between(upper, lower)
        top = self.made.routers[0]
        if self.made.outside:
            for network, everything in zip(OUTSIDE, ("0.0.0.0/0", "::/0")):
                if self.chance(0.85):
                    self.made.run("lr-route-add", top.name, everything, network[1])

    def route_between(self, upper: Router, lower: Router) -> None:
        if lower.uplink is None:
            return
        down, up = lower.uplink
        for version, everything in ((4, "0.0.0.0/0"), (6, "::/0")):
            for network in lower.networks_below():
                if network.version == version:
                    self.made.run("lr-route-add", upper.name, network, up.address(version))
            self.made.run("lr-route-add", lower.name, everything, down.address(version))

    # ---- what has been learnt ---------------------------------------------------------------------------------------

    def learn(self) -> None:
        """Neighbours of routers and stations behind ports of unknown addresses; rows of the Southbound database."""
        for port in self.made.router_ports():
            for interface in port.interfaces:
                if port.switch and port.switch.localnet and self.chance(0.7):
                    self.made.neighbours.append((port, interface.network[1], self.mac()))
                if self.chance(0.3):
                    self.made.neighbours.append((port, interface.network[self.rng.randint(40, 45)], self.mac()))
        for host in self.made.hosts():
            if host.unknown and self.chance(0.7):
                self.made.stations.append((host, self.mac()))
