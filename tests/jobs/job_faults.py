"""kill -9 of tasks, task runners and leading namenodes under jobs: the right output once, or a clean failure; nothing stays."""

import collections
import contextlib
import os
import pathlib
import signal
import tempfile
import time

from store import Cluster, Failed, until
from work import (
    Jobs, counted, counted_in, dice_of, ended, keys, left_in, parts, processes, put, quoted, scratch_of, seconds_since,
    text, uploads,
)  # fmt: skip

TEXTS = 6
REDUCER = "{ n[$1] += $2 } END { for (w in n) print w \"\\t\" n[w] }\n"
STRAGGLER_TASKS = 8


def arguments(parser):
    parser.add_argument("--jobs", type=int, default=30)
    parser.add_argument("--namenodes", type=int, default=3)
    parser.add_argument("--datanodes", type=int, default=4)
    parser.add_argument("--slots", type=int, default=2, help="of each datanode")
    parser.add_argument("--task-seconds", type=float, default=1.0, help="what a map takes at most")
    parser.add_argument("--lines", type=int, default=400, help="of each of six texts")


class Run:
    """One cluster and its jobs."""

    def __init__(self, options, cluster, folder):
        self.options, self.cluster, self.dice = options, cluster, dice_of(options.seed)
        self.jobs, self.s3 = Jobs(cluster), cluster.client()
        self.kills, self.outcomes, self.complaints = collections.Counter(), collections.Counter(), []
        self.reducer = folder / "reduce.awk"
        self.reducer.write_text(REDUCER)
        until("buckets", 120, lambda: [self.s3.create_bucket(bucket) for bucket in ("inp", "outp")])
        self.texts = [text(self.dice, options.lines) for _ in range(TEXTS)]
        for number, body in enumerate(self.texts):
            put(self.s3, "inp", f"text/{number}", body.encode())
        self.expected = counted(self.texts)

    def complain(self, complaint):
        self.complaints.append(complaint)
        print(f"  {complaint}", flush=True)

    def submit(self, number):
        pause = f"{self.options.task_seconds / 1000:.4f} * $(od -An -N2 -tu2 /dev/urandom) % 1000"
        script = f'sleep $(awk "BEGIN {{ print {pause} }}"); : job-{number}; tr -s " " "\\n" | sed "s/$/\\t1/"'
        return self.jobs.submit(
            "-input", "s3://inp/text", "-output", f"s3://outp/{number}", "-mapper", quoted(script),
            "-reducer", "awk -f reduce.awk", "-files", self.reducer, "-numReduceTasks", 3, "--split-bytes", 8000,
        )  # fmt: skip

    def one(self, number):
        """A job with one or two faults in the middle."""
        job = until("a submission", 240, lambda: self.submit(number))
        away = []
        for _ in range(self.dice.choice([1, 1, 2])):
            time.sleep(self.dice.uniform(0, 4 * self.options.task_seconds))
            kind = self.dice.choice(["task", "runner", "leader"])
            with contextlib.suppress(Failed, OSError, StopIteration):
                away += getattr(self, f"kill_{kind}")(number)
                self.kills[kind] += 1
        time.sleep(self.dice.choice([0, 0, self.dice.uniform(0, 5)]))
        for name in away:
            self.cluster.local("start", name)
        status = until(f"{job} to end", 900, lambda: ended(self.jobs.status(job)))
        self.outcomes[status["state"]] += 1
        self.judge(number, status)

    def kill_task(self, number):
        """Any process of any of its programs: a launcher or what it started."""
        found = until("a process of the job", 5, lambda: processes(f"job-{number};"))
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.dice.choice(found), signal.SIGKILL)
        return []

    def kill_runner(self, _):
        """A datanode with the task runner beside it."""
        name = self.dice.choice(self.cluster.names("datanode"))
        self.cluster.local("kill", name)
        return [name]

    def kill_leader(self, _):
        name = until("a leader", 60, self.cluster.leader)
        self.cluster.local("kill", name)
        return [name]

    def judge(self, number, status):
        prefix = f"{number}/"
        found = keys(self.s3, "outp", prefix)
        if status["state"] != "SUCCEEDED":
            if found:
                self.complain(f"{status['job']} {status['state']} and shows {found[:3]}")
            if not status["reason"]:
                self.complain(f"{status['job']} {status['state']} without a reason")
            return
        wanted = {f"{prefix}_SUCCESS"} | {f"{prefix}part-{part:05}" for part in range(3)}
        if set(found) != wanted:
            self.complain(f"{status['job']} shows {found}")
        elif counted_in(parts(self.s3, "outp", prefix)) != self.expected:
            self.complain(f"{status['job']} has another result")

    def failing(self):
        """A mapper that fails: its words are shown, nothing of it stays."""
        status = self.jobs.run(
            "-input", "s3://inp/text/0", "-output", "s3://outp/failing", "-reducer", "NONE",
            "-mapper", quoted("echo one line; echo the-mapper-says-why >&2; exit 3"), "-D", "mapreduce.map.maxattempts=2",
        )  # fmt: skip
        said = [failure["stderr"] for failure in status["failures"]]
        if status["state"] != "FAILED" or not any("the-mapper-says-why" in words for words in said):
            self.complain(f"a failing mapper: {status['state']} {said}")
        if keys(self.s3, "outp", "failing"):
            self.complain("a failing mapper leaves output")

    def straggler(self):
        """One task's first attempt at a quarter of the speed is overtaken, and its output is nobody's."""
        usual = max(1.0, self.options.task_seconds)
        script = (
            f'case $mapreduce_task_attempt_id in *_000000_*000) t={4 * usual};; *_000000_0) t={4 * usual};; *) t={usual};; esac; '
            f'read line; sleep $t; echo "$line by $mapreduce_task_attempt_id"'
        )
        put(self.s3, "inp", "lines", b"".join(b"%015d\n" % line for line in range(STRAGGLER_TASKS)))
        status = self.jobs.run(
            "-input", "s3://inp/lines", "-output", "s3://outp/straggler", "-reducer", "NONE", "--split-bytes", 16,
            "-mapper", quoted(script),
        )  # fmt: skip
        lines = b"".join(parts(self.s3, "outp", "straggler/")).decode().splitlines()
        if status["state"] != "SUCCEEDED" or len(lines) != STRAGGLER_TASKS:
            self.complain(f"the straggler's job: {status['state']} {lines}")
            return 0
        killed = status["counters"]["Job Counters"]["NUM_KILLED_MAPS"]
        slow = next(line for line in lines if line.startswith("0" * 15))
        if killed < 1 or slow.endswith(("_000000_0", "000")):
            self.complain(f"nobody overtook the straggler: {slow}, {killed} killed")
        return killed

    def nothing_left(self):
        if left := uploads(self.s3, "outp"):
            self.complain(f"{left} uploads are left")
        places = [place for node in self.cluster.file()["datanodes"] for place in scratch_of(self.volume(node))]
        until("scratch to be empty", 120, lambda: not left_in(places))

    def volume(self, node):
        lines = (self.cluster.directory / node["name"] / "config.toml").read_text().splitlines()
        return next(line.split('"')[1] for line in lines if line.startswith("path = "))


def run(options):
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="granary-jobs-") as name:
        flags = ("--task-slots", str(options.slots))
        with Cluster(options.namenodes, options.datanodes, 2, 1, flags=flags) as cluster:
            faults = Run(options, cluster, pathlib.Path(name))
            faults.failing()
            overtaken = faults.straggler()
            for number in range(1, options.jobs + 1):
                faults.one(number)
            faults.nothing_left()
    kills = " ".join(f"{kind}={count}" for kind, count in sorted(faults.kills.items()))
    outcomes = " ".join(f"{state.lower()}={count}" for state, count in sorted(faults.outcomes.items()))
    print(
        f"faults jobs={options.jobs} {kills} {outcomes} overtaken={overtaken} complaints={len(faults.complaints)} "
        f"seconds={seconds_since(began):.0f}"
    )
    return faults.complaints
