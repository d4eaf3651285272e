"""OVS-DPDK as a subject: its own database, sockets and logs in a temporary folder, never the system's."""

import os
import re
import subprocess
import time
from pathlib import Path

from . import network
from .fault import Fault
from .memory import pool_mb
from .proc import Process, run, wait_for
from .rig import CONTROL_CORE, WORKER_CORE, Place, Subject
from .rpc import Client

VSWITCHD = Path("/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk")
SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
# Its pool of packets never holds more.
POOL = 262_144
# Its default.
FLOW_LIMIT = 200_000
_MODES = {
    "emc 1/100": ("emc-insert-inv-prob=100", "smc-enable=false"),
    "emc 1/1": ("emc-insert-inv-prob=1", "smc-enable=false"),
    "smc": ("emc-insert-inv-prob=0", "smc-enable=true"),
}


def memory_mb() -> int:
    """What it reserves, whatever the capture."""
    return pool_mb(POOL, most=POOL) + 128


class Ovs(Subject):
    """ovs-vswitchd with the userspace datapath and one polling thread."""

    name = "ovs"
    modes = tuple(_MODES)

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.folder = place.folder / "ovs"
        self.database: Process
        self.daemon: Process
        self.client: Client
        self.controller: Process
        self.mode = ""
        self.inside: list[str] = []

    @property
    def tunnel(self) -> str:
        return self.place.cell.rules.tunnel if self.place.network else ""

    @property
    def processes(self) -> list[Process]:
        return [self.daemon]

    @property
    def env(self) -> dict[str, str]:
        return {f"OVS_{name}DIR": str(self.folder) for name in ("RUN", "DB", "LOG", "SYSCONF")}

    def vsctl(self, *words: str) -> str:
        return run(["ovs-vsctl", "--timeout=60", f"--db=unix:{self.folder}/db.sock", *words], 70, self.env)

    def start(self) -> None:
        self.prepare()
        self.add_source(infinite=True)

    def prepare(self) -> None:
        """All but the source."""
        self.folder.mkdir()
        self._start_database()
        self._start_daemon()
        self.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure")
        if self.tunnel:
            self._make_underlay()
        self.add_sink()
        if self.place.network:
            self._start_controller(self.place.network.remote)
            return
        flows = self.folder / "flows"
        flows.write_text("\n".join(self.place.flows) + "\n")
        run(["ovs-ofctl", "add-flows", f"{self.folder}/br0.mgmt", str(flows)], 120, self.env)

    def _start_database(self) -> None:
        file = f"{self.folder}/conf.db"
        run(["ovsdb-tool", "create", file, str(SCHEMA)], 20, self.env)
        argv = ["ovsdb-server", file, f"--remote=punix:{self.folder}/db.sock", "--no-chdir"]
        self.database = Process(argv, self.folder / "db.log", self.env)
        self.place.stack.callback(self.database.stop)
        wait_for("ovsdb-server listens", 20, (self.folder / "db.sock").exists)

    def _start_daemon(self) -> None:
        self.vsctl("--no-wait", "init")
        if self.tunnel:
            # The address of the endpoint is that of an interface; it is not to be one of the machine's.
            name = f"mrbench{os.getpid()}"
            run(["ip", "netns", "add", name])
            self.place.stack.callback(lambda: subprocess.run(["ip", "netns", "del", name], capture_output=True))
            self.inside = ["ip", "netns", "exec", name]
        settings = {
            "dpdk-init": "true",
            "dpdk-lcore-mask": hex(1 << CONTROL_CORE),
            "pmd-cpu-mask": hex(1 << WORKER_CORE),
            "dpdk-socket-mem": str(memory_mb()),
            "dpdk-extra": '"--no-pci --in-memory --no-telemetry"',
        }
        words = [f"other_config:{key}={value}" for key, value in settings.items()]
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".", *words)
        socket = self.folder / "vswitchd.ctl"
        argv = [*self.inside, str(VSWITCHD), f"unix:{self.folder}/db.sock", "--no-chdir", f"--unixctl={socket}"]
        # Else DPDK's own threads would share the core with the polling thread.
        self.daemon = Process(argv, self.folder / "vswitchd.log", self.env, cores=[CONTROL_CORE])
        self.place.stack.callback(self.daemon.stop)
        wait_for("ovs-vswitchd listens", 30, socket.exists)
        self.client = Client(socket)
        self.place.stack.callback(self.client.close)

    def _make_underlay(self) -> None:
        """A bridge with the address of the endpoint, and the other host as a known neighbour."""
        hwaddr = f"other_config:hwaddr={network.HERE_MAC}"
        self.vsctl("add-br", "br-phys", "--", "set", "bridge", "br-phys", "datapath_type=netdev", hwaddr)
        address = f"{network.HERE}/{network.PREFIX}"
        run([*self.inside, "ip", "address", "add", address, "dev", "br-phys"])
        run([*self.inside, "ip", "link", "set", "br-phys", "up"])
        wait_for("Open vSwitch knows its route", 10, lambda: "br-phys" in self.client.call("ovs/route/show"))
        self._know_the_other()

    def _know_the_other(self) -> None:
        """Neighbours are forgotten after a quarter of an hour."""
        self.client.call("tnl/neigh/set", "br-phys", network.THERE, network.THERE_MAC)

    def _start_controller(self, remote: str) -> None:
        """The real ovn-controller makes the flows."""
        settings = {
            "ovn-remote": remote, "ovn-encap-type": "geneve", "ovn-encap-ip": network.HERE if self.tunnel else "127.0.0.1",
            "system-id": network.CHASSIS, "ovn-bridge": "br0", "ovn-bridge-datapath-type": "netdev",
        }  # fmt: skip
        self.vsctl("set", "Open_vSwitch", ".", *(f'external_ids:{key}="{value}"' for key, value in settings.items()))
        folder = self.folder / "ovn"
        folder.mkdir()
        env = {**self.env, **{f"OVN_{name}DIR": str(folder) for name in ("RUN", "DB", "LOG", "SYSCONF")}}
        argv = ["ovn-controller", f"unix:{self.folder}/db.sock", "--no-chdir"]
        self.controller = Process(argv, folder / "controller.log", env, cores=[CONTROL_CORE])
        self.place.stack.callback(self.controller.stop)

    def _has_flows(self) -> bool:
        """Whether both ends are bound and their flows are there."""
        words = ["ovs-ofctl", "dump-aggregate", f"{self.folder}/br0.mgmt", "table=65"]
        if self.tunnel and not any(name.startswith("ovn-") for name in self.vsctl("list-ports", "br0").split()):
            return False
        here = {"out": ["src"], "in": ["dst"]}.get(self.tunnel, ["src", "dst"])
        return "flow_count=0" not in run(words, 20, self.env) and all(
            'ovn-installed="true"' in self.vsctl("get", "interface", name, "external_ids") for name in here
        )

    def add_sink(self) -> None:
        self.add_port("dst", 2, "type=dpdk", "options:dpdk-devargs=net_null0,no-rx=1", *self._logical("vm2"))

    def add_source(self, infinite: bool) -> None:
        source = f"net_pcap0,rx_pcap={self.place.capture},infinite_rx={int(infinite)}"
        self.add_port("src", 1, "type=dpdk", f"options:dpdk-devargs={source}", *self._logical("vm1"))
        if self.place.network:
            wait_for("ovn-controller has installed the flows", 30, self._has_flows, self.controller)

    def _logical(self, name: str) -> list[str]:
        """What is on the other host is no logical port here: behind that port is the underlay."""
        here = self.place.network and name != self.place.network.far
        return [f"external_ids:iface-id={name}"] if here else []

    def add_port(self, name: str, number: int, *words: str) -> None:
        bridge = "br-phys" if name == {"out": "dst", "in": "src"}.get(self.tunnel) else "br0"
        self.vsctl("add-port", bridge, name, "--", "set", "interface", name, f"ofport_request={number}", *words)
        error = self.vsctl("get", "interface", name, "error").strip()
        if error != "[]":
            raise Fault(f"OVS does not open {name}: {error}")

    def enter(self, mode: str) -> None:
        """Starts the mode from nothing and lets it find its megaflows.

        A revalidator that was paused believes that it is slow and lowers the limit of megaflows, in the end to 1000; it
        gets the default back once it has ended the round it was paused in.
        """
        if mode != self.mode:
            words = [f"other_config:{setting}" for setting in _MODES[mode]]
            self.vsctl("--no-wait", "set", "Open_vSwitch", ".", *words)
            self.mode = mode
        if self.tunnel:
            self._know_the_other()
        time.sleep(0.6)
        self.client.call("upcall/set-flow-limit", str(FLOW_LIMIT))
        self.client.call("revalidator/purge")
        self._settle()

    def _settle(self) -> None:
        """Waits until no more than one packet in ten thousand is a miss, for some seconds at most."""
        hits, missed = self._lookups()
        for _ in range(150):
            time.sleep(0.2)
            hits_now, missed_now = self._lookups()
            if missed_now - missed <= (hits_now - hits) / 10_000:
                return
            hits, missed = hits_now, missed_now

    def _lookups(self) -> tuple[int, int]:
        text = self.client.call("dpctl/show", "netdev@ovs-netdev")
        found = re.search(r"lookups: hit:(\d+) missed:(\d+)", text)
        return (int(found[1]), int(found[2])) if found else (0, 0)

    def packets(self) -> int:
        text = self.client.call("dpctl/show", "-s", "netdev@ovs-netdev")
        found = re.search(r"^  port \d+: dst \(.*?TX packets:(\d+)", text, re.MULTILINE | re.DOTALL)
        if not found:
            raise Fault(f"OVS does not tell what its port sent:\n{text}")
        return int(found[1])


class OvsVhost(Ovs):
    """The same between two guests' sockets, made by OVS in its run folder."""

    def add_sink(self) -> None:
        for number in (1, 2):
            self.add_port(f"vhost{number}", number, "type=dpdkvhostuser")

    def add_source(self, infinite: bool) -> None:
        """Both its ports send and receive."""

    def sockets(self) -> list[str]:
        return [f"{self.folder}/vhost{number}" for number in (1, 2)]
