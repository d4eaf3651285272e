"""Two kinds of hosts on one underlay: a real chassis (ovn-controller with the userspace datapath of Open vSwitch, also on
DPDK), and millraced with the rows of the real Southbound database."""

from __future__ import annotations

import ipaddress
from contextlib import ExitStack
from pathlib import Path

from benchlib.fault import Fault
from benchlib.memory import Hugepages
from benchlib.proc import CORES, Process, run, wait_for
from benchlib.rpc import Client

from .chassis import Chassis
from .lab import Machine, Namespace

UPLINK = "uplink"
DPDK = Path("/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk")
_DPDK_MB = 512
_LIMIT = 60


class RealHost(Chassis):
    """A real chassis in a namespace.

    Tunnels in userspace want the address of the endpoint on a bridge that has the uplink: from it the switch learns its
    route and its neighbours (`ovs/route/show`, `tnl/neigh/show`). The bridge's MAC is to be another than that of the uplink, or
    the kernel believes that what comes in by the uplink is for itself, and answers that nobody listens there.
    """

    datapath = "netdev"
    vswitchd = ("ovs-vswitchd", "--disable-system")

    def __init__(
        self, where: Namespace, remote: str, name: str, stack: ExitStack, address: str, mac: str, dpdk: bool
    ) -> None:
        self.where = where
        self.inside = tuple(where.inside)
        self.encap_ip = address.split("/")[0]
        self.dpdk = dpdk
        if dpdk:
            self.vswitchd = (str(DPDK), "--disable-system")
            stack.enter_context(Hugepages()).reserve(_DPDK_MB)
        super().__init__(where.folder / name, remote, name, stack)
        hwaddr = f"other_config:hwaddr={mac}"
        self.vsctl("add-br", "br-phys", "--", "set", "bridge", "br-phys", "datapath_type=netdev", hwaddr)
        self.add_port("br-phys", UPLINK)
        where.ip("address", "add", address, "dev", "br-phys", *(["nodad"] if ":" in address else []))
        where.ip("link", "set", "br-phys", "up")
        self.start_controller()

    def configure(self) -> None:
        if not self.dpdk:
            return
        settings = {
            "dpdk-init": "true", "dpdk-socket-mem": str(_DPDK_MB - 64), "dpdk-extra": '"--no-pci --in-memory --no-telemetry"',
            "dpdk-lcore-mask": hex(1 << CORES[0]), "pmd-cpu-mask": hex(1 << CORES[0]),
        }  # fmt: skip
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".", *(f"other_config:{key}={value}" for key, value in settings.items()))

    def add_port(self, bridge: str, name: str, *words: str) -> None:
        """The end of a cable; with DPDK by its own driver for kernel interfaces."""
        kind = ["type=dpdk", f"options:dpdk-devargs=net_af_packet_{name},iface={name}"] if self.dpdk else []
        more = ["--", "set", "interface", name, *kind, *words] if kind or words else []
        self.vsctl("add-port", bridge, name, *more)
        error = self.vsctl("get", "interface", name, "error").strip()
        if error != "[]":
            raise Fault(f"Open vSwitch does not open {name}: {error}")

    def attach(self, machine: Machine) -> None:
        name = machine.guest.name
        self.add_port("br-int", name, f"external_ids:iface-id={name}")

        def installed() -> bool:
            return 'ovn-installed="true"' in self.vsctl("get", "interface", name, "external_ids")

        wait_for(f"ovn-controller has installed {name}", _LIMIT, installed, self.controller)

    def tunnels(self) -> list[str]:
        return [name for name in self.vsctl("list-ports", "br-int").split() if name.startswith("ovn-")]

    def await_tunnel(self) -> str:
        wait_for("ovn-controller has made the tunnel", _LIMIT, lambda: bool(self.tunnels()), self.controller)
        return self.tunnels()[0]

    def bfd(self) -> str:
        """The state of the session, in its own words."""
        return self.vsctl("--if-exists", "get", "interface", self.tunnels()[0], "bfd_status:state").strip().strip('"')

    def start_bfd(self) -> None:
        """As OVN enables it where gateways depend on it. The controller would take back what it has not asked for."""
        self.controller.pause()
        self.vsctl("set", "interface", self.await_tunnel(), "bfd:enable=true")

    def shown(self) -> str:
        """What a tunnel depends on."""
        texts = [self.client.call(name) for name in ("ovs/route/show", "tnl/neigh/show", "tnl/ports/show", "dpif/show")]
        return "\n".join(texts)


_CONFIG = """
[switch]
name = "{name}"
[control]
socket = "{socket}"
mode = "0600"
[workers]
cores = [{core}]
idle_sleep = "50us"
[dpdk]
hugepages = "off"
memory_mb = 128
pci = false
[ovn]
system_id = "{name}"
encap_ip = "{encap}"
state = ""
[underlay]
port = "{uplink}"
addresses = ["{address}"]
{mac}
bfd = {bfd}
{more}
[log]
filter = "info"
[[port]]
name = "{uplink}"
type = "af_packet"
iface = "{uplink}"
"""


class OurHost:
    """millraced in a namespace."""

    def __init__(
        self,
        where: Namespace,
        binaries: Path,
        name: str,
        address: str,
        mac: str = "",
        bfd: bool = False,
        more: str = "",
        core: int = CORES[-1],
    ) -> None:
        self.where = where
        self.name = name
        self.encap_ip = str(ipaddress.ip_interface(address).ip)
        self.binaries = binaries
        where.quiet(UPLINK)
        self.socket = where.folder / f"{name}.ctl"
        file = where.folder / f"{name}.toml"
        file.write_text(
            _CONFIG.format(name=name, socket=self.socket, core=core, encap=self.encap_ip, uplink=UPLINK, address=address,
                           mac=f'mac = "{mac}"' if mac else "", bfd=str(bfd).lower(), more=more)  # fmt: skip
        )
        self.process: Process = where.start(name, [str(binaries / "millraced"), "--config", str(file)])
        self.client: Client
        wait_for(f"millraced {name} answers", 30, self._answers, self.process)

    def _answers(self) -> bool:
        self.process.check()
        try:
            self.client = Client(self.socket, _LIMIT)
        except OSError:
            return False
        self.where.stack.callback(self.client.close)
        return True

    def millrace(self, *words: str) -> str:
        return run([str(self.binaries / "millrace"), "-t", str(self.socket), *words], _LIMIT)

    def said(self, *words: str) -> str:
        """The same of a command that may fail: what it says then."""
        try:
            return self.millrace(*words)
        except Fault as fault:
            return str(fault)

    def attach(self, machine: Machine) -> None:
        name = machine.guest.name
        self.client.call("port/add", name, "type=af_packet", f"iface={name}", f"iface_id={name}")

    def load(self, dump: str) -> None:
        file = self.where.folder / f"{self.name}-sb.json"
        file.write_text(dump)
        self.millrace("sbctl", "load", str(file), "--chassis", self.name)

    def imbalance(self) -> int:
        return int(self.client.json("stats")["imbalance"])

    def drops(self) -> dict[str, int]:
        return {name: count for name, count in self.client.json("stats")["drops"].items() if count}
