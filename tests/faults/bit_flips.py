"""Bits are flipped in the files of one datanode and one namenode: each is noticed, healed, and readable from the healed copy."""

import hashlib
import http.client
import json
import pathlib
import random
import re
import subprocess
import time

from load import BUCKET, content, read
from store import Cluster, Failed, binary, until

MIB = 1 << 20


def arguments(parser):
    parser.add_argument("--flips", type=int, default=500, help="in data, checksums and metadata together")
    parser.add_argument("--metadata-share", type=float, default=0.2, help="part of them that hits the namenode")
    parser.add_argument("--objects", type=int, default=24, help="objects of 9 MiB, each a block; small ones come beside them")


def run(options):
    began, notes, dice = time.monotonic(), [], random.Random(options.seed)
    with Cluster(3, 3, 1, 1) as cluster:
        victim = "datanode-1"
        # The scrubber goes round all the time, at the speed of the disk.
        cluster.local("stop", victim)
        cluster.set(victim, "datanode", "scrub_bytes_per_second", 256 * MIB)
        cluster.set(victim, "datanode", "scrub_interval_ms", 1000)
        cluster.local("start", victim)
        until("three datanodes", 240, lambda: cluster.is_healthy(3))
        digests = fill(cluster, options.objects)
        metadata = int(options.flips * options.metadata_share)
        data = data_flips(cluster, victim, options.flips - metadata, options.objects, dice, notes)
        known = metadata_flips(cluster, metadata, dice, notes)
        alone = from_healed_copies(cluster, victim, digests, notes)
        print(
            f"bit-flips data={data['flips']} noticed={data['noticed']} moved_meanwhile={data['replaced']} "
            f"healed={data['healed']} metadata={known['flips']} noticed={known['noticed']} "
            f"without_meaning={known['harmless']} unnoticed={data['unnoticed'] + known['unnoticed']} "
            f"read_from_healed_copies={alone} seconds={time.monotonic() - began:.0f}"
        )
    return notes


def fill(cluster, objects):
    s3, digests = cluster.client(), {}
    s3.create_bucket(BUCKET)
    for number in range(objects):
        for name, size in ((f"large/{number}", 9 * MIB), (f"small/{number}", 40_000)):
            body = content(name, size)
            answer = s3.put(BUCKET, name, body)
            assert answer.ok, answer.body
            digests[name] = hashlib.md5(body).hexdigest()
    s3.close()
    return digests


def replicas(cluster, name):
    """Finalized replicas: data files with their checksum files."""
    root = pathlib.Path(cluster.node(name)["data"])
    return [path for path in root.glob("finalized/*/blk_*") if path.suffix in (".o", ".p")]


def flip(path, dice, first=0):
    """One bit of a file, anywhere from byte `first` on; where it was."""
    size = path.stat().st_size
    at, bit = dice.randrange(first, size), dice.randrange(8)
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))
    return at, bit


def corrupt_count(cluster, name):
    host = cluster.node(name)["http"]
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return int(re.search(r"^granary_datanode_replicas_corrupt_total (\d+)", text, re.M).group(1))


def data_flips(cluster, victim, flips, objects, dice, notes):
    """In rounds: some replicas get a flip each, in their bytes or in their checksums; all must be noticed and healed."""
    figures = dict(flips=0, noticed=0, replaced=0, unnoticed=0, healed=0)
    while figures["flips"] < flips:
        there = replicas(cluster, victim)
        if len(there) < 4:
            until("replicas to come back", 600, lambda: len(replicas(cluster, victim)) >= 4)
            continue
        chosen = {}
        before = corrupt_count(cluster, victim)
        for path in dice.sample(there, min(len(there), flips - figures["flips"], 24)):
            # A bit of the data, or of the sums behind the 16 bytes of their header.
            sums = dice.random() < 0.25
            target = path.with_name(path.name + ".crc") if sums else path
            try:
                chosen[path] = path.stat().st_ino
                flip(target, dice, 16 if sums else 0)
            except FileNotFoundError:
                chosen.pop(path, None)
        # Reads find some of it before the scrubber comes by.
        for number in dice.sample(range(objects), min(4, objects)):
            cluster.admin("blocks", f"s3://{BUCKET}/large/{number}", "--json")
        remaining = lambda: [path for path, inode in chosen.items() if same_file(path, inode)]
        try:
            until("the damage to be noticed", 300, lambda: not remaining())
        except Failed:
            notes += [f"not noticed: {path.name}" for path in remaining()]
            figures["unnoticed"] += len(remaining())
        noticed = corrupt_count(cluster, victim) - before
        figures["flips"] += len(chosen)
        figures["noticed"] += noticed
        # The ledger may have moved a replica elsewhere in the same moment; its flip went with it.
        figures["replaced"] += len(chosen) - noticed - len(remaining())
        until("the replicas to be rebuilt", 600, lambda: cluster.is_healthy(3))
        figures["healed"] += noticed
    return figures


def same_file(path, inode):
    try:
        return path.stat().st_ino == inode
    except FileNotFoundError:
        return False


def metadata_flips(cluster, flips, dice, notes):
    """In the files of a namenode that is stopped: its start or a reading of all checksums must notice each, unless the same
    rows come out, because the bit lies in space that is not in use."""
    figures = dict(flips=0, noticed=0, harmless=0, unnoticed=0)
    leader = cluster.leader()
    name = next(other for other in cluster.names("namenode") if other != leader)
    cluster.local("stop", name)
    root = pathlib.Path(cluster.node(name)["data"])
    config = str(cluster.directory / name / "config.toml")

    def verify():
        words = [binary(), "admin", "metadata", "verify", "--config", config]
        return subprocess.run(words, capture_output=True, text=True, timeout=600)

    # Opening an engine may tidy its files: damage is compared with files that were opened before.
    verify()
    reference = verify()
    if reference.returncode != 0:
        notes.append(f"an undamaged namenode does not verify: {reference.stderr}")
        return figures
    for _ in range(flips):
        files = [path for path in root.rglob("*") if path.is_file() and path.stat().st_size > 0]
        saved = {path: path.read_bytes() for path in files}
        path = dice.choice(files)
        where = flip(path, dice)
        found = verify()
        figures["flips"] += 1
        if found.returncode != 0:
            figures["noticed"] += 1
        elif found.stdout == reference.stdout:
            figures["harmless"] += 1
        else:
            figures["unnoticed"] += 1
            notes.append(f"{path.relative_to(root)}, bit {where}: other rows, and no complaint")
        for other in root.rglob("*"):
            if other.is_file() and other not in saved:
                other.unlink()
        for other, content_before in saved.items():
            other.parent.mkdir(parents=True, exist_ok=True)
            other.write_bytes(content_before)
    # The last damage stays: the namenode is replaced, and the new one holds what the others hold.
    segment = max((root / "raft").glob("*.seg"), key=lambda path: path.name)
    with segment.open("r+b") as file:
        file.seek(80)
        file.write(b"\xff" * 8)
    refused = verify().returncode != 0
    if not refused:
        notes.append("a damaged log was not noticed")
    cluster.local("replace", name)
    return figures


def from_healed_copies(cluster, victim, digests, notes):
    """With every other datanode that is not needed stopped, what is read comes from copies that were healed."""
    others = [name for name in cluster.names("datanode") if name != victim]
    held = {path.name.split("_")[1] for path in replicas(cluster, victim)}
    wanted = []
    for name in digests:
        blocks = json.loads(cluster.admin("blocks", f"s3://{BUCKET}/{name}", "--json"))["blocks"]
        if all(str(block["block"]) in held for block in blocks):
            wanted.append(name)
    for other in others:
        cluster.local("stop", other)
    s3, good = cluster.client(), 0
    for name in wanted:
        found = read(s3, BUCKET, name)
        if found == digests[name]:
            good += 1
        else:
            notes.append(f"{name} is not what was written, read from {victim} alone")
    s3.close()
    for other in others:
        cluster.local("start", other)
    return good
