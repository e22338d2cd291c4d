"""A cluster whose processes live in network namespaces of their own, joined by a bridge, so that they can be parted. Needs root."""

import ctypes
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import tempfile
import time

from store import Failed, Store, binary, until
from volumes import require, sh

CLONE_NEWNET = 0x40000000
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


def enter(namespace):
    """Moves the calling thread into a namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{namespace}") as file:
        if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise Failed(f"entering {namespace}: {os.strerror(ctypes.get_errno())}")


class Node:
    def __init__(self, name, role, namespace, address, directory):
        self.name, self.role, self.namespace, self.address, self.directory = name, role, namespace, address, directory
        self.process = None


class NetCluster(Store):
    """Namenodes, datanodes and gateways, each at an address of its own."""

    def __init__(self, namenodes=3, datanodes=3, gateways=2):
        require("ip", "iptables")
        self.tag = f"gr{os.getpid() % 10000}"
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="granary-faults-"))
        self.access_key, self.secret_key = "faults-root", secrets.token_hex(16)
        self.faketime = os.path.exists(FAKETIME)
        self.nodes, self.count = {}, 0
        self.hub = f"{self.tag}-hub"
        sh("ip", "netns", "add", self.hub)
        sh("ip", "-n", self.hub, "link", "set", "lo", "up")
        sh("ip", "-n", self.hub, "link", "add", "bridge", "type", "bridge")
        sh("ip", "-n", self.hub, "address", "add", "10.77.0.254/24", "dev", "bridge")
        sh("ip", "-n", self.hub, "link", "set", "bridge", "up")
        numbers = {"namenode": namenodes, "datanode": datanodes, "gateway": gateways}
        for role, number in numbers.items():
            for at in range(1, number + 1):
                self.add_node(f"{role}-{at}", role)
        self.certify(list(self.nodes.values()), "--cluster", self.tag)
        self.root = self.directory / "root.json"
        self.root.write_text(json.dumps({"access_key": self.access_key, "secret_key": self.secret_key}))
        self.first = [node for node in self.nodes.values() if node.role == "namenode"]
        for node in self.nodes.values():
            self.configure(node)
        self.gateways = [f"{node.address}:9000" for node in self.nodes.values() if node.role == "gateway"]

    def add_node(self, name, role):
        self.count += 1
        namespace, address = f"{self.tag}-{self.count}", f"10.77.0.{self.count}"
        sh("ip", "netns", "add", namespace)
        sh("ip", "-n", namespace, "link", "set", "lo", "up")
        inner, outer = "eth0", f"v{self.count}"
        sh("ip", "-n", self.hub, "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", namespace)
        sh("ip", "-n", self.hub, "link", "set", outer, "master", "bridge", "up")
        sh("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", inner)
        sh("ip", "-n", namespace, "link", "set", inner, "up")
        directory = self.directory / name
        directory.mkdir()
        self.nodes[name] = Node(name, role, namespace, address, directory)
        return self.nodes[name]

    def certify(self, nodes, *more):
        words = [word for node in nodes for word in ("--node", f"{node.name}:{node.role}")]
        sh(binary(), "certs", "--dir", self.directory / "certs", *more, *words)

    def configure(self, node, join=False):
        certs = self.directory / "certs" / node.name
        namenodes = json.dumps([f"{other.address}:7000" for other in self.first])
        tls = f'[tls]\nca = "{certs}/ca.pem"\ncertificate = "{certs}/node.pem"\nkey = "{certs}/node-key.pem"\n'
        if node.role == "namenode":
            text = f'rpc = "{node.address}:7000"\nhttp = "{node.address}:9870"\n'
            data = f'data = "{node.directory}/data"\n'
            if join:
                text += tls + f'[namenode]\n{data}[namenode.join]\nname = "{node.name}"\n'
            else:
                text += f'ca_key = "{self.directory}/certs/ca-key.pem"\n' + tls
                text += f"[namenode]\npeer = {self.first.index(node) + 1}\n{data}"
                for number, peer in enumerate(self.first, 1):
                    text += f'[[namenode.peers]]\npeer = {number}\nname = "{peer.name}"\naddress = "{peer.address}:7000"\n'
        elif node.role == "datanode":
            text = f'rpc = "{node.address}:7000"\nhttp = "{node.address}:9864"\nnamenodes = {namenodes}\n' + tls
            text += f'[datanode]\nname = "{node.name}"\nrack = "/{node.name}"\naddress = "{node.address}:7000"\n'
            text += f'[[datanode.volumes]]\npath = "{node.directory}/data"\n'
        else:
            text = f'name = "{node.name}"\ns3 = "{node.address}:9000"\nnamenodes = {namenodes}\n'
            text += f'root_credentials = "{self.root}"\n' + tls
        (node.directory / "config.toml").write_text(text)

    def start(self, *names):
        for name in names or list(self.nodes):
            node = self.nodes[name]
            environment = dict(os.environ)
            if self.faketime and node.role != "gateway":
                clock = node.directory / "clock"
                clock.write_text("+0")
                environment |= {
                    "LD_PRELOAD": FAKETIME,
                    "FAKETIME_TIMESTAMP_FILE": str(clock),
                    "FAKETIME_NO_CACHE": "1",
                    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                }
            words = ["ip", "netns", "exec", node.namespace, binary(), node.role, "--config", node.directory / "config.toml"]
            with (node.directory / "log").open("ab") as log:
                node.process = subprocess.Popen(words, stdout=log, stderr=log, env=environment)

    def kill(self, name, how=signal.SIGKILL):
        node = self.nodes[name]
        if node.process is not None:
            node.process.send_signal(signal.SIGCONT)
            node.process.send_signal(how)
            node.process.wait(timeout=60)
            node.process = None

    def stop_clock_step(self):
        for node in self.nodes.values():
            if (node.directory / "clock").exists():
                (node.directory / "clock").write_text("+0")

    def step_clock(self, name, seconds):
        (self.nodes[name].directory / "clock").write_text(f"{seconds:+d}")

    def block(self, at, sources):
        """Nothing from `sources` reaches `at` any more; what it sends still reaches them."""
        for source in sources:
            words = ["iptables", "-A", "INPUT", "-s", self.nodes[source].address, "-j", "DROP"]
            sh("ip", "netns", "exec", self.nodes[at].namespace, *words)

    def heal(self):
        for node in self.nodes.values():
            sh("ip", "netns", "exec", node.namespace, "iptables", "-F", "INPUT")

    def inside(self):
        return ["ip", "netns", "exec", self.hub]

    def leader(self):
        return next(peer["name"] for peer in self.status()["peers"] if peer["leader"])

    def wait_until_ready(self, datanodes=3):
        until("the cluster to be ready", 240, lambda: self.is_healthy(datanodes))

    def remove(self):
        for node in self.nodes.values():
            if node.process is not None:
                node.process.send_signal(signal.SIGCONT)
                node.process.kill()
                node.process.wait(timeout=60)
            sh("ip", "netns", "delete", node.namespace, check=False)
        sh("ip", "netns", "delete", self.hub, check=False)
        if os.environ.get("GRANARY_KEEP"):
            print(f"kept: {self.directory}")
        else:
            time.sleep(0.2)
            shutil.rmtree(self.directory, ignore_errors=True)
