"""Servers of one run: on loopback, on free ports, in a folder of their own, ended by process."""

import os
import socket
import subprocess
import time
import urllib.request

ACCESS_KEY, SECRET_KEY = "HADOOPTESTSKEY", "hadoop-tests-secret-key"
PORTS = ("s3", "namenode-http", "namenode-rpc", "datanode-http", "datanode-transfer", "datanode-ipc")
READY_S = 180


class Granary:
    """`granary server` with every role in one process."""

    def __init__(self, binary, folder):
        held = [socket.socket() for _ in PORTS]
        for one in held:
            one.bind(("127.0.0.1", 0))
        self.address = {name: f"127.0.0.1:{one.getsockname()[1]}" for name, one in zip(PORTS, held)}
        for one in held:
            one.close()
        self.log = folder / "server.log"
        argv = [str(binary), "server", "--data", str(folder / "data")]
        for name, address in self.address.items():
            argv += [f"--{name}", address]
        # Whoever runs the tests, the clients say that they are root.
        argv += ["--hdfs-superuser", "root"]
        environment = os.environ | {"GRANARY_ROOT_ACCESS_KEY": ACCESS_KEY, "GRANARY_ROOT_SECRET_KEY": SECRET_KEY}
        self.process = subprocess.Popen(argv, env=environment, stdout=self.log.open("w"), stderr=subprocess.STDOUT)
        self._wait()

    @property
    def uri(self):
        return f"hdfs://{self.address['namenode-rpc']}"

    @property
    def s3(self):
        return f"http://{self.address['s3']}"

    def _wait(self):
        deadline = time.monotonic() + READY_S
        while True:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise SystemExit(f"granary did not start:\n{self.log.read_text()[-4000:]}")
            try:
                with urllib.request.urlopen(f"http://{self.address['namenode-http']}/health/ready", timeout=5):
                    return
            except OSError:
                time.sleep(0.1)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class ApacheHdfs:
    """Apache HDFS in one JVM."""

    def __init__(self, classes, jars, folder, arguments=()):
        argv = ["java", "-Xmx600m", "-cp", f"{classes}:{jars}/*", "MiniHdfs", str(folder / "minihdfs"), *arguments]
        log = (folder / "minihdfs.log").open("w")
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        self.uri = self.process.stdout.readline().strip()
        if not self.uri.startswith("hdfs://"):
            raise SystemExit("Apache HDFS did not start")

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
