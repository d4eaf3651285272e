"""Random edits of a Northbound database, one command line after the other, and what is there after each.

What is not compiled yet is left out: NAT, load balancers, DHCP, DNS, BFD, symmetric replies of routes and addresses that are given
to ports. Left out too is what ovn-northd decides by the order of identifiers, and so otherwise each time, and where it does not get on:
- More than one new datapath, or new port of one, in one line, such as a router with several ports that is enabled again: their
  tunnel keys. Two that ask for one key.
- --may-exist for a route with several next hops: which of them is changed.
- Networks that several ports of a router have: which of them a next hop is behind.
- nat-addresses that are written, where a router has several gateway ports: at which of them they are announced.
- Configured neighbours of a router that is disabled or gone: its datapath cannot go then, and ovn-northd tries for ever; and of
  a port that is gone: the row stays until something else changes it.
- An address set with the name of one that a port group has: ovn-northd writes both, and tries for ever.
- A router port with two switch ports that lead to it, or with a switch port and a peer: which of them it has.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from random import Random

PORTS = (22, 53, 80, 443, 8080)
CHASSIS = ("hv1", "hv2", "gw1")
COPP = (
    "arp", "arp-resolve", "dhcpv4-opts", "icmp4-error", "icmp6-error", "igmp", "nd-na", "nd-ns", "nd-ns-resolve", "nd-ra-opts",
    "reject", "svc-monitor", "tcp-reset",
)  # fmt: skip

Command = list[str]


def network(prefix: str) -> IPv4Network | IPv6Network:
    return ip_network(prefix, strict=False)


@dataclass
class Port:
    """A switch port."""

    name: str
    switch: Switch
    kind: str = ""
    # The router port that it leads to.
    router: str = ""


@dataclass
class Switch:
    name: str
    number: int
    ports: list[Port] = field(default_factory=list)
    acls: list[tuple[str, str, str]] = field(default_factory=list)
    qos: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass
class RouterPort:
    name: str
    router: Router
    networks: list[str]
    peer: str = ""
    facing: Port | None = None
    gateways: set[str] = field(default_factory=set)
    group: bool = False

    @property
    def is_hosted(self) -> bool:
        """Whether there is a second port, by which packets are sent to a chassis."""
        return self.group or bool(self.gateways)


@dataclass
class Router:
    name: str
    ports: list[RouterPort] = field(default_factory=list)
    routes: list[tuple[list[str], str, str]] = field(default_factory=list)
    policies: list[tuple[str, str]] = field(default_factory=list)
    enabled: bool = True


@dataclass
class Group:
    """A port group."""

    name: str
    acls: list[tuple[str, str, str]] = field(default_factory=list)


class Editor:
    """Makes edits. `do` runs a command line and says whether it was accepted; `place` lets a chassis come or go."""

    def __init__(
        self, rng: Random, do: Callable[[list[Command]], bool], place: Callable[[str, str], None], grows: bool
    ) -> None:
        self.rng = rng
        self.do = do
        self.place = place
        self.grows = grows
        self.counts: dict[str, int] = {}
        self.switches: list[Switch] = []
        self.routers: list[Router] = []
        self.groups: list[Group] = []
        self.sets: list[str] = []
        self.meters: list[str] = []
        self.copps: list[str] = []
        self.mirrors: list[str] = []
        self.families: list[str] = []
        self.bindings: list[tuple[str, str]] = []
        self.chassis: list[str] = []
        self.asked: dict[str, set[int]] = {}

    # ---- small words ------------------------------------------------------------------------------------------------

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def one(self, *of: str) -> str:
        return self.rng.choice(of)

    def new(self, prefix: str) -> str:
        number = self.counts.get(prefix, 0)
        self.counts[prefix] = number + 1
        # Some names need quotes where they are written into flows.
        return f"{prefix}{number}" if self.chance(0.97) else f"{prefix}-{number}.x y"

    def mac(self) -> str:
        # Few, so that some are there twice.
        return f"02:00:00:00:{self.rng.randrange(3):02x}:{self.rng.randrange(256):02x}"

    def run(self, *command: object) -> bool:
        return self.do([[str(word) for word in command]])

    def ports(self, *kinds: str) -> list[Port]:
        return [port for switch in self.switches for port in switch.ports if not kinds or port.kind in kinds]

    def router_ports(self) -> list[RouterPort]:
        return [port for router in self.routers for port in router.ports]

    def near(self, number: int, version: int, host: int | None = None) -> str:
        host = self.rng.randrange(2, 12) if host is None else host
        return f"10.{number}.0.{host}" if version == 4 else f"fd00:{number}::{host:x}"

    def somewhere(self, version: int) -> str:
        numbers = [switch.number for switch in self.switches] or [0]
        return self.near(self.rng.choice(numbers), version)

    # ---- switches -----------------------------------------------------------------------------------------------------

    def add_switch(self) -> None:
        if len(self.switches) >= 6:
            return
        if self.switches and self.chance(0.1):
            known = self.rng.choice(self.switches)
            self.run(*(["--may-exist"] if self.chance(0.5) else []), "ls-add", known.name)
            return
        name = self.new("s")
        if self.run("ls-add", name):
            self.switches.append(Switch(name, self.counts["s"] - 1))

    def del_switch(self) -> None:
        if len(self.switches) > 2 and self.chance(0.5):
            switch = self.rng.choice(self.switches)
            if self.run("ls-del", switch.name):
                self.forget_ports(switch.ports)
                self.switches.remove(switch)

    def forget_ports(self, ports: list[Port]) -> None:
        for lrp in self.router_ports():
            if lrp.facing in ports:
                lrp.facing = None

    def tell_switch(self) -> None:
        if not self.switches:
            return
        switch = self.rng.choice(self.switches)
        settings = {
            "mcast_snoop": ("true", "false"), "mcast_querier": ("false", "true"), "mcast_flood_unregistered": ("true", "false"),
            "mcast_eth_src": ("02:00:00:00:99:99",), "mcast_ip4_src": ("10.99.0.1",), "mcast_ip6_src": ("fe80::99",),
            "mcast_idle_timeout": ("10", "60", "4000"), "mcast_query_interval": ("0", "20"),
            "mcast_query_max_response": ("3",), "mcast_table_size": ("100",), "vlan-passthru": ("true", "false"),
            "interconn-ts": (switch.name.split()[0],),
        }  # fmt: skip
        if self.chance(0.15):
            self.ask_for_key("Logical_Switch", "other_config", switch.name, "datapath", 1, 30)
        elif self.chance(0.1):
            self.run("set", "Logical_Switch", switch.name, f"external_ids:neutron\\:network_name=n-{switch.number}")
        elif self.chance(0.1):
            name = self.new("s")
            if self.run("set", "Logical_Switch", switch.name, f'name="{name}"'):
                switch.name = name
        else:
            self.setting("Logical_Switch", "other_config", switch.name, settings)

    def setting(self, table: str, column: str, row: str, settings: dict[str, tuple[str, ...]]) -> None:
        key = self.rng.choice(sorted(settings))
        if self.chance(0.3):
            self.run("remove", table, row, column, key)
        else:
            self.run("set", table, row, f'{column}:{key}="{self.rng.choice(settings[key])}"')

    def ask_for_key(self, table: str, column: str, row: str, space: str, least: int, most: int) -> None:
        """No key is asked for twice, not even by one that does not have it any more."""
        key = self.rng.randrange(least, most)
        taken = self.asked.setdefault(space, set())
        if self.chance(0.4):
            self.run("remove", table, row, column, "requested-tnl-key")
        elif key not in taken:
            taken.add(key)
            self.run("set", table, row, f"{column}:requested-tnl-key={key}")

    # ---- switch ports -------------------------------------------------------------------------------------------------

    def addresses(self, number: int) -> list[str]:
        kind = self.rng.random()
        mac = self.mac()
        if kind < 0.1:
            return ["unknown"]
        if kind < 0.15:
            return [mac, "unknown"]
        if kind < 0.2:
            return [mac]
        if kind < 0.25:
            return []
        if kind < 0.3:
            return [f"{mac} {self.near(number, 4)}", f"{self.mac()} {self.near(number, 6)}"]
        words = [self.near(number, version) for version in self.rng.choice([[4], [4], [6], [4, 6], [4, 4, 6, 6]])]
        if self.chance(0.05):
            words.append(self.one("10.0.0.300", "x", "10.7.0.0/24", "fe80::1"))
        return [" ".join([mac, *dict.fromkeys(words)])]

    def security(self, number: int) -> list[str]:
        kind = self.rng.random()
        if kind < 0.3:
            return []
        if kind < 0.5:
            return [self.mac()]
        words = [self.near(number, self.rng.choice([4, 4, 6])) for _ in range(self.rng.randint(1, 3))]
        words = [word + self.one("", "", "", "/32" if "." in word else "/128", "/24" if "." in word else "/64") for word in words]
        return [" ".join([self.mac(), *words])] + ([self.mac()] if self.chance(0.2) else [])

    def add_port(self) -> None:
        if not self.switches or len(self.ports()) >= 40:
            return
        switch = self.rng.choice(self.switches)
        kind = self.one(*[""] * 14, "localnet", "localnet", "virtual", "virtual", "container", "container", "localport", "vtep", "l2gateway", "external", "remote")
        port = Port(self.new("p"), switch, kind)
        name = port.name
        vifs = [one for one in switch.ports if one.kind in ("", "container")]
        if kind == "container":
            if not vifs:
                return
            commands = [["lsp-add", switch.name, name, self.rng.choice(vifs).name, str(self.rng.randint(1, 99))]]
            commands += [["lsp-set-addresses", name, *self.addresses(switch.number)]]
        elif kind == "localnet":
            tag = ["", str(self.rng.randint(1, 99))] if self.chance(0.3) else []
            commands = [["lsp-add", switch.name, name, *tag], ["lsp-set-type", name, kind]]
            commands += [["lsp-set-addresses", name, "unknown"]] if self.chance(0.9) else []
            commands += [["lsp-set-options", name, "network_name=phys"]]
        elif kind == "virtual":
            parents = ",".join(one.name for one in self.rng.sample(vifs, min(2, len(vifs))))
            ip = self.near(switch.number, self.rng.choice([4, 4, 6]))
            commands = [["lsp-add", switch.name, name], ["lsp-set-type", name, kind]]
            commands += [["set", "Logical_Switch_Port", name, f'options:virtual-ip="{ip}"', f'options:virtual-parents="{parents}"']]
            if self.chance(0.3):
                commands += [["lsp-set-addresses", name, *self.addresses(switch.number)]]
        else:
            commands = [["lsp-add", switch.name, name]]
            if kind:
                commands += [["lsp-set-type", name, kind]]
            commands += [["lsp-set-addresses", name, *self.addresses(switch.number)]]
            if not kind and self.chance(0.5):
                commands += [["lsp-set-port-security", name, *self.security(switch.number)]]
            if kind == "l2gateway":
                commands += [["lsp-set-options", name, "network_name=phys", "l2gateway-chassis=gw1"]]
            if kind == "vtep":
                commands += [["lsp-set-options", name, "vtep-physical-switch=ps", "vtep-logical-switch=ls"]]
        if self.do(commands):
            switch.ports.append(port)

    def del_port(self) -> None:
        ports = self.ports()
        if ports:
            port = self.rng.choice(ports)
            if self.run("lsp-del", port.name):
                self.forget_ports([port])
                port.switch.ports.remove(port)
        if self.chance(0.1):
            self.run(*(["--if-exists"] if self.chance(0.5) else []), "lsp-del", "nobody")

    def tell_port(self) -> None:
        ports = self.ports()
        if not ports:
            return
        port = self.rng.choice(ports)
        table, name, number = "Logical_Switch_Port", port.name, port.switch.number
        kind = self.rng.randrange(12)
        if kind < 2 and port.kind != "router":
            self.run("lsp-set-addresses", name, *self.addresses(number))
        elif kind == 2:
            self.run("lsp-set-port-security", name, *self.security(number))
        elif kind == 3:
            self.run("lsp-set-enabled", name, self.one("enabled", "disabled"))
        elif kind == 4:
            self.ask_for_key(table, "options", name, f"port {port.switch.name}", 1, 60)
        elif kind == 5:
            after = self.new("p")
            if self.run("set", table, name, f'name="{after}"'):
                port.name = after
        elif kind == 6 and port.kind == "":
            mirror = self.one(*self.mirrors, "nobody")
            self.run(self.one("lsp-attach-mirror", "lsp-detach-mirror"), name, mirror)
        elif kind == 7 and port.kind != "router":
            after = self.one("", "", "localport", "localnet", "virtual", "external", "remote", "vtep")
            if self.run("lsp-set-type", name, after):
                port.kind = after
        elif kind == 8:
            key = self.one("a", "name", r"neutron\:port_name")
            self.run("set", table, name, f"external_ids:{key}={self.one('x', 'y')}")
        elif kind == 9 and port.kind == "router":
            addresses = self.one("router", "router", self.mac(), f"{self.mac()} {self.near(number, 4)}", "unknown")
            self.run("lsp-set-addresses", name, addresses)
        elif kind == 11 and self.chance(0.5):
            others = [one.name for one in port.switch.ports if one is not port] or ["none"]
            column = self.one(f"tag_request={self.rng.randint(1, 99)}", f'parent_name="{self.rng.choice(others)}"', "tag=5")
            if self.chance(0.4):
                self.run("clear", table, name, column.split("=")[0])
            else:
                self.run("set", table, name, column)
        elif kind == 10 and port.kind == "external" and self.families:
            self.do([["--id=@g", "get", "HA_Chassis_Group", self.rng.choice(self.families)], ["set", table, name, "ha_chassis_group=@g"]])
        else:
            settings = {
                "requested-chassis": ("hv1", "hv2", "gw1", "hv1,hv2"), "mcast_flood": ("true", "false"),
                "mcast_flood_reports": ("true", "false"), "qos_max_rate": ("1000",), "arp_proxy": ("10.66.0.1 10.66.0.2", "x"),
                "iface-id-ver": ("1",), "vlan-passthru": ("true",), "activation-strategy": ("rarp",),
                "nat-addresses": ("router",), "exclude-lb-vips-from-garp": ("true",),
            }  # fmt: skip
            if port.kind == "virtual":
                vifs = [one.name for one in port.switch.ports if one.kind == ""] or ["none"]
                settings |= {"virtual-ip": (self.near(number, 4), self.near(number, 6), "x"), "virtual-parents": tuple(vifs)}
            self.setting(table, "options", name, settings)

    # ---- routers --------------------------------------------------------------------------------------------------------

    def add_router(self) -> None:
        if len(self.routers) >= 4:
            return
        name = self.new("r")
        if self.run("lr-add", name):
            self.routers.append(Router(name))

    def del_router(self) -> None:
        if len(self.routers) > 1 and self.chance(0.4):
            router = self.rng.choice(self.routers)
            if self.do([*self.unbind(router.ports), ["lr-del", router.name]]):
                self.routers.remove(router)

    def tell_router(self) -> None:
        if not self.routers:
            return
        router = self.rng.choice(self.routers)
        settings: dict[str, tuple[str, ...]] = {
            "always_learn_from_arp_request": ("false", "true"), "dynamic_neigh_routers": ("true", "false"),
            "mcast_relay": ("true", "false"), "snat-ct-zone": ("7", "x"), "mac_binding_age_threshold": ("60",),
        }  # fmt: skip
        if sum(port.is_hosted for port in router.ports) < 2:
            settings["chassis"] = ("gw1", "hv1")
        if self.chance(0.12):
            self.ask_for_key("Logical_Router", "options", router.name, "datapath", 1, 30)
        elif self.chance(0.1):
            if len(router.ports) + sum(port.is_hosted for port in router.ports) > 1:
                return
            router.enabled = not router.enabled
            self.do([*self.unbind(router.ports), ["set", "Logical_Router", router.name, f"enabled={str(router.enabled).lower()}"]])
        elif self.chance(0.1):
            name = self.new("r")
            if self.run("set", "Logical_Router", router.name, f'name="{name}"'):
                router.name = name
        elif self.chance(0.1):
            self.run("set", "Logical_Router", router.name, "external_ids:neutron\\:router_name=nr")
        else:
            self.setting("Logical_Router", "options", router.name, settings)

    def networks(self, router: Router, number: int) -> list[str]:
        """Of a port beside a switch. Those of a router do not overlap."""
        taken = {network.split(".")[1] for lrp in router.ports for network in lrp.networks if "." in network}
        taken |= {network.split(":")[1] for lrp in router.ports for network in lrp.networks if ":" in network}
        if str(number) in taken:
            number = self.counts["own"] = self.counts.get("own", 100) + 1
        host = self.rng.randint(1, 3)
        kinds = self.rng.choice([[4], [4], [4, 6], [6], [4, 6]])
        networks = [f"{self.near(number, version, host)}/{24 if version == 4 else 64}" for version in kinds]
        if self.chance(0.15):
            networks.append(f"10.{number}.{self.rng.randint(1, 3)}.1/{self.rng.choice([24, 30, 32])}")
        return networks

    def add_router_port(self) -> None:
        if not self.routers or not self.switches or len(self.router_ports()) >= 12:
            return
        router, switch = self.rng.choice(self.routers), self.rng.choice(self.switches)
        networks = self.networks(router, switch.number)
        lrp = RouterPort(self.new("rp"), router, networks)
        if not self.run("lrp-add", router.name, lrp.name, self.mac(), *networks):
            return
        router.ports.append(lrp)
        if self.chance(0.85):
            self.attach(lrp, switch)

    def attach(self, lrp: RouterPort, switch: Switch) -> None:
        if lrp.facing or lrp.peer:
            return
        name = self.new("p")
        commands = [["lsp-add", switch.name, name], ["lsp-set-type", name, "router"]]
        commands += [["lsp-set-addresses", name, "router" if self.chance(0.8) else self.mac()]]
        commands += [["set", "Logical_Switch_Port", name, f'options:router-port="{lrp.name}"']]
        if self.do(commands):
            lrp.facing = Port(name, switch, "router", lrp.name)
            switch.ports.append(lrp.facing)

    def attach_again(self) -> None:
        free = [lrp for lrp in self.router_ports() if not lrp.facing and not lrp.peer]
        if free and self.switches:
            self.attach(self.rng.choice(free), self.rng.choice(self.switches))

    def join(self) -> None:
        """Two ports of routers as each other's peers."""
        free = [lrp for lrp in self.router_ports() if not lrp.facing and not lrp.peer]
        if len(self.routers) > 1 and len(free) < 2:
            net = self.counts["join"] = self.counts.get("join", 0) + 1
            for host, router in enumerate(self.rng.sample(self.routers, 2), 1):
                networks = [f"100.64.{net}.{host}/24"] + ([f"fd64:{net}::{host}/64"] if self.chance(0.5) else [])
                name = self.new("rp")
                if len(self.router_ports()) < 14 and self.run("lrp-add", router.name, name, self.mac(), *networks):
                    router.ports.append(RouterPort(name, router, networks))
            return
        for one in free:
            others = [other for other in free if other.router is not one.router]
            if others:
                other = self.rng.choice(others)
                table = "Logical_Router_Port"
                if self.do([["set", table, one.name, f'peer="{other.name}"'], ["set", table, other.name, f'peer="{one.name}"']]):
                    one.peer, other.peer = other.name, one.name
                return

    def del_router_port(self) -> None:
        ports = self.router_ports()
        if ports:
            lrp = self.rng.choice(ports)
            if self.do([*self.unbind([lrp]), ["lrp-del", lrp.name]]):
                lrp.router.ports.remove(lrp)

    def tell_router_port(self) -> None:
        ports = self.router_ports()
        if not ports:
            return
        lrp = self.rng.choice(ports)
        table, name = "Logical_Router_Port", lrp.name
        kind = self.rng.randrange(13)
        if kind < 2:
            chassis = self.one(*CHASSIS)
            if chassis in lrp.gateways and self.chance(0.6):
                if self.run("lrp-del-gateway-chassis", name, chassis):
                    lrp.gateways.discard(chassis)
            elif self.run("lrp-set-gateway-chassis", name, chassis, self.rng.randint(1, 30)):
                lrp.gateways.add(chassis)
        elif kind == 2:
            self.run("lrp-set-enabled", name, self.one("enabled", "disabled"))
        elif kind == 3:
            self.ask_for_key(table, "options", name, f"port {lrp.router.name}", 1, 60)
        elif kind == 4:
            number = lrp.facing.switch.number if lrp.facing else self.rng.randrange(6)
            networks = self.networks(lrp.router, number)
            if self.run("set", table, name, "networks=" + ",".join(f'"{network}"' for network in networks)):
                lrp.networks = networks
        elif kind == 5:
            self.run("set", table, name, f'mac="{self.mac()}"')
        elif kind == 6 and self.families:
            if self.chance(0.3):
                lrp.group = not self.run("clear", table, name, "ha_chassis_group")
            else:
                lrp.group |= self.do([["--id=@g", "get", "HA_Chassis_Group", self.rng.choice(self.families)], ["set", table, name, "ha_chassis_group=@g"]])
        elif kind == 7:
            self.setting(table, "ipv6_ra_configs", name, {
                "address_mode": ("slaac", "dhcpv6_stateful", "dhcpv6_stateless", "x"), "mtu": ("1400", "x"),
                "send_periodic": ("true", "false"), "max_interval": ("8", "2000"), "min_interval": ("4",),
                "router_preference": ("HIGH", "LOW", "MEDIUM"), "rdnss": ("fd00::53",), "dnssl": ("example.org",),
                "route_info": ("HIGH-fd07::/64",),
            })  # fmt: skip
        elif kind == 8:
            self.run("set", table, name, f"external_ids:a={self.one('x', 'y')}")
        elif kind == 9 and not lrp.peer and self.chance(0.3):
            after = self.new("rp")
            if self.do([*self.unbind([lrp]), ["set", table, name, f'name="{after}"']]):
                lrp.name = after
                # The switch port leads nowhere now.
                lrp.facing = None
        else:
            self.setting(table, "options", name, {
                "gateway_mtu": ("1400", "9000", "x"), "gateway_mtu_bypass": ("tcp", "udp"), "route_table": ("red", "blue"),
                "mcast_flood": ("true", "false"), "reside-on-redirect-chassis": ("true", "false"),
                "redirect-type": ("bridged", "overlay"), "prefix_delegation": ("true",), "prefix": ("true",),
            })  # fmt: skip

    # ---- what routers follow ------------------------------------------------------------------------------------------------

    def add_route(self) -> None:
        if not self.routers:
            return
        router = self.rng.choice(self.routers)
        version = self.rng.choice([4, 4, 6])
        if router.routes and self.chance(0.5):
            options, prefix, _ = self.rng.choice(router.routes)
            version = 4 if "." in prefix else 6
            same = [one for one in router.routes if one[0] == options and network(one[1]) == network(prefix)]
            options = [*options, self.one("--ecmp", "--ecmp", "--may-exist" if len(same) == 1 else "--ecmp")]
        else:
            # Lengths at which texts that differ are the same network.
            prefix = self.one("10.50.0.0/16", "10.50.0.1/16", "10.51.2.0/24", "0.0.0.0/0", "10.52.0.1") if version == 4 else self.one("fd50::/64", "::/0", "fd51::1", "fd52::1/32")
            options = [self.one("--policy=src-ip", "--policy=dst-ip")] if self.chance(0.3) else []
            options += [f"--route-table={self.one('red', 'blue')}"] if self.chance(0.25) else []
        own = [lrp for lrp in router.ports if any(("." in one) == (version == 4) for one in lrp.networks)]
        hop = self.somewhere(version)
        if own and self.chance(0.8):
            beside = next(one for one in self.rng.choice(own).networks if ("." in one) == (version == 4))
            hop = beside.split("/")[0].rsplit("." if version == 4 else ":", 1)[0] + ("." if version == 4 else ":") + str(self.rng.randint(4, 9))
        if self.chance(0.1) and not any("ecmp" in one for one in options):
            hop = "discard"
        port = [self.rng.choice(router.ports).name] if router.ports and self.chance(0.15) and hop != "discard" else []
        if self.chance(0.08):
            # What lr-route-add would refuse, or write otherwise.
            route = [f'ip_prefix="{self.one("10.60.0.7/24", "10.61.0.0/255.255.0.0", "fd60::/64", "x")}"']
            route += [f'nexthop="{self.one(hop, "99.0.0.1", "", "y")}"']
            if self.chance(0.3):
                # Where routes of a group differ in this, the first of them decides.
                route = ['ip_prefix="10.62.0.7/24"', route[1], "options:origin=connected"]
            route += [f'output_port="{router.ports[0].name}"'] if router.ports and self.chance(0.3) else []
            self.do([["--id=@r", "create", "Logical_Router_Static_Route", *route], ["add", "Logical_Router", router.name, "static_routes", "@r"]])
        elif self.run(*options, "lr-route-add", router.name, prefix, hop, *port):
            plain = [one for one in options if one.startswith(("--policy", "--route"))]
            router.routes.append((plain, prefix, hop))

    def del_route(self) -> None:
        routers = [router for router in self.routers if router.routes]
        if not routers:
            return
        router = self.rng.choice(routers)
        options, prefix, hop = self.rng.choice(router.routes)
        if self.chance(0.5):
            hop = ""
        if self.run("--if-exists", *options, "lr-route-del", router.name, prefix, *([hop] if hop and hop != "discard" else [])):
            same = [one for one in router.routes if one[0] == options and network(one[1]) == network(prefix)]
            gone = [one for one in same if (not hop or one[2] == hop)]
            router.routes = [one for one in router.routes if one not in gone]

    def add_policy(self) -> None:
        if not self.routers:
            return
        router = self.rng.choice(self.routers)
        version = self.rng.choice([4, 4, 6])
        match = f"ip{version}.src == {self.somewhere(version)}" if self.chance(0.6) else self.one("tcp.dst == 80", "ip4.dst == $a0", "ip4")
        priority = str(self.rng.choice([10, 20, 30, 1000]))
        verdict = self.one("allow", "drop", "reroute", "reroute", "reroute")
        words: list[str] = []
        if verdict == "reroute":
            own = [one.split("/")[0] for lrp in router.ports for one in lrp.networks if ("." in one) == (version == 4)]
            hops = [self.somewhere(version) for _ in range(self.rng.choice([1, 1, 2, 3]))]
            if own:
                base, sign = self.rng.choice(own), "." if version == 4 else ":"
                hops = [base.rsplit(sign, 1)[0] + sign + str(self.rng.randint(4, 9)) for _ in hops]
            words.append(",".join(dict.fromkeys(hops)))
        if self.chance(0.2):
            words.append("pkt_mark=7")
        if self.run(*(["--may-exist"] if self.chance(0.1) else []), "lr-policy-add", router.name, priority, match, verdict, *words):
            router.policies.append((priority, match))

    def del_policy(self) -> None:
        routers = [router for router in self.routers if router.policies]
        if routers:
            router = self.rng.choice(routers)
            priority, match = self.rng.choice(router.policies)
            if self.chance(0.2):
                if self.run("lr-policy-del", router.name):
                    router.policies = []
            elif self.run("lr-policy-del", router.name, priority, match):
                router.policies = [one for one in router.policies if one != (priority, match)]

    def unbind(self, ports: list[RouterPort]) -> list[Command]:
        """Commands by which nothing is known of neighbours of ports."""
        names = [port.name for port in ports]
        gone = [one for one in self.bindings if one[0] in names]
        self.bindings = [one for one in self.bindings if one not in gone]
        return [["static-mac-binding-del", port, ip] for port, ip in gone]

    def bind(self) -> None:
        ports = [port for port in self.router_ports() if port.router.enabled]
        if self.bindings and self.chance(0.4):
            port, ip = self.rng.choice(self.bindings)
            if self.run("static-mac-binding-del", port, ip):
                self.bindings.remove((port, ip))
        elif ports:
            port, ip = self.rng.choice(ports).name, self.somewhere(self.rng.choice([4, 4, 6]))
            if self.run("static-mac-binding-add", port, ip, self.mac()) and (port, ip) not in self.bindings:
                self.bindings.append((port, ip))

    # ---- rules ----------------------------------------------------------------------------------------------------------------

    def condition(self) -> str:
        port = self.rng.choice(PORTS)
        version = self.rng.choice([4, 6])
        terms = [
            "ip", "ip4", "ip6", "tcp", "arp", "eth.mcast", f"tcp.dst == {port}", f"udp.dst == {{{port}, 9}}", "icmp4.type == 8",
            f"ip{version}.src == {self.somewhere(version)}", "ip4.dst == 10.0.0.0/8", "ct.est", "tcp && tcp.flags == 2",
        ]  # fmt: skip
        terms += [f"ip4.src == ${name}" for name in self.sets]
        terms += [f"ip{version}.dst == ${group.name}_ip{version}" for group in self.groups]
        return self.rng.choice(terms)

    def add_acl(self) -> None:
        owners: list[Switch | Group] = [*self.switches, *self.groups]
        if not owners:
            return
        owner = self.rng.choice(owners)
        if len(owner.acls) >= 8:
            return
        direction = self.one("from-lport", "to-lport")
        port = "inport" if direction == "from-lport" else "outport"
        match = self.condition()
        if isinstance(owner, Group):
            options, match = ["--type=port-group"], f"{port} == @{owner.name} && {match}"
        else:
            options = ["--type=switch"]
            if owner.ports and self.chance(0.5):
                match = f'{port} == "{self.rng.choice(owner.ports).name}" && {match}'
        if self.chance(0.3):
            options += ["--log"]
            options += [f"--severity={self.one('alert', 'info', 'debug')}"] if self.chance(0.6) else []
            options += [f"--name={self.one('acl-a', 'b')}"] if self.chance(0.5) else []
            options += [f"--meter={self.one(*self.meters)}"] if self.meters and self.chance(0.6) else []
        verdict = self.one("allow", "allow", "allow-related", "allow-stateless", "drop", "reject")
        if direction == "from-lport" and self.chance(0.2):
            options += ["--apply-after-lb"]
        if verdict == "allow-related" and self.chance(0.3):
            options += ["--label=1234"]
        if self.chance(0.1):
            options += ["--may-exist"]
        priority = str(self.rng.choice([0, 1, 900, 1000, 1001, 32767]))
        if self.chance(0.1):
            # As the generic commands do it, with what acl-add would refuse or leave out.
            table, column = ("Port_Group" if isinstance(owner, Group) else "Logical_Switch"), "acls"
            rule = [f"direction={direction}", f"priority={priority}", "match=" + json.dumps(match), f"action={verdict}"]
            rule += [f"meter={self.one('nobody', *self.meters)}", "log=true"] if self.chance(0.5) else []
            rule += ["label=77", "options:log-related=true"] if self.chance(0.3) else []
            if self.do([["--id=@a", "create", "ACL", *rule], ["add", table, owner.name, column, "@a"]]):
                owner.acls.append((direction, priority, match))
        elif self.run(*options, "acl-add", owner.name, direction, priority, match, verdict):
            owner.acls.append((direction, priority, match))

    def del_acl(self) -> None:
        owners = [owner for owner in [*self.switches, *self.groups] if owner.acls]
        if not owners:
            return
        owner = self.rng.choice(owners)
        kind = "--type=port-group" if isinstance(owner, Group) else "--type=switch"
        direction, priority, match = rule = self.rng.choice(owner.acls)
        if self.chance(0.15):
            if self.run(kind, "acl-del", owner.name, direction):
                owner.acls = [one for one in owner.acls if one[0] != direction]
        elif self.run(kind, "acl-del", owner.name, direction, priority, match):
            owner.acls = [one for one in owner.acls if one != rule]

    def add_group(self) -> None:
        if len(self.groups) >= 4:
            return
        name = f"g{self.counts.setdefault('g', 0)}"
        self.counts["g"] += 1
        members = [port.name for port in self.ports() if self.chance(0.3)]
        if self.run("pg-add", name, *members):
            self.groups.append(Group(name))

    def tell_group(self) -> None:
        if not self.groups:
            return
        group = self.rng.choice(self.groups)
        if self.chance(0.15):
            if self.run("pg-del", group.name):
                self.groups.remove(group)
        elif self.chance(0.1):
            name = f"g{self.counts['g']}"
            self.counts["g"] += 1
            if self.run("set", "Port_Group", group.name, f"name={name}"):
                group.name = name
        else:
            self.run("pg-set-ports", group.name, *(port.name for port in self.ports() if self.chance(0.3)))

    def tell_set(self) -> None:
        addresses = [self.somewhere(4) for _ in range(self.rng.randint(0, 3))] + ["10.9.0.0/16"]
        text = ",".join(f'"{one}"' for one in addresses)
        if not self.sets or (len(self.sets) < 3 and self.chance(0.4)):
            name = f"a{len(self.sets)}"
            if name not in self.sets and self.run("create", "Address_Set", f"name={name}", f"addresses={text}"):
                self.sets.append(name)
        elif self.chance(0.2):
            name = self.sets[-1]
            if self.run("destroy", "Address_Set", name):
                self.sets.remove(name)
        else:
            name = self.rng.choice(self.sets)
            if self.chance(0.5):
                self.run("set", "Address_Set", name, f"addresses={text}")
            else:
                self.run(self.one("add", "remove"), "Address_Set", name, "addresses", text)

    def tell_meter(self) -> None:
        if not self.meters or (len(self.meters) < 4 and self.chance(0.6)):
            name = f"m{self.counts.setdefault('m', 0)}"
            self.counts["m"] += 1
            fair = ["--fair"] if self.chance(0.4) else []
            if self.run(*fair, "meter-add", name, "drop", self.rng.randint(1, 99), self.one("kbps", "pktps"), *([self.rng.randint(0, 9)] if self.chance(0.5) else [])):
                self.meters.append(name)
        elif self.chance(0.5):
            name = self.rng.choice(self.meters)
            if self.run("meter-del", name):
                self.meters.remove(name)
        else:
            self.run("set", "Meter", self.rng.choice(self.meters), self.one("unit=kbps", "unit=pktps", "fair=true", "fair=false"))

    def tell_copp(self) -> None:
        owners = [("ls-copp", one.name) for one in self.switches] + [("lr-copp", one.name) for one in self.routers]
        if not self.copps or self.chance(0.5):
            name = f"c{self.rng.randrange(2)}"
            if self.run("copp-add", name, self.one(*COPP), self.one(*self.meters, "nobody")) and name not in self.copps:
                self.copps.append(name)
        elif self.chance(0.2):
            self.run("copp-del", self.rng.choice(self.copps), self.one(*COPP))
        elif owners:
            command, owner = self.rng.choice(owners)
            if self.chance(0.6):
                self.run(f"{command}-add", self.rng.choice(self.copps), owner)
            else:
                self.run(f"{command}-del", owner)

    def tell_qos(self) -> None:
        switches = [switch for switch in self.switches if switch.qos]
        if switches and self.chance(0.4):
            switch = self.rng.choice(switches)
            direction, priority, match = rule = self.rng.choice(switch.qos)
            if self.run("qos-del", switch.name, direction, priority, match):
                switch.qos.remove(rule)
        elif self.switches:
            switch = self.rng.choice(self.switches)
            rule = (self.one("from-lport", "to-lport"), str(self.rng.choice([10, 20, 2000])), self.condition())
            what = self.rng.choice([["dscp=10"], ["rate=100"], ["rate=100", "burst=1000"], ["rate=5", "dscp=63"]])
            if self.run("qos-add", switch.name, *rule, *what) and rule not in switch.qos:
                switch.qos.append(rule)

    def tell_mirror(self) -> None:
        if not self.mirrors or (len(self.mirrors) < 3 and self.chance(0.6)):
            name = f"mi{self.counts.setdefault('mi', 0)}"
            self.counts["mi"] += 1
            if self.run("mirror-add", name, self.one("gre", "erspan"), self.rng.randint(1, 9), self.one("from-lport", "to-lport"), "192.0.2.7"):
                self.mirrors.append(name)
        elif self.chance(0.4):
            name = self.rng.choice(self.mirrors)
            if self.run("mirror-del", name):
                self.mirrors.remove(name)

    def tell_family(self) -> None:
        """Groups of chassis."""
        if not self.families or (len(self.families) < 2 and self.chance(0.5)):
            name = f"h{self.counts.setdefault('h', 0)}"
            self.counts["h"] += 1
            if self.run("ha-chassis-group-add", name):
                self.families.append(name)
            return
        name, chassis = self.rng.choice(self.families), self.one(*CHASSIS)
        if self.chance(0.7):
            self.run("ha-chassis-group-add-chassis", name, chassis, self.rng.randint(1, 30))
        else:
            self.run("ha-chassis-group-remove-chassis", name, chassis)

    def tell_all(self) -> None:
        key, values = self.rng.choice([
            ("use_ct_inv_match", ("false", "true")), ("default_acl_drop", ("true", "false")), ("ignore_lsp_down", ("false", "true")),
            ("debug_drop_domain_id", ("5",)), ("debug_drop_collector_set", ("17", "0")), ("x", ("y",)),
        ])  # fmt: skip
        if self.chance(0.1):
            self.run("set", "NB_Global", ".", f"ipsec={self.one('true', 'false')}")
        elif self.chance(0.4):
            self.run("remove", "NB_Global", ".", "options", key)
        else:
            self.run("set", "NB_Global", ".", f"options:{key}={self.rng.choice(values)}")

    def tell_chassis(self) -> None:
        name = self.one(*CHASSIS)
        if name not in self.chassis:
            self.place("add", name)
            self.chassis.append(name)
        elif self.chance(0.5):
            self.place("del", name)
            self.chassis.remove(name)

    # ---- all of them ------------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A small network to begin with."""
        self.run("set", "NB_Global", ".", 'options:svc_monitor_mac="02:00:00:00:55:55"', 'options:mac_prefix="02:55:55"')
        for _ in range(self.rng.randint(2, 3)):
            self.add_switch()
        for _ in range(self.rng.randint(1, 2)):
            self.add_router()
        for _ in range(self.rng.randint(3, 6)):
            self.add_port()
        for _ in range(self.rng.randint(1, 4)):
            self.add_router_port()

    def step(self) -> None:
        less = 0 if self.grows else 1
        choices: list[tuple[Callable[[], None], float]] = [
            (self.add_switch, 2), (self.del_switch, less), (self.tell_switch, 3), (self.add_port, 8), (self.del_port, 3 * less),
            (self.tell_port, 8), (self.add_router, 1.5), (self.del_router, less), (self.tell_router, 3), (self.add_router_port, 3),
            (self.attach_again, 1), (self.join, 1), (self.del_router_port, less), (self.tell_router_port, 6), (self.add_route, 6),
            (self.del_route, 2 * less), (self.add_policy, 4), (self.del_policy, 2 * less), (self.bind, 2), (self.add_acl, 8),
            (self.del_acl, 4 * less), (self.add_group, 1.5), (self.tell_group, 2), (self.tell_set, 2), (self.tell_meter, 2),
            (self.tell_copp, 2), (self.tell_qos, 3), (self.tell_mirror, 1), (self.tell_family, 1.5), (self.tell_all, 1),
            (self.tell_chassis, 1),
        ]  # fmt: skip
        steps, weights = zip(*choices)
        self.rng.choices(steps, weights)[0]()
