"""Starts and ends the S3 servers a conformance run talks to, on free loopback ports. Standard library only.

Owns: command lines, readiness, log files and ending by process id. Every server is a child of this process,
leads its own process group and keeps everything it writes inside the run's folder. Nothing here knows about tests.
"""

import json
import os
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

READY_TIMEOUT_S = 180
STOP_TIMEOUT_S = 60
LOG_TAIL_BYTES = 4000


class ServerFailed(Exception):
    """The server did not come up; the message carries the end of its log."""


def free_ports(count):
    """Distinct loopback ports that were free a moment ago, below 55000 so that port + 10000 stays a port."""
    sockets = []
    try:
        while len(sockets) < count:
            candidate = socket.socket()
            candidate.bind(("127.0.0.1", 0))
            if candidate.getsockname()[1] < 55000:
                sockets.append(candidate)
            else:
                candidate.close()
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


class Server:
    """One server process with one S3 address."""

    def __init__(self, name, argv, url, folder, env, ca_file):
        self.name = name
        self.url = url
        self._argv = argv
        self._env = {**os.environ, **env}
        self._log = folder / "server.log"
        self._folder = folder
        self.ca_file = ca_file
        self._process = None

    def start(self):
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                self._argv, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                cwd=self._folder, env=self._env, start_new_session=True,
            )
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None:
                raise ServerFailed(f"{self.name} exited with {self._process.returncode}\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self.stop()
                raise ServerFailed(f"{self.name} did not answer in {READY_TIMEOUT_S} s\n{self.log_tail()}")
            time.sleep(0.1)

    def stop(self):
        """Asks the process to end and waits; kills it when it will not. Returns its exit code."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        return self._process.returncode

    def alive(self):
        return self._process is not None and self._process.poll() is None

    def log_tail(self):
        return self._log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")

    def _answers(self):
        context = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
        try:
            with urllib.request.urlopen(self.url, timeout=10, context=context) as response:
                return response.status < 500
        except urllib.error.HTTPError as error:
            return error.code < 500
        except OSError:
            return False


def _url(port, tls):
    return f"{'https' if tls else 'http'}://127.0.0.1:{port}"


def granary(binary, folder, keys, tls):
    """`granary server` with every role in one process. `tls` is a certificate folder or None."""
    flags = ("--s3", "--namenode-http", "--namenode-rpc", "--datanode-http", "--datanode-transfer", "--datanode-ipc")
    ports = free_ports(len(flags))
    data = folder / "data"
    argv = [str(binary), "server", "--data", str(data)]
    for flag, port in zip(flags, ports):
        argv += [flag, f"127.0.0.1:{port}"]
    argv += ["--public-url", _url(ports[0], tls).replace("127.0.0.1", "localhost")]
    if tls:
        argv += ["--tls-cert", str(tls / "server.pem"), "--tls-key", str(tls / "server.key")]
    env = {"GRANARY_ROOT_ACCESS_KEY": keys[0], "GRANARY_ROOT_SECRET_KEY": keys[1]}
    return Server("granary", argv, _url(ports[0], tls), folder, env, tls and tls / "ca.pem")


def has_users(binary):
    """Whether this binary knows users at all."""
    return subprocess.run([str(binary), "admin", "user", "--help"], capture_output=True).returncode == 0


def add_user(binary, server, name, root, keys):
    """Adds a user with the given key pair to a running Granary."""
    argv = [str(binary), "admin", "--endpoint", server.url, "user", "add", name, "--access-key", keys[0]]
    if server.ca_file:
        argv += ["--ca-file", str(server.ca_file)]
    env = {
        **os.environ, "GRANARY_ROOT_ACCESS_KEY": root[0], "GRANARY_ROOT_SECRET_KEY": root[1], "GRANARY_USER_SECRET_KEY": keys[1],
    }
    done = subprocess.run(argv, env=env, text=True, capture_output=True)
    if done.returncode:
        raise ServerFailed(f"user {name} was not added: {done.stderr}")


def moto(bin_folder, folder, keys, tls):
    """moto: AWS's semantics in memory; it checks no signatures."""
    [port] = free_ports(1)
    argv = [str(bin_folder / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    if tls:
        argv += ["-c", str(tls / "server.pem"), "-k", str(tls / "server.key")]
    return Server("moto", argv, _url(port, tls), folder, {}, tls and tls / "ca.pem")


def seaweedfs(bin_folder, folder, keys, tls):
    """SeaweedFS: one process with every role, its S3 door checking signatures."""
    master, volume, filer, s3, grpc1, grpc2, grpc3, grpc4, https = free_ports(9)
    identities = {"identities": [{
        "name": "root",
        "credentials": [{"accessKey": keys[0], "secretKey": keys[1]}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }]}
    config = folder / "s3.json"
    config.write_text(json.dumps(identities))
    data = folder / "data"
    data.mkdir()
    argv = [
        str(bin_folder / "weed"), "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-master.port={master}", f"-master.port.grpc={grpc1}", "-master.volumeSizeLimitMB=256",
        f"-volume.port={volume}", f"-volume.port.grpc={grpc2}", "-volume.max=5000",
        "-filer", f"-filer.port={filer}", f"-filer.port.grpc={grpc3}",
        "-s3", f"-s3.port={s3}", f"-s3.port.grpc={grpc4}", f"-s3.config={config}", "-s3.domainName=localhost",
        "-s3.allowDeleteBucketNotEmpty=false", "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-s3.iam=false",
    ]
    port = s3
    if tls:
        port = https
        argv += [f"-s3.port.https={https}", f"-s3.cert.file={tls / 'server.pem'}", f"-s3.key.file={tls / 'server.key'}"]
    env = {"WEED_S3_SSE_KEK_PASSPHRASE": keys[1]}
    return Server("seaweedfs", argv, _url(port, tls), folder, env, tls and tls / "ca.pem")


REFERENCES = {"moto": moto, "seaweedfs": seaweedfs}
