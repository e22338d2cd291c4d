"""Power cuts: file systems are shut down under load, in random order, then mounted again: nothing acknowledged is lost."""

import random
import shutil
import signal
import tempfile
import threading
import time
import pathlib
import os

from load import Load
from store import Cluster, Server, until
from volumes import Image, require

# An xfs has at least 300 MB.
IMAGE_MIB = 640


def arguments(parser):
    parser.add_argument("--cycles", type=int, default=20, help="cuts for each combination")
    parser.add_argument("--kinds", default="ext4,xfs", help="file systems")
    parser.add_argument("--stores", default="server,cluster", help="one process, three namenodes with four datanodes, or both")
    parser.add_argument("--writers", type=int, default=4)


def run(options):
    require("mkfs.ext4", "mkfs.xfs", "xfs_io", "losetup", "mount")
    notes = []
    for kind in options.kinds.split(","):
        for store in options.stores.split(","):
            notes += {"server": server, "cluster": cluster}[store](options, kind)
    return notes


def cut_all(dice, images):
    """In random order, some at once and some a little later."""
    order = images[:]
    dice.shuffle(order)
    for image in order:
        image.cut()
        time.sleep(dice.choice([0, 0, dice.uniform(0, 0.2)]))


def report(kind, store, cycle, load, verdict, began):
    print(
        f"power-cut file_system={kind} store={store} cycles={cycle} requests={load.figures.requests} "
        f"acknowledged={load.figures.acknowledged} unknown={load.figures.unknown} {verdict.line()} "
        f"seconds={time.monotonic() - began:.0f}"
    )
    return verdict.notes


def cycles(options, kind, name, store, images, start, end, dice, began):
    """Cuts under load again and again; `end` kills every process and ends the load."""
    start()
    load = Load(store, options.writers, options.seed, large=False, timeout=10.0)
    for cycle in range(1, options.cycles + 1):
        load.resume() if cycle > 1 else load.start()
        time.sleep(dice.uniform(0.5, 2))
        cut_all(dice, images)
        time.sleep(dice.uniform(0, 0.3))
        end(load)
        for image in images:
            image.unmount()
            image.mount()
        start()
        verdict = load.verify()
        if not verdict.good:
            break
    return report(kind, name, cycle, load, verdict, began)


def server(options, kind):
    dice, began = random.Random(options.seed), time.monotonic()
    place = pathlib.Path(tempfile.mkdtemp(prefix="granary-faults-"))
    images = [Image(kind, place / f"disk-{number}", IMAGE_MIB) for number in (1, 2)]
    store = Server([image.at / "data" for image in images])

    def end(load):
        ending = threading.Thread(target=load.stop_event.set)
        ending.start()
        store.end(signal.SIGKILL)
        load.stop()

    try:
        return cycles(options, kind, "server", store, images, store.start, end, dice, began)
    finally:
        store.end()
        store.log_path.unlink(missing_ok=True)
        for image in images:
            image.remove()
        shutil.rmtree(place, ignore_errors=True)


def cluster(options, kind):
    dice, began = random.Random(options.seed), time.monotonic()
    place = pathlib.Path(tempfile.mkdtemp(prefix="granary-faults-"))
    store = Cluster(3, 4, 1, 2, directory=place, start=False)
    nodes = [f"namenode-{n}" for n in (1, 2, 3)] + [f"datanode-{n}" for n in (1, 2, 3, 4)]
    images = []

    def end(load):
        load.stop_event.set()
        pids = [store.pid(name) for name in nodes + store.names("gateway")]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        load.stop()
        until("every process to be gone", 120, lambda: not any(pathlib.Path(f"/proc/{pid}/fd").exists() and alive(pid) for pid in pids))

    try:
        images += [Image(kind, place / name / "data", IMAGE_MIB) for name in nodes]
        return cycles(options, kind, "cluster", store, images, store.up, end, dice, began)
    finally:
        store.local("down")
        for image in images:
            image.remove()
        shutil.rmtree(place, ignore_errors=True)


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False
