"""kill -9 of random processes of a cluster under load: nothing acknowledged is lost or torn, nothing deleted comes back."""

import random
import time

from load import Load
from store import Cluster, until


def arguments(parser):
    parser.add_argument("--cycles", type=int, default=100, help="rounds of killing and starting again")
    parser.add_argument("--namenodes", type=int, default=3)
    parser.add_argument("--datanodes", type=int, default=4)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--verify-every", type=int, default=20, help="cycles between two readings of everything")


def run(options):
    dice = random.Random(options.seed)
    began, kills, objects = time.monotonic(), 0, 0
    with Cluster(options.namenodes, options.datanodes) as cluster:
        load = Load(cluster, options.writers, options.seed).start()
        for cycle in range(1, options.cycles + 1):
            time.sleep(dice.uniform(0.2, 1.5))
            # One of each role at most: a quorum of namenodes and a replica of every block stay reachable.
            roles = dice.sample(["namenode", "datanode", "gateway"], dice.choice([1, 1, 1, 2]))
            victims = [dice.choice(cluster.names(role)) for role in roles]
            for victim in victims:
                cluster.local("kill", victim)
                kills += 1
            time.sleep(dice.choice([0, 0, dice.uniform(0, 3)]))
            for victim in victims:
                cluster.local("start", victim)
            if cycle % options.verify_every == 0 or cycle == options.cycles:
                load.stop()
                until("everything to be redundant", 600, lambda: cluster.is_healthy(options.datanodes))
                verdict = load.verify()
                if not verdict.good or cycle == options.cycles:
                    break
                load.resume()
        figures = load.figures
        print(
            f"kill cycles={cycle} kills={kills} requests={figures.requests} acknowledged={figures.acknowledged} "
            f"unknown={figures.unknown} {verdict.line()} seconds={time.monotonic() - began:.0f}"
        )
    return verdict.notes
