"""All namenodes are replaced one by one, then every datanode is drained in turn, under load: no errors beyond retries."""

import time

from load import Load
from store import Cluster, until


def arguments(parser):
    parser.add_argument("--seconds", type=float, default=3.0, help="load before the first change and between changes")
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--no-drain", action="store_true", help="replace namenodes alone")


def run(options):
    began, notes = time.monotonic(), []
    with Cluster(3, 5, 2, 2) as cluster:
        load = Load(cluster, options.writers, options.seed, retries=8).start()
        replaced = drained = 0
        for old in cluster.names("namenode"):
            time.sleep(options.seconds)
            cluster.local("replace", old)
            replaced += 1
        names = {peer["name"] for peer in cluster.status()["peers"]}
        if names != set(cluster.names("namenode")):
            notes.append(f"the peers are {sorted(names)}")
        for name in [] if options.no_drain else cluster.names("datanode"):
            time.sleep(options.seconds)
            cluster.admin("datanode", "decommission", name)
            until(f"{name} to be empty", 900, lambda: left(cluster, name) == 0)
            cluster.local("stop", name)
            time.sleep(options.seconds)
            cluster.local("start", name)
            cluster.admin("datanode", "recommission", name)
            until("everything to be redundant", 900, lambda: cluster.is_healthy(5))
            drained += 1
        load.stop()
        # Every process learned of the new namenodes by itself; a restart of one must find them too.
        for name in cluster.names("gateway", "datanode")[:3]:
            cluster.local("kill", name)
            cluster.local("start", name)
        until("everything to be redundant", 600, lambda: cluster.is_healthy(5))
        verdict = load.verify()
        figures = load.figures
        if figures.unknown:
            notes.append(f"{figures.unknown} requests failed although they were retried as SDKs do")
        print(
            f"replace namenodes={replaced} datanodes={drained} requests={figures.requests} "
            f"acknowledged={figures.acknowledged} retried={figures.retried} errors={figures.unknown} {verdict.line()} "
            f"seconds={time.monotonic() - began:.0f}"
        )
    return notes + verdict.notes


def left(cluster, name):
    node = next(node for node in cluster.status()["datanodes"] if node["name"] == name)
    return node["blocks_left"]
