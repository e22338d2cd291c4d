"""Objects of all sizes grow cold (STANDARD, STANDARD_IA, GLACIER, gone) while clients read them: bytes, and what they take."""

import base64
import hashlib
import http.client
import json
import os
import random
import re
import threading
import time
import zlib

from store import Cluster, Failed, until

BUCKET = "ageing"
LARGEST = 300 * 1000 * 1000
SMALLEST = 4 << 10
# Larger objects are uploaded in parts of this size, as clients do.
PART_BYTES = 16 << 20
# Threads that read all the while, and that write.
READERS, WRITERS = 2, 4
# Bytes stored for a byte kept, at most: the policy's, the parity of blocks that are not alike, record headers, dead records.
WHOLE_MAX, CODED_MAX = 3.15, 1.65


def arguments(parser):
    parser.add_argument("--mebibytes", type=int, default=2048, help="of objects, 4 KiB to 300 MB each")
    parser.add_argument("--datanodes", type=int, default=9)
    parser.add_argument("--day-seconds", type=int, default=10)
    parser.add_argument("--timeout", type=int, default=1800, help="seconds that each stage may take")


def sizes(total, dice):
    """A tenth of the bytes in small objects, most in large ones."""
    found, left = [], total
    largest = min(LARGEST, total // 4)
    while left > 0:
        kind = dice.random()
        if kind < 0.90:
            size = int(SMALLEST * (256 ** dice.random()))
        elif kind < 0.99:
            size = dice.randrange(8 << 20, min(64 << 20, largest) + (8 << 20))
        else:
            size = dice.randrange(largest // 2, largest + 1)
        found.append(min(size, left))
        left -= found[-1]
    # Both ends are there whatever the dice say.
    return found + [SMALLEST, largest]


def contents(seed, size):
    """Bytes of an object. Python's generator gives no more than 256 MiB at once."""
    dice = random.Random(seed)
    return b"".join(dice.randbytes(min(PART_BYTES, size - at)) for at in range(0, size, PART_BYTES))


class Reader(threading.Thread):
    """Reads objects at random and compares them; what a stage allows besides success is counted."""

    def __init__(self, ageing, number):
        super().__init__(daemon=True)
        self.ageing, self.dice = ageing, random.Random(number)
        self.s3, self.reads, self.refused, self.complaints = ageing.cluster.client(), 0, 0, []

    def run(self):
        while not self.ageing.stop.is_set():
            key = self.dice.choice(self.ageing.keys)
            allowed = self.ageing.allowed
            try:
                answer = self.s3.get(BUCKET, key)
            except (OSError, http.client.HTTPException) as error:
                self.complaints.append(f"reading {key}: {error!r}")
                continue
            found = re.search(rb"<Code>(\w+)</Code>", answer.body) if not answer.ok else None
            code = found and found[1].decode()
            if answer.ok:
                self.reads += 1
                if hashlib.md5(answer.body).hexdigest() != self.ageing.digests[key]:
                    self.complaints.append(f"{key} was read with other bytes")
            elif code in allowed or code in self.ageing.allowed:
                self.refused += 1
                # Nothing is learned by asking faster.
                time.sleep(0.05)
            else:
                self.complaints.append(f"reading {key}: {answer.status} {code}")


class Ageing:
    def __init__(self, cluster, options):
        self.cluster, self.options = cluster, options
        self.digests, self.keys, self.allowed = {}, [], ()
        self.stop, self.s3 = threading.Event(), cluster.client()

    def write(self):
        dice = random.Random(self.options.seed)
        work = list(enumerate(sizes(self.options.mebibytes << 20, dice)))
        lock, errors = threading.Lock(), []

        def writer():
            s3 = self.cluster.client()
            while not errors:
                with lock:
                    if not work:
                        return
                    number, size = work.pop()
                try:
                    self.put(s3, f"{number % 7}/{number}", contents(number, size))
                except Exception as error:  # whatever it is, the objects are not all there
                    errors.append(error)

        threads = [threading.Thread(target=writer, daemon=True) for _ in range(WRITERS)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        if errors:
            raise errors[0]
        self.keys = sorted(self.digests)

    def put(self, s3, key, body):
        # Making the body took a while: the connection may be closed by now.
        s3.close()
        if len(body) <= PART_BYTES:
            answer = s3.put(BUCKET, key, body)
        else:
            answer = s3.put_parts(BUCKET, key, [body[at : at + PART_BYTES] for at in range(0, len(body), PART_BYTES)])
        if not answer.ok:
            raise Failed(f"{key} was not written: {answer.status} {answer.body[:200]}")
        self.digests[key] = hashlib.md5(body).hexdigest()

    def reconnect(self):
        """A connection on which nothing was said for a while may be closed by now."""
        self.s3.close()
        return self.s3

    def rules(self, actions):
        rule = f"<Rule><ID>age</ID><Filter/><Status>Enabled</Status>{actions}</Rule>"
        document = f"<LifecycleConfiguration>{rule}</LifecycleConfiguration>".encode()
        sum_of = base64.b64encode(zlib.crc32(document).to_bytes(4, "big")).decode()
        headers = {"x-amz-checksum-crc32": sum_of}
        answer = self.reconnect().send("PUT", f"/{BUCKET}", [("lifecycle", "")], document, headers)
        if not answer.ok:
            raise Failed(f"the rules were refused: {answer.body[:200]}")

    def stored(self):
        """Bytes of contents, and bytes stored for each."""
        space = json.loads(self.cluster.admin("df", "--json"))
        stored = sum(volume["used_bytes"] for _, volume in space["volumes"])
        contents = space["content_bytes"]
        return contents, stored, stored / contents if contents else 0.0

    def until_all_are(self, name):
        def moved():
            status = json.loads(self.cluster.admin("lifecycle", "status", "--json"))
            done = sum(progress["moved"] for _, progress in status["buckets"])
            return done >= self.moved + len(self.keys) and status["moves_waiting"] == 0

        until(f"every object to be in {name}", self.options.timeout, moved)
        self.moved += len(self.keys)

    def until_stored(self, what, check):
        try:
            return until(what, self.options.timeout, lambda: (found := self.stored()) and check(found) and found)
        except Failed as failed:
            raise Failed(f"{failed}: {self.stored()}\n{self.cluster.admin('class')}") from None

    def check_all(self, notes):
        s3 = self.reconnect()
        for key in self.keys:
            answer = s3.get(BUCKET, key)
            if not answer.ok or hashlib.md5(answer.body).hexdigest() != self.digests[key]:
                notes.append(f"{key}: {answer.status}, or other bytes")

    def restore(self, notes):
        """Brings everything back from the archive and compares it."""
        body = b"<RestoreRequest><Days>3650</Days><GlacierJobParameters><Tier>Expedited</Tier></GlacierJobParameters></RestoreRequest>"
        s3 = self.reconnect()
        for key in self.keys:
            answer = s3.send("POST", f"/{BUCKET}/{key}", [("restore", "")], body)
            if answer.status not in (200, 202):
                notes.append(f"restoring {key}: {answer.status} {answer.body[:200]}")
        until("the last object to be restored", self.options.timeout, lambda: self.s3.get(BUCKET, self.keys[-1]).ok)
        self.check_all(notes)

    moved = 0


def transition(name):
    return f"<Transition><Days>1</Days><StorageClass>{name}</StorageClass></Transition>"


def run(options):
    notes, began = [], time.monotonic()
    os.environ["GRANARY_LIFECYCLE_DAY_SECONDS"] = str(options.day_seconds)
    flags = ["--coding-settle-s", "1", "--coding-patience-s", "10"]
    with Cluster(1, options.datanodes, 1, 1, flags=flags) as cluster:
        ageing = Ageing(cluster, options)
        ageing.s3.create_bucket(BUCKET)
        ageing.write()
        stage = {"written": ageing.stored()}
        readers = [Reader(ageing, number) for number in range(READERS)]
        [reader.start() for reader in readers]
        try:
            ageing.rules(transition("STANDARD_IA"))
            ageing.until_all_are("STANDARD_IA")
            stage["infrequent"] = ageing.until_stored("coded groups", lambda found: found[2] <= CODED_MAX)
            ageing.check_all(notes)
            ageing.allowed = ("InvalidObjectState",)
            ageing.rules(transition("GLACIER"))
            ageing.until_all_are("GLACIER")
            stage["archived"] = ageing.until_stored("coded groups", lambda found: found[2] <= CODED_MAX)
            ageing.restore(notes)
            ageing.allowed = ("InvalidObjectState", "NoSuchKey")
            ageing.rules("<Expiration><Days>1</Days></Expiration>")
            stage["expired"] = ageing.until_stored("space to come back", lambda found: found[0] == 0)
            # Packed blocks that are open hold some dead records until they are sealed.
            stage["empty"] = ageing.until_stored("the disks to be empty", lambda found: found[1] <= stage["written"][1] // 100)
        finally:
            ageing.stop.set()
            [reader.join() for reader in readers]
        notes += [complaint for reader in readers for complaint in reader.complaints]
        if stage["written"][2] > WHOLE_MAX:
            notes.append(f"{stage['written'][2]:.2f} bytes stored for a byte in STANDARD")
        ratios = " ".join(f"{name}={found[2]:.2f}" for name, found in stage.items())
        print(
            f"ageing objects={len(ageing.keys)} mebibytes={stage['written'][0] >> 20} {ratios} left_kib={stage['empty'][1] >> 10} "
            f"reads={sum(reader.reads for reader in readers)} refused_as_archived={sum(reader.refused for reader in readers)} "
            f"errors={len(notes)} seconds={time.monotonic() - began:.0f}"
        )
    return notes
