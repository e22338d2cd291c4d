"""Programs that reach for what is not theirs are stopped with a clear reason, and the node stays healthy. Needs root."""

import os
import pathlib
import re
import socket
import tempfile

from store import Failed, Server, until
from work import Jobs, keys, left_in, open_folder, put, quoted, running_for, scratch_of

SMALL_SCRATCH = 64 << 20

FORK = "i=0; while [ $i -lt 10000 ]; do sleep 600 & i=$((i+1)); done; echo all started"
SOCKET = "import socket; socket.create_connection((\"127.0.0.1\", PORT)); print(\"reached\")"


def cases(options, port, daemon):
    """Name, script, resources besides the usual, and what is to be said of it."""
    return [
        ("reads /etc/shadow", "cat /etc/shadow", {}, "Permission denied"),
        ("reads the daemon's environment", f"cat /proc/{daemon}/environ", {}, "No such file|denied"),
        ("writes outside of its directory", "head -c 1000 /dev/zero > /tmp/left-by-a-task", {}, "denied"),
        ("keeps files in memory", "head -c 1000 /dev/zero > /dev/shm/left-by-a-task", {}, "denied"),
        ("opens a socket", f"python3 -c '{SOCKET.replace('PORT', str(port))}'", {}, "Permission|not permitted"),
        ("makes namespaces", "unshare -U id", {}, "not permitted|denied|failed"),
        ("forks ten thousand times", FORK, {}, "[Ff]ork|[Rr]esource"),
        ("writes 100 GB", "head -c 100000000000 /dev/zero > large", {"scratch_bytes": options.scratch_mib << 20}, "scratch space .* is used up"),
        ("spins for ever", "while :; do :; done", {"cpu_seconds": 2}, "processor time of 2 seconds is used up"),
        ("takes all memory", "head -c 8000000000 /dev/zero | tail -n 1 | wc -c; exit 5", {"process_memory_bytes": 64 << 20}, "memory|exited"),
    ]  # fmt: skip


def arguments(parser):
    parser.add_argument("--scratch-mib", type=int, default=SMALL_SCRATCH >> 20, help="what a task may write")


def run(options):
    if os.getuid() != 0:
        raise Failed("programs run as other users only where the daemon is root")
    complaints = []
    with open_folder() as folder, Server([folder / "data"]) as server:
        jobs, s3 = Jobs(server), server.client()
        for bucket in ("inp", "outp", "secrets"):
            s3.create_bucket(bucket)
        put(s3, "inp", "line", b"one line\n")
        put(s3, "secrets", "key", b"of somebody else\n")
        bob = user(server, "bob")
        complaints += [complaint for complaint in [others_objects(bob)] if complaint]
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(0)
            for number, case in enumerate(cases(options, listener.getsockname()[1], server.process.pid)):
                complaints += stopped(jobs, s3, number, *case)
            try:
                listener.accept()
                complaints.append("a program reached a socket of this machine")
            except BlockingIOError:
                pass
        complaints += healthy(jobs, s3, server)
    count = len(cases(options, 0, 0)) + 1
    print(f"sandbox cases={count} stopped={count - len(complaints)} complaints={len(complaints)}")
    return complaints


def user(server, name):
    """Somebody who may run programs and reads nothing of others."""
    policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "job:*", "Resource": "*"}]}'
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(policy)
        file.flush()
        server.admin("policy", "put", "native", file.name)
    server.admin("user", "add", name, "--access-key", f"key_of_{name}", "--secret-key", f"secret-of-{name}")
    server.admin("policy", "attach", "native", name)
    return Jobs(server, f"key_of_{name}", f"secret-of-{name}")


def others_objects(bob):
    """Neither as input nor as a file of the job is somebody else's object read."""
    for words in (["-input", "s3://secrets/key"], ["-input", "s3://bobs/line", "-files", "s3://secrets/key#key"]):
        try:
            s3 = type(bob.store.client())(bob.store.gateways, *bob.keys, 60.0)
            s3.create_bucket("bobs")
            put(s3, "bobs", "line", b"x\n")
            bob.submit(*words, "-output", "s3://bobs/out", "-mapper", "cat", "-reducer", "NONE")
            return f"{words} was let in"
        except Failed as error:
            if "denied" not in str(error).lower():
                return f"{words}: {error}"
    return None


def stopped(jobs, s3, number, name, script, resources, said):
    specification = {
        "inputs": ["s3://inp/line"],
        "output": f"s3://outp/{number}",
        "program": {"streaming": {"mapper": {"command": ["sh", "-c", script]}, "reducer": None}},
        "attempts_max": 1,
        "timeout_ms": 120_000,
        "resources": resources,
    }
    status = jobs.wait(jobs.post(specification))
    words = status["reason"] + " ".join(failure["stderr"] for failure in status["failures"] or [])
    if status["state"] != "FAILED":
        return [f"a program that {name}: {status['state']}"]
    if not re.search(said, words):
        return [f"a program that {name} was stopped, but this was said: {words[:300]}"]
    if found := keys(s3, "outp", f"{number}/"):
        return [f"a program that {name} left {found}"]
    return []


def healthy(jobs, s3, server):
    """Nothing runs on, nothing lies about, and the next job is done."""
    complaints = []
    places = scratch_of(server.directories[0])
    until("every process of programs to have ended", 60, lambda: not running_for(places))
    until("scratch to be empty", 60, lambda: not left_in(places))
    for path in ("/tmp/left-by-a-task", "/dev/shm/left-by-a-task"):
        if pathlib.Path(path).exists():
            complaints.append(f"{path} was left")
    environment = jobs.run("-input", "s3://inp/line", "-output", "s3://outp/next", "-mapper", quoted("env"), "-reducer", "NONE")
    said = s3.get("outp", "next/part-00000").body.decode()
    if environment["state"] != "SUCCEEDED" or server.secret_key in said:
        complaints.append(f"the next job: {environment['state']} {environment['reason']}")
    return complaints
