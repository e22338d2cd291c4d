"""A sort much larger than memory stays within its budget, and its output is in order."""

import os
import threading
import time

from store import Failed, Server
from work import Jobs, asking, keys, open_folder, seconds_since

RECORD_BYTES = 100
SAMPLE_S = 0.05


def arguments(parser):
    parser.add_argument("--mib", type=int, default=8192, help="what is sorted")
    parser.add_argument("--budget-mib", type=int, default=1024, help="memory of the whole server at most")
    parser.add_argument("--buffer-mib", type=int, default=256, help="for the records of a task")
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--reduces", type=int, default=4)


class Memory:
    """The most memory the server and what it starts have had together."""

    def __init__(self, pid):
        self.pid, self.peak, self.over = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def watch(self):
        while not self.over.wait(SAMPLE_S):
            self.peak = max(self.peak, sum(resident(pid) for pid in [self.pid, *children(self.pid)]))

    def most(self):
        """Of the server alone the kernel kept the peak."""
        return max(self.peak, field(self.pid, "VmHWM"))


def field(pid, name):
    try:
        with open(f"/proc/{pid}/status") as file:
            return next((int(line.split()[1]) << 10 for line in file if line.startswith(f"{name}:")), 0)
    except OSError:
        return 0


def resident(pid):
    # Pages of files can be dropped at any time: they are no memory of the program's.
    return field(pid, "RssAnon") + field(pid, "RssShmem")


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += [int(word) for word in file.read().split()]
        except OSError:
            continue
    return found + [grandchild for child in found if os.path.exists(f"/proc/{child}/task") for grandchild in children(child)]


def run(options):
    rows, complaints = (options.mib << 20) // RECORD_BYTES, []
    resources = {"buffer_bytes": options.buffer_mib << 20}
    with open_folder() as folder, Server([folder / "data"], slots=options.slots) as server:
        jobs, s3 = Jobs(server), server.client()
        s3.create_bucket("tera")

        def job(program, output, inputs=(), **more):
            specification = {"inputs": [f"s3://tera/{name}" for name in inputs], "output": f"s3://tera/{output}"}
            specification |= {"program": program, "resources": resources} | more
            began = time.monotonic()
            status = jobs.wait(jobs.post(specification), 6 * 3600)
            if status["state"] != "SUCCEEDED":
                raise Failed(f"{output}: {status['state']} {status['reason']}")
            return status, seconds_since(began)

        job({"teragen": rows}, "generated")
        with Memory(server.process.pid) as memory:
            sorted_status, seconds = job("terasort", "sorted", ["generated"], reduces=options.reduces)
            peak = memory.most()
        job("teravalidate", "verdict", ["sorted"])
        verdict = b"".join(asking(s3, lambda one, key=key: one.get("tera", key)).body for key in keys(s3, "tera", "verdict/part-"))
        if b"error" in verdict.lower() or b"checksum" not in verdict:
            complaints.append(f"not in order: {verdict[:300]}")
        counters = sorted_status["counters"]["Map-Reduce Framework"]
        if counters["REDUCE_OUTPUT_RECORDS"] != rows:
            complaints.append(f"{counters['REDUCE_OUTPUT_RECORDS']} records of {rows}")
        budget = options.budget_mib << 20
        if peak > budget:
            complaints.append(f"{peak >> 20} MiB of memory for a budget of {options.budget_mib}")
    print(
        f"sort mib={options.mib} buffer={options.buffer_mib} MiB peak={peak >> 20} MiB budget={options.budget_mib} MiB "
        f"spilled_records={counters['SPILLED_RECORDS']} seconds={seconds:.1f}"
    )
    return complaints
