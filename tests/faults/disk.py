"""Disks that are full, fail a sync, fail reads or crawl: the store goes on, says so, and recovers without a restart."""

import hashlib
import os
import pathlib
import shutil
import statistics
import tempfile
import time

from load import BUCKET, Load, content, read, retried
from store import Cluster, until
from volumes import Image, Tmpfs, require, sh

MIB = 1 << 20
# Bytes per second of the slow disk.
SLOW = 2 * MIB
THROTTLE = pathlib.Path("/sys/fs/cgroup/blkio")


def arguments(parser):
    parser.add_argument("--cases", default="full,sync,read,slow")
    parser.add_argument("--seconds", type=float, default=10.0, help="load in each case")


def run(options):
    require("mkfs.ext4", "mkfs.xfs", "xfs_io", "losetup", "mount")
    notes = []
    for case in options.cases.split(","):
        notes += {"full": full, "sync": sync, "read": read_errors, "slow": slow}[case](options)
    return notes


class Place:
    """A cluster whose datanodes' directories are mounts."""

    def __init__(self, datanodes):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="granary-faults-"))
        self.mounts = []
        self.cluster = Cluster(1, datanodes, 1, 2, directory=self.path, start=False)

    def data(self, number):
        return self.path / f"datanode-{number}" / "data"

    def remove(self):
        try:
            self.cluster.local("down")
        finally:
            for mount in reversed(self.mounts):
                mount.remove()
            if not os.environ.get("GRANARY_KEEP"):
                shutil.rmtree(self.path, ignore_errors=True)


def volume(cluster, number):
    node = next(node for node in cluster.status()["datanodes"] if node["name"] == f"datanode-{number}")
    return node["volumes"][0]


def pids(cluster):
    return [cluster.pid(name) for name in cluster.names("datanode")]


def full(options):
    """Every disk fills up: writes are refused cleanly, reads and deletes go on, and room that is made is used again."""
    notes, place, began = [], Place(3), time.monotonic()
    try:
        place.mounts += [Tmpfs(place.data(number), 240) for number in (1, 2, 3)]
        cluster = place.cluster
        cluster.up()
        before = pids(cluster)
        s3 = cluster.client(300.0)
        s3.create_bucket(BUCKET)
        written, refused = {}, 0
        for number in range(200):
            body = content(f"fill/{number}", 6 * MIB + number)
            answer = s3.put(BUCKET, f"fill/{number}", body)
            if answer.ok:
                written[f"fill/{number}"] = hashlib.md5(body).hexdigest()
            elif answer.status == 503:
                refused += 1
                if refused == 3:
                    break
            else:
                notes.append(f"a full disk answers {answer.status} {answer.body[:100]}")
        if not refused:
            notes.append("the disks did not fill")
        wrong = [name for name, digest in written.items() if read(s3, BUCKET, name) != digest]
        notes += [f"lost while full: {name}" for name in wrong]
        half = list(written)[::2] + list(written)[1::4]
        for name in half:
            if not s3.delete(BUCKET, name).ok:
                notes.append(f"{name} cannot be deleted on a full disk")
            written.pop(name)
        again = content("again", 6 * MIB)
        made = time.monotonic()
        until("room to be used again", 600, lambda: s3.put(BUCKET, "again", again).ok)
        room = time.monotonic() - made
        notes += [f"lost after: {name}" for name, digest in written.items() if read(s3, BUCKET, name) != digest]
        if pids(cluster) != before:
            notes.append("a process did not live through it")
        print(
            f"disk case=full written={len(written) + len(half)} refused_503={refused} read_while_full={len(written) + len(half) - len(wrong)} "
            f"deleted={len(half)} writes_again_after_seconds={room:.1f} wrong={len(notes)} seconds={time.monotonic() - began:.0f}"
        )
        return notes
    finally:
        place.remove()


def lived_through(case, cluster, before, load, verdict, failed, began):
    """Prints what became of a load during which one disk of four failed; what is wrong with it."""
    notes = []
    if pids(cluster) != before:
        notes.append("a process did not live through it")
    if load.figures.unknown:
        notes.append(f"{load.figures.unknown} requests failed although three disks are good")
    print(
        f"disk case={case} acknowledged={load.figures.acknowledged} errors={load.figures.unknown} {verdict.line()} "
        f"said={failed[:60]!r} seconds={time.monotonic() - began:.0f}"
    )
    return notes + verdict.notes


def sync(options):
    """One disk takes writes and cannot bring them to stable storage: a sparse file on a full tmpfs."""
    place, began = Place(4), time.monotonic()
    try:
        small = Tmpfs(place.path / "small", 120)
        place.mounts.append(small)
        place.mounts.append(Image("ext4", place.data(1), 1024, backing=small.at))
        cluster = place.cluster
        cluster.up()
        before = pids(cluster)
        load = Load(cluster, 3, options.seed).start()
        failed = until("the volume to be out of service", 3000, lambda: volume(cluster, 1)["failed"])
        time.sleep(options.seconds)
        load.stop()
        until("redundancy without that disk", 600, cluster.is_healthy)
        verdict = load.verify()
        return lived_through("sync", cluster, before, load, verdict, failed, began)
    finally:
        place.remove()


def read_errors(options):
    """Everything on one disk answers EIO, from one moment on."""
    place, began = Place(4), time.monotonic()
    try:
        image = Image("xfs", place.data(1), 1024)
        place.mounts.append(image)
        cluster = place.cluster
        cluster.up()
        before = pids(cluster)
        load = Load(cluster, 3, options.seed).start()
        time.sleep(options.seconds)
        image.cut()
        time.sleep(options.seconds)
        load.stop()
        verdict = load.verify()
        failed = until("the volume to be out of service", 60, lambda: volume(cluster, 1)["failed"])
        until("redundancy without that disk", 600, cluster.is_healthy)
        return lived_through("read", cluster, before, load, verdict, failed, began)
    finally:
        place.remove()


def median_ms(latencies):
    return statistics.median(seconds for _, seconds in latencies) * 1000 if latencies else float("nan")


def slow(options):
    """One disk gives 2 MiB a second: it is noticed, writers leave it, and the store is as fast as without it."""
    if not (THROTTLE / "blkio.throttle.write_bps_device").exists():
        print("disk case=slow skipped: no blkio throttle on this machine")
        return []
    notes, place, began = [], Place(4), time.monotonic()
    device = None
    try:
        image = Image("ext4", place.data(1), 1024)
        place.mounts.append(image)
        cluster = place.cluster
        cluster.up()
        load = Load(cluster, 3, options.seed).start()
        time.sleep(options.seconds)
        number = os.stat(image.device).st_rdev
        device = f"{os.major(number)}:{os.minor(number)}"
        throttle(device, SLOW)
        throttled = time.monotonic()
        noticed = until("the slow disk to be noticed", 300, lambda: volume(cluster, 1)["slow_ms"])
        took = time.monotonic() - throttled
        time.sleep(options.seconds)
        settled = time.monotonic()
        replicas = volume(cluster, 1)["replicas"]
        time.sleep(2 * options.seconds)
        grown = volume(cluster, 1)["replicas"] - replicas
        load.stop()
        throttle(device, 0)
        figures = load.figures
        before = [entry for entry in figures.latencies if entry[0] < throttled]
        after = [entry for entry in figures.latencies if entry[0] > settled]
        verdict = load.verify()
        if figures.unknown:
            notes.append(f"{figures.unknown} requests failed")
        if median_ms(after) > 5 * median_ms(before):
            notes.append(f"writes took {median_ms(before):.0f} ms before and {median_ms(after):.0f} ms with the slow disk")
        print(
            f"disk case=slow noticed_after_seconds={took:.1f} slow_ms={noticed} median_before_ms={median_ms(before):.0f} "
            f"median_with_it_ms={median_ms(after):.0f} replicas_taken={grown} errors={figures.unknown} {verdict.line()} "
            f"seconds={time.monotonic() - began:.0f}"
        )
        return notes + verdict.notes
    finally:
        if device:
            throttle(device, 0)
        place.remove()


def throttle(device, bytes_per_second):
    for what in ("read", "write"):
        (THROTTLE / f"blkio.throttle.{what}_bps_device").write_text(f"{device} {bytes_per_second}\n")
