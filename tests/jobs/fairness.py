"""A user's job of very many tasks delays another user's small one by little more than the time of one task."""

import tempfile

from store import Cluster, until
from work import Jobs, put, quoted

SMALL_TASKS = 10
# What is promised beside the time of one task.
DELAY_S = 2.0


def arguments(parser):
    parser.add_argument("--tasks", type=int, default=10_000, help="tasks of the large job")
    parser.add_argument("--task-seconds", type=float, default=5.0, help="what each task takes")
    parser.add_argument("--datanodes", type=int, default=3)
    parser.add_argument("--slots", type=int, default=4, help="of each datanode")
    parser.add_argument("--rounds", type=int, default=1, help="small jobs, one after the other")


def sleeping(seconds):
    return quoted(f"cat > /dev/null; sleep {seconds}; echo done")


def submit(jobs, bucket, tasks, seconds, output):
    """A job of so many tasks: each reads a line of its own."""
    return jobs.submit(
        "-input", f"s3://{bucket}/lines-{tasks}", "-output", f"s3://{bucket}/{output}", "-mapper", sleeping(seconds),
        "-numReduceTasks", 1, "-reducer", "cat", "--split-bytes", 16,
    )  # fmt: skip


def run(options):
    policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "job:*", "Resource": "*"}]}'
    complaints, seconds = [], options.task_seconds
    with Cluster(1, options.datanodes, 1, 1, flags=("--task-slots", str(options.slots))) as cluster:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(policy)
            file.flush()
            cluster.admin("policy", "put", "native", file.name)
        everybody = {}
        for user in ("ann", "bob"):
            cluster.admin("user", "add", user, "--access-key", f"key_of_{user}", "--secret-key", f"secret-of-{user}")
            cluster.admin("policy", "attach", "native", user)
            everybody[user] = Jobs(cluster, f"key_of_{user}", f"secret-of-{user}")
            s3 = type(cluster.client())(cluster.gateways, f"key_of_{user}", f"secret-of-{user}", 120.0)
            until(f"{user} to be known", 60, lambda s3=s3, user=user: s3.create_bucket(user) is None)
            for tasks in (options.tasks, SMALL_TASKS):
                put(s3, user, f"lines-{tasks}", b"".join(b"%015d\n" % line for line in range(tasks)))
            s3.close()
        ann, bob = everybody["ann"], everybody["bob"]
        alone = response(bob, submit(bob, "bob", SMALL_TASKS, seconds, "alone"))
        large = submit(ann, "ann", options.tasks, seconds, "large")
        # Every slot is taken, and has been for longer than anybody could call a beginning.
        slots = options.datanodes * options.slots
        until("the large job to fill the cluster", 600, lambda: ann.status(large)["maps"]["running"] >= slots)
        until("two rounds of its tasks", 600, lambda: ann.status(large)["maps"]["done"] >= 2 * slots)
        delays = []
        for turn in range(options.rounds):
            beside = response(bob, submit(bob, "bob", SMALL_TASKS, seconds, f"beside-{turn}"))
            delays.append(beside - alone)
        done = ann.status(large)["maps"]["done"]
        if done >= options.tasks:
            complaints.append("the large job had ended: it delayed nobody")
        ann.command("kill", large)
        worst = max(delays)
        if worst >= DELAY_S + seconds:
            complaints.append(f"a small job was delayed by {worst:.1f} s: a task takes {seconds} s")
        print(
            f"fairness tasks={options.tasks} slots={slots} task={seconds} s alone={alone:.2f} s "
            f"delay={worst:.2f} s large_job_done={done}"
        )
    return complaints


def response(jobs, job):
    """Seconds from submission to end, by the store's clock."""
    status = jobs.wait(job)
    if status["state"] != "SUCCEEDED":
        raise RuntimeError(f"{job}: {status['state']} {status['reason']} {status['failures'][:2]}")
    return (status["finished_ms"] - status["submitted_ms"]) / 1000
