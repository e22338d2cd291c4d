"""The compose cluster under test: the image, its containers, and the scenario run against them.

All it makes carries one random project name and is removed when the `with` block ends, however it ends.
"""

import hashlib
import json
import os
import random
import resource
import secrets
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

REPOSITORY = Path(__file__).resolve().parent.parent.parent
DEPLOY = REPOSITORY / "deploy"
NAMENODES = [f"namenode-{number}" for number in (1, 2, 3)]
DATANODES = [f"datanode-{number}" for number in (1, 2, 3, 4)]
GATEWAYS = ["gateway-1", "gateway-2"]
HEALTHY_WITHIN_S = 300
# The longest a store that lost its leading namenode may refuse writes.
RESUMES_WITHIN_S = 120
BUCKET = "deployed"
MIB = 1 << 20


def say(text):
    print(f"deploy: {text}", flush=True)


def check(holds, what):
    if not holds:
        raise AssertionError(what)


class Cluster:
    """An image and a compose project made of it."""

    def __init__(self, folder, binary):
        self.project = f"granary-test-{secrets.token_hex(4)}"
        self.image = f"{self.project}:latest"
        self.home = folder / self.project
        self.binary = binary
        self.ports = free_ports(len(GATEWAYS))
        ports = {f"GRANARY_S3_PORT_{number}": str(port) for number, port in enumerate(self.ports, 1)}
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GRANARY_"))}
        # An engine started here can give its containers no more than it has.
        _, open_files = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.env.update(ports, GRANARY_OPEN_FILES=str(min(open_files, 65536) if open_files > 0 else 65536))
        self.compose_command = ["docker", "compose"]
        if subprocess.run([*self.compose_command, "version"], capture_output=True).returncode != 0:
            self.compose_command = ["docker-compose"]

    def __enter__(self):
        try:
            self._run([DEPLOY / "container" / "build", "--binary", self.binary, "--tag", self.image])
            self._run([DEPLOY / "compose" / "prepare", self.home, "--image", self.image, "--cluster", self.project])
            self.key = json.loads((self.home / "root-credentials.json").read_text())
            self.compose("up", "-d")
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None and not issubclass(kind, SystemExit):
            print(self.compose("ps", check=False), self.compose("logs", "--no-color", "--tail", "15", check=False))
        self._remove()

    def _remove(self):
        if self.home.exists():
            self.compose("down", "--volumes", "--timeout", "20", check=False)
        subprocess.run(["docker", "image", "rm", "--force", self.image], env=self.env, capture_output=True)
        shutil.rmtree(self.home, ignore_errors=True)

    def _run(self, command, check=True):
        done = subprocess.run(command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))} failed:\n{done.stdout[-4000:]}")
        return done.stdout

    def compose(self, *arguments, check=True):
        """Runs docker compose in the cluster's directory; returns what it prints."""
        where = ["--project-directory", self.home, "--file", self.home / "compose.yaml", "--env-file", self.home / ".env"]
        return self._run([*self.compose_command, *where, *arguments], check)

    def docker(self, *arguments, check=True):
        return self._run(["docker", *arguments], check)

    def container(self, service):
        """The id of a service's container, whether it runs or not."""
        found = self.docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={self.project}",
                            "--filter", f"label=com.docker.compose.service={service}").split()
        check(len(found) == 1, f"{service} has {len(found)} containers")
        return found[0]

    def health(self, service):
        """Docker's opinion: starting, healthy, unhealthy; or exited."""
        form = "{{if .State.Running}}{{.State.Health.Status}}{{else}}exited{{end}}"
        return self.docker("inspect", "--format", form, self.container(service)).strip()

    def wait_until_healthy(self, services):
        begun = time.monotonic()
        while True:
            found = {service: self.health(service) for service in services}
            if all(health == "healthy" for health in found.values()):
                say(f"{len(services)} containers healthy after {time.monotonic() - begun:.0f} s")
                return
            check(time.monotonic() - begun < HEALTHY_WITHIN_S, f"not healthy in time: {found}")
            time.sleep(0.5)

    def status(self, gateway):
        """`granary admin status`, run inside the gateway's container."""
        key = {"GRANARY_ROOT_ACCESS_KEY": self.key["access_key"], "GRANARY_ROOT_SECRET_KEY": self.key["secret_key"]}
        command = ["docker", "exec", *[part for name in key for part in ("--env", name)], self.container(gateway),
                   "/granary", "--log", "error", "admin", "status", "--json"]
        done = subprocess.run(command, env={**self.env, **key}, capture_output=True, text=True)
        check(done.returncode == 0, f"admin status failed: {done.stderr}")
        return json.loads(done.stdout)

    def s3(self, gateway):
        """A client of one gateway. Retries are the SDK's own, as any program would have them."""
        return boto3.client(
            "s3", endpoint_url=self.url(gateway), region_name="us-east-1",
            aws_access_key_id=self.key["access_key"], aws_secret_access_key=self.key["secret_key"],
            config=Config(s3={"addressing_style": "path"}, retries={"mode": "standard", "max_attempts": 5},
                          connect_timeout=5, read_timeout=60))

    def url(self, gateway):
        return f"http://127.0.0.1:{self.ports[GATEWAYS.index(gateway)]}"


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def large_file(path, megabytes):
    """A file of random bytes; returns its digest."""
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        for _ in range(megabytes):
            piece = random.randbytes(MIB)
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def digest_of_object(s3, key):
    digest = hashlib.sha256()
    body = s3.get_object(Bucket=BUCKET, Key=key)["Body"]
    for piece in body.iter_chunks(MIB):
        digest.update(piece)
    return digest.hexdigest()


def put(s3, key, body, expected):
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    expected[key] = hashlib.sha256(body).hexdigest()


def check_all(s3, expected, whose):
    """Every object reads back as it was written, and the listing names them all."""
    listed = [entry["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
              for entry in page.get("Contents", [])]
    check(listed == sorted(expected), f"{whose} lists {len(listed)} keys, {len(expected)} were written")
    for key, digest in expected.items():
        check(digest_of_object(s3, key) == digest, f"{whose} returns other bytes for {key}")
    say(f"{len(expected)} objects read back equal through {whose}")


def check_image(cluster):
    """One program and one empty directory, run by a user that is not root; no shell."""
    config = json.loads(cluster.docker("image", "inspect", "--format", "{{json .Config}}", cluster.image))
    check(config["User"] == "10001:10001", f"the image runs as {config['User']!r}")
    check("/data" in config["Volumes"] and "9000/tcp" in config["ExposedPorts"], "a volume or a port is not declared")
    check(config["Healthcheck"]["Test"][0] == "CMD", "the health check wants a shell")
    container = cluster.docker("create", "--name", f"{cluster.project}-files", cluster.image).split()[-1]
    try:
        export = subprocess.Popen(["docker", "export", container], env=cluster.env, stdout=subprocess.PIPE)
        names = subprocess.run(["tar", "--list"], stdin=export.stdout, capture_output=True, text=True).stdout.split()
        export.wait()
    finally:
        cluster.docker("rm", "--volumes", container)
    engines_own = (".dockerenv", "dev/", "etc/", "proc/", "sys/")
    files = [name for name in names if not name.startswith(engines_own)]
    check(sorted(files) == ["data/", "granary"], f"the image holds {files}")


def check_metrics(cluster):
    for gateway in GATEWAYS:
        with urllib.request.urlopen(f"{cluster.url(gateway)}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        check("granary_gateway_requests_total" in text, f"{gateway} shows no metrics")


def check_strangers_are_refused(cluster):
    """Without the key nothing is told."""
    try:
        urllib.request.urlopen(f"{cluster.url('gateway-1')}/{BUCKET}", timeout=10)
    except urllib.error.HTTPError as refusal:
        check(refusal.code == 403, f"an unsigned listing is answered {refusal.code}")
    else:
        raise AssertionError("an unsigned listing is answered")


def wait_for_datanodes(cluster):
    """The leader knows all datanodes, on two racks; returns its status."""
    deadline = time.monotonic() + HEALTHY_WITHIN_S
    while True:
        status = cluster.status("gateway-1")
        live = [node for node in status["datanodes"] if node["live"]]
        if len(live) == len(DATANODES):
            racks = {node["rack"] for node in live}
            check(len(racks) == 2, f"datanodes are on {racks}")
            return status
        check(time.monotonic() < deadline, f"{len(live)} datanodes are live")
        time.sleep(0.5)


def write_until_accepted(s3, key, body, expected):
    """A write that may be refused while a new leader is found; returns how long that took, in seconds."""
    begun = time.monotonic()
    while True:
        try:
            put(s3, key, body, expected)
            return time.monotonic() - begun
        except (BotoCoreError, ClientError) as error:
            check(time.monotonic() - begun < RESUMES_WITHIN_S, f"writing did not resume: {error}")


def scenario(cluster, large_mb):
    check_image(cluster)
    cluster.wait_until_healthy(NAMENODES + DATANODES + GATEWAYS)
    wait_for_datanodes(cluster)
    first, second = cluster.s3("gateway-1"), cluster.s3("gateway-2")

    first.create_bucket(Bucket=BUCKET)
    expected = {}
    put(first, "empty", b"", expected)
    put(first, "one MiB", random.randbytes(MIB), expected)
    for number in range(20):
        put(first, f"small/{number:02}", random.randbytes(4096), expected)
    large = cluster.home / "large"
    digest = large_file(large, large_mb)
    begun = time.monotonic()
    first.upload_file(str(large), BUCKET, "large", Config=TransferConfig(multipart_chunksize=16 * MIB))
    say(f"{large_mb} MiB uploaded in {time.monotonic() - begun:.1f} s")
    expected["large"] = digest
    check_all(second, expected, "the other gateway")
    check_metrics(cluster)
    check_strangers_are_refused(cluster)

    leader = next(peer["name"] for peer in cluster.status("gateway-1")["peers"] if peer["leader"])
    killed = [leader, "datanode-1"]
    cluster.docker("kill", *[cluster.container(service) for service in killed])
    say(f"killed {leader}, which was leading, and datanode-1")
    resumed = write_until_accepted(first, "after/first", random.randbytes(4096), expected)
    say(f"writing resumed after {resumed:.1f} s")
    for number in range(10):
        put(second, f"after/{number}", random.randbytes(100_000), expected)
    first.upload_file(str(large), BUCKET, "after/large", Config=TransferConfig(multipart_chunksize=16 * MIB))
    expected["after/large"] = digest
    for gateway, s3 in zip(GATEWAYS, (first, second)):
        check_all(s3, expected, f"{gateway}, with two nodes dead")

    cluster.docker("start", *[cluster.container(service) for service in killed])
    cluster.wait_until_healthy(NAMENODES + DATANODES + GATEWAYS)
    wait_for_datanodes(cluster)
    check_all(second, expected, "gateway-2, with all nodes back")
