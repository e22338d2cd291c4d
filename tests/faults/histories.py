"""Short histories under partitions (one-way too), frozen and killed leaders, clock steps and membership changes: each key linearizable."""

import hashlib
import http.client
import random
import signal
import subprocess
import threading
import time

from linearizability import CREATE, READ, WRITE, Operation, is_linearizable
from load import retried
from namespaces import NetCluster, enter
from store import until

BUCKET = "histories"
CLIENTS, KEYS = 5, 2
# A machine that is busy with other things takes its time.
PATIENCE_S = 240
# A namenode that hears nothing for 1 to 2 s stands for election.
PAST_THE_LEASE_S = 3.5


def arguments(parser):
    parser.add_argument("--histories", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one history")
    parser.add_argument("--faults", default="isolate,deaf,mute,split,freeze,crash,clock,membership", help="which, in random order")


class Client(threading.Thread):
    """Reads, writes, deletes and creates; records when each began and ended and what came of it."""

    def __init__(self, cluster, number, history, end, seed):
        super().__init__(daemon=True)
        self.cluster, self.number, self.history, self.end = cluster, number, history, end
        self.random = random.Random(seed)
        self.records = {key: [] for key in range(KEYS)}
        self.error = None

    def run(self):
        try:
            enter(self.cluster.hub)
            s3 = self.cluster.client(timeout=4.0)
            s3.at = self.number % len(s3.endpoints)
            count = 0
            while time.monotonic() < self.end:
                count += 1
                self.step(s3, self.random.randrange(KEYS), f"{self.number}.{count}")
                time.sleep(self.random.uniform(0, 0.06))
            s3.close()
        except Exception as error:
            self.error = error

    def step(self, s3, key, value):
        name, dice = f"{self.history}/{key}", self.random.random()
        began = time.monotonic()
        try:
            if dice < 0.5:
                answer = s3.get(BUCKET, name)
            elif dice < 0.8:
                answer = s3.put(BUCKET, name, value.encode())
            elif dice < 0.9:
                answer = s3.delete(BUCKET, name)
            else:
                answer = s3.put(BUCKET, name, value.encode(), {"if-none-match": "*"})
        except (OSError, http.client.HTTPException):
            answer = None
        ended = time.monotonic()
        status = 599 if answer is None else answer.status
        known = status < 500 and status != 409
        ended = ended if known else float("inf")
        if dice < 0.5:
            if status not in (200, 404) and known:
                raise RuntimeError(f"GET {status} {answer.body[:200]}")
            found = answer.body.decode() if status == 200 else None
            record = Operation(READ, found, began, ended)
        elif dice < 0.9:
            if known and not answer.ok:
                raise RuntimeError(f"write {status} {answer.body[:200]}")
            record = Operation(WRITE, value if dice < 0.8 else None, began, ended)
        else:
            if known and not answer.ok and status != 412:
                raise RuntimeError(f"create {status} {answer.body[:200]}")
            record = Operation(CREATE, value, began, ended, None if not known else status != 412)
        self.records[key].append(record)


class Faults:
    """One fault a history."""

    def __init__(self, cluster, dice):
        self.cluster, self.dice, self.replaced = cluster, dice, 0

    def namenodes(self):
        return [node.name for node in self.cluster.nodes.values() if node.role == "namenode" and node.process]

    def others(self, name):
        return [other for other in self.cluster.nodes if other != name]

    def isolate(self, leader, seconds):
        """The leader and everybody else hear nothing of each other."""
        self.cluster.block(leader, self.others(leader))
        for other in self.others(leader):
            self.cluster.block(other, [leader])
        time.sleep(seconds)

    def deaf(self, leader, seconds):
        """The leader is heard, and hears no other namenode."""
        self.cluster.block(leader, [name for name in self.namenodes() if name != leader])
        time.sleep(seconds)

    def mute(self, leader, seconds):
        """The leader hears, and no other namenode hears it."""
        for other in self.namenodes():
            if other != leader:
                self.cluster.block(other, [leader])
        time.sleep(seconds)

    def split(self, leader, seconds):
        """Everybody is on one of two sides; gateways and datanodes too."""
        names = list(self.cluster.nodes)
        self.dice.shuffle(names)
        one, two = names[: len(names) // 2], names[len(names) // 2 :]
        for name in one:
            self.cluster.block(name, two)
        for name in two:
            self.cluster.block(name, one)
        time.sleep(seconds)

    def freeze(self, leader, seconds):
        """The leader stands still past its lease, then goes on as if nothing had happened."""
        process = self.cluster.nodes[leader].process
        process.send_signal(signal.SIGSTOP)
        time.sleep(max(seconds, PAST_THE_LEASE_S))
        process.send_signal(signal.SIGCONT)

    def crash(self, leader, seconds):
        """The leader dies in the middle of what it does, and comes back."""
        self.cluster.kill(leader)
        time.sleep(seconds)
        self.cluster.start(leader)

    def clock(self, leader, seconds):
        """Clocks of namenodes jump, the leader's among them, forwards and back."""
        for name in self.namenodes():
            self.cluster.step_clock(name, self.dice.choice([-3600, -30, 30, 3600]))
        time.sleep(seconds)
        self.cluster.stop_clock_step()

    def membership(self, leader, seconds):
        """A namenode is replaced by a new one, as often as not the leader."""
        cluster, old = self.cluster, self.dice.choice(self.namenodes() + [leader])
        self.replaced += 1
        node = cluster.add_node(f"namenode-r{self.replaced}", "namenode")
        cluster.certify([node])
        cluster.configure(node, join=True)
        cluster.start(node.name)
        time.sleep(0.5)
        cluster.admin("namenode", "replace", old, node.name, f"{node.address}:7000")
        cluster.kill(old)


def run(options):
    began, notes, dice = time.monotonic(), [], random.Random(options.seed)
    kinds = options.faults.split(",")
    cluster = NetCluster()
    if not cluster.faketime and "clock" in kinds:
        kinds.remove("clock")
        print("libfaketime is not installed: no clock steps")
    counted, operations, unknown, violations = dict.fromkeys(kinds, 0), 0, 0, 0
    try:
        cluster.start()
        cluster.wait_until_ready()
        faults = Faults(cluster, dice)
        for history in range(options.histories):
            prepare(cluster)
            kind = kinds[history % len(kinds)]
            end = time.monotonic() + options.seconds
            clients = [Client(cluster, n, history, end, dice.random()) for n in range(CLIENTS)]
            leader = cluster.leader()
            for client in clients:
                client.start()
            time.sleep(dice.uniform(0.3, 1))
            try:
                getattr(faults, kind)(leader, options.seconds * 0.5)
            except (OSError, subprocess.SubprocessError) as error:
                # A change that is not done in time is finished by the next command.
                notes_of_fault = str(error)
                print(f"history {history}: {kind}: {notes_of_fault}")
            cluster.heal()
            for client in clients:
                client.join()
                if client.error:
                    raise client.error
            counted[kind] += 1
            for key in range(KEYS):
                records = [record for client in clients for record in client.records[key]]
                records.append(last_read(cluster, f"{history}/{key}"))
                operations += len(records)
                unknown += sum(record.ended == float("inf") for record in records)
                if not is_linearizable(records):
                    violations += 1
                    notes.append(f"history {history} ({kind}), key {key}, is not linearizable:")
                    notes += [f"  {record}" for record in sorted(records, key=lambda r: r.began)]
    finally:
        cluster.remove()
    figures = " ".join(f"{kind}={count}" for kind, count in counted.items())
    print(
        f"histories histories={options.histories} {figures} operations={operations} unknown={unknown} "
        f"violations={violations} seconds={time.monotonic() - began:.0f}"
    )
    return notes


def in_hub(cluster, work):
    """Runs `work` with a client inside the cluster's network."""
    outcome = {}

    def body():
        enter(cluster.hub)
        s3 = cluster.client(timeout=10.0)
        try:
            outcome["value"] = work(s3)
        except Exception as error:
            outcome["error"] = error
        s3.close()

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]


def prepare(cluster):
    """Waits until writes are answered again."""

    def works(s3):
        s3.create_bucket(BUCKET)
        return s3.put(BUCKET, "ready", hashlib.md5(b"x").digest()).ok

    def attempt():
        try:
            return in_hub(cluster, works)
        except (http.client.HTTPException, RuntimeError) as error:
            raise OSError(error) from error

    until("writes to be answered", PATIENCE_S, attempt)


def last_read(cluster, name):
    def work(s3):
        def attempt():
            answer = s3.get(BUCKET, name)
            if answer.status >= 500:
                s3.turn()
                raise OSError(answer.status)
            return answer

        began = time.monotonic()
        answer = retried(attempt, PATIENCE_S)
        return Operation(READ, answer.body.decode() if answer.ok else None, began, time.monotonic())

    return in_hub(cluster, work)
