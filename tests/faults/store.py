"""Stores under test: a cluster of processes (`granary local`) or one process (`granary server`), in temporary directories."""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from s3 import S3


# What one process listens on besides S3.
SERVER_PORTS = ("--namenode-http", "--namenode-rpc", "--datanode-http", "--datanode-transfer", "--datanode-ipc")


class Failed(Exception):
    """The run cannot say anything: its own preparations failed."""


def binary():
    """`GRANARY_BIN`, else the release build, else the debug build of this repository."""
    if path := os.environ.get("GRANARY_BIN"):
        return path
    root = pathlib.Path(__file__).resolve().parents[2]
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    for profile in ("release", "debug"):
        if (target / profile / "granary").exists():
            return str(target / profile / "granary")
    raise Failed("no granary binary: run `cargo build --release` first, or set GRANARY_BIN")


def free_ports(count):
    """Ports that were free a moment ago, all different."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in sockets]


def until(what, seconds, check):
    """Waits until `check()` answers something true; that."""
    end, last = time.monotonic() + seconds, None
    while True:
        try:
            if found := check():
                return found
            last = "not yet"
        except (OSError, http.client.HTTPException, subprocess.SubprocessError, Failed, ValueError, KeyError) as error:
            last = error
        if time.monotonic() > end:
            raise Failed(f"waited {seconds} s for {what}: {last}")
        time.sleep(0.1)


class Store:
    """What both kinds have."""

    access_key = secret_key = None
    gateways = ()

    def client(self, timeout=120.0):
        return S3(self.gateways, self.access_key, self.secret_key, timeout)

    def environment(self):
        return {**os.environ, "GRANARY_ROOT_ACCESS_KEY": self.access_key, "GRANARY_ROOT_SECRET_KEY": self.secret_key}

    def inside(self):
        """The words before a command that has to run where the gateways can be reached."""
        return []

    def admin(self, *arguments, timeout=300):
        last = None
        for gateway in self.gateways:
            command = [*self.inside(), binary(), "admin", "--endpoint", f"http://{gateway}", *arguments]
            done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=timeout)
            if done.returncode == 0:
                return done.stdout
            last = done.stderr.strip()
        raise OSError(f"admin {' '.join(arguments)}: {last}")

    def status(self):
        return json.loads(self.admin("status", "--json"))

    def is_healthy(self, datanodes=None):
        """Whether the ledger says that nothing is under its target."""
        status = self.status()
        ledger = status["redundancy"]
        live = sum(node["live"] for node in status["datanodes"])
        return (
            status["safe_mode"] is None
            and ledger["under_replicated_blocks"] == 0
            and ledger["missing_blocks"] == 0
            and (datanodes is None or live >= datanodes)
        )


class Cluster(Store):
    """`granary local up`."""

    def __init__(self, namenodes=3, datanodes=4, gateways=2, racks=2, directory=None, start=True, flags=()):
        self.own = directory is None
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="granary-faults-"))
        self.numbers, self.flags = (namenodes, datanodes, gateways, racks), flags
        if start:
            try:
                self.up()
            except BaseException:
                # Nobody enters what was not made: its processes would stay.
                self.down()
                raise

    def up(self):
        flags = zip(("--namenodes", "--datanodes", "--gateways", "--racks"), map(str, self.numbers))
        self.local("up", *[word for flag in flags for word in flag], *self.flags)
        file = self.file()
        self.access_key, self.secret_key = file["access_key"], file["secret_key"]
        self.gateways = [gateway["s3"] for gateway in file["gateways"]]

    def local(self, command, *arguments, timeout=600):
        words = [binary(), "local", command, *arguments, "--dir", str(self.directory)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=timeout)
        if done.returncode != 0:
            raise Failed(f"local {command} {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def file(self):
        return json.loads((self.directory / "cluster.json").read_text())

    def names(self, *roles):
        file = self.file()
        kinds = {"namenode": "namenodes", "datanode": "datanodes", "gateway": "gateways"}
        return [node["name"] for role in roles for node in file[kinds[role]]]

    def node(self, name):
        file = self.file()
        return next(n for kind in ("namenodes", "datanodes", "gateways") for n in file[kind] if n["name"] == name)

    def pid(self, name):
        return self.node(name)["pid"]

    def leader(self):
        return next(peer["name"] for peer in self.status()["peers"] if peer["leader"])

    def log(self, name):
        return (self.directory / name / "log").read_text(errors="replace")

    def set(self, name, section, key, value):
        """Changes a setting in a process's configuration file; it holds from the next start on."""
        path = self.directory / name / "config.toml"
        lines, inside, done = [], section is None, False
        for line in path.read_text().splitlines():
            if line.startswith("["):
                if inside and not done:
                    lines.append(f"{key} = {value}")
                    done = True
                inside = line.strip() == f"[{section}]"
            if inside and line.split("=")[0].strip() == key:
                continue
            lines.append(line)
        if not done:
            lines.append(f"{key} = {value}")
        path.write_text("\n".join(lines) + "\n")

    def down(self):
        try:
            self.local("down")
        finally:
            if self.own and not os.environ.get("GRANARY_KEEP"):
                shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.down()


class Server(Store):
    """`granary server`."""

    def __init__(self, directories, environment=None, slots=None):
        self.directories = [str(directory) for directory in directories]
        self.access_key, self.secret_key = "faults-root", "faults-root-secret"
        self.extra, self.process, self.output = environment or {}, None, None
        self.log_path = pathlib.Path(tempfile.mkstemp(prefix="granary-faults-", suffix=".log")[1])
        ports = free_ports(1 + len(SERVER_PORTS))
        self.gateways = [f"127.0.0.1:{ports[0]}"]
        self.ports = list(zip(SERVER_PORTS, ports[1:]))
        # Tasks of jobs at a time; as many as there are cores unless said otherwise.
        self.slots = [] if slots is None else ["--task-slots", str(slots)]

    def start(self, wait=True):
        words = [binary(), "server"]
        for directory in self.directories:
            words += ["--data", directory]
        words += ["--s3", self.gateways[0], *self.slots]
        for flag, port in self.ports:
            words += [flag, f"127.0.0.1:{port}"]
        self.output = self.log_path.open("ab")
        environment = {**self.environment(), **self.extra}
        self.process = subprocess.Popen(words, stdout=self.output, stderr=self.output, env=environment)
        if wait:
            until("the server to be ready", 240, self.is_ready)

    def is_ready(self):
        if self.process.poll() is not None:
            tail = self.log_path.read_text(errors="replace").splitlines()[-5:]
            raise RuntimeError("the server has ended: " + " | ".join(tail))
        done = subprocess.run([binary(), "health", f"http://{self.gateways[0]}"], capture_output=True, timeout=30)
        return done.returncode == 0

    def end(self, how=signal.SIGKILL):
        if self.process is not None:
            if self.process.poll() is None:
                self.process.send_signal(how)
            self.process.wait(timeout=60)
            self.process = None
            self.output.close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.end()
        self.log_path.unlink(missing_ok=True)
