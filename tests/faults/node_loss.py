"""A datanode is lost under load: what clients notice, how long redundancy takes, and whether "healthy" can be believed."""

import random
import time

from load import BUCKET, Load
from store import Cluster, until


def arguments(parser):
    parser.add_argument("--mebibytes", type=int, default=512, help="data written before the loss")
    parser.add_argument("--seconds", type=int, default=20, help="load before the loss")
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--repair-timeout", type=int, default=600)


def percentile(latencies, share):
    ordered = sorted(seconds for _, seconds in latencies)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def is_dead(cluster, name):
    return any(node["name"] == name and not node["live"] for node in cluster.status()["datanodes"])


def run(options):
    notes = []
    dice = random.Random(options.seed)
    with Cluster(3, 5, 2, 2) as cluster:
        load = Load(cluster, options.writers, options.seed)
        s3 = cluster.client()
        for number in range(options.mebibytes // 16):
            answer = s3.put(BUCKET, f"ballast/{number}", dice.randbytes(16 << 20))
            assert answer.ok, answer.body
        load.start()
        time.sleep(options.seconds)
        status = cluster.status()
        victim = dice.choice(cluster.names("datanode"))
        lost = next(node for node in status["datanodes"] if node["name"] == victim)
        lost_replicas = sum(volume["replicas"] for volume in lost["volumes"])
        lost_bytes = sum(volume["used_bytes"] for volume in lost["volumes"])
        cluster.local("kill", victim)
        killed = time.monotonic()
        until("the loss to be noticed", 60, lambda: is_dead(cluster, victim))
        noticed = time.monotonic()
        # From here on the ledger knows; it must not call anything redundant that stands on the lost node.
        if lost_replicas and cluster.is_healthy():
            notes.append(f"healthy {time.monotonic() - noticed:.1f} s after the loss of {lost_replicas} replicas was noticed")
        until("full redundancy", options.repair_timeout, lambda: cluster.is_healthy())
        healthy = time.monotonic()
        load.stop()
        figures = load.figures
        before = [entry for entry in figures.latencies if entry[0] < killed]
        during = [entry for entry in figures.latencies if killed + 1 < entry[0] < healthy]
        failures = [(start, end) for start, end in figures.failures if end > killed]
        failing = max((end - killed for _, end in failures), default=0.0)
        p_before, p_during = percentile(before, 0.99), percentile(during, 0.99)

        # What "healthy" has promised: the other old holders may go too, one by one, each after the ledger says so again.
        stopped = [victim]
        for name in cluster.names("datanode"):
            if name in stopped or len(stopped) == 2:
                continue
            cluster.local("kill", name)
            stopped.append(name)
            verdict = load.verify()
            if not verdict.good:
                notes.append(f"after {name} went too: {verdict.line()}")
            until("redundancy on what is left", options.repair_timeout, lambda: cluster.is_healthy())
        verdict = load.verify()
        notes += verdict.notes
        for number in range(options.mebibytes // 16):
            answer = s3.get(BUCKET, f"ballast/{number}")
            if not answer.ok or len(answer.body) != 16 << 20:
                notes.append(f"lost: ballast/{number}: {answer.status}")
        if failing > 5:
            notes.append(f"clients saw errors for {failing:.1f} s")
        if p_during > 3 * p_before:
            notes.append(f"p99 went from {p_before * 1000:.0f} to {p_during * 1000:.0f} ms")
        seconds = healthy - killed
        print(
            f"node-loss errors={len(failures)} errors_seconds={failing:.1f} noticed_seconds={noticed - killed:.1f} "
            f"p99_before_ms={p_before * 1000:.0f} p99_repairing_ms={p_during * 1000:.0f} "
            f"redundant_seconds={seconds:.1f} repaired_mib={lost_bytes / 2**20:.0f} "
            f"mib_per_second={lost_bytes / 2**20 / max(healthy - noticed, 0.1):.1f} {verdict.line()}"
        )
    return notes
