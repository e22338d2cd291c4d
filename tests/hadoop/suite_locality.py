"""Spark standalone with three workers named after the datanodes: tasks run where the blocks are, by the event log, before and
after one machine dies. Needs GRANARY (the binary) and JARS.

The machines are addresses of loopback: 127.0.0.2 is the host of datanode-1 and of the first worker, and so on.
"""

import collections
import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path

from pyspark.sql import SparkSession

GRANARY, JARS, FOLDER = os.environ["GRANARY"], os.environ["JARS"], Path(os.environ["FOLDER"])
CLUSTER = FOLDER / "cluster"
HOSTS = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
BLOCKS, BLOCK_BYTES, REPLICAS = 60, 1 << 20, 2
LOCAL_MIN = 0.95
# How long a machine that is busy with other things may take for what takes seconds otherwise.
PATIENCE_S = 300


def granary(*arguments):
    done = subprocess.run([GRANARY, "local", *arguments, "--dir", str(CLUSTER)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


def until(what, condition):
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not after {PATIENCE_S} s"
        time.sleep(0.2)
    return found


def start_cluster():
    """Three datanodes, each on a host of its own; the address of `hdfs://`."""
    granary("up", "--namenodes", "1", "--datanodes", str(len(HOSTS)))
    for number, host in enumerate(HOSTS, 1):
        granary("stop", f"datanode-{number}")
        [configuration] = CLUSTER.glob(f"datanode-{number}/*.toml")
        text, replaced = re.subn(r'(?m)^host = ".*"$', f'host = "{host}"', configuration.read_text())
        assert replaced == 1, configuration
        configuration.write_text(text)
        granary("start", f"datanode-{number}")
    return json.loads((CLUSTER / "cluster.json").read_text())["namenodes"][0]["rpc"]


class Daemon:
    """A master or a worker of Spark."""

    def __init__(self, name, kind, *arguments):
        self.log = FOLDER / f"{name}.log"
        main = f"org.apache.spark.deploy.{kind.lower()}.{kind}"
        home = Path(JARS).parent
        argv = ["bash", str(home / "bin" / "spark-class"), main, *arguments]
        environment = os.environ | {"SPARK_HOME": str(home), "SPARK_DAEMON_MEMORY": "200m"}
        output = self.log.open("w")
        self.process = subprocess.Popen(argv, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=FOLDER)

    def says(self, pattern):
        def found():
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            return re.search(pattern, self.log.read_text())

        return until(f"{self.log.name} says {pattern}", found)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Tasks:
    """Where the tasks of a job ran, read from the event log."""

    def __init__(self, folder):
        self.folder = folder

    def of(self, job):
        stages, tasks = set(), []
        [log] = [path for path in self.folder.iterdir() if not path.name.startswith(".")]
        # The last line may be on its way.
        for line in log.read_text().split("\n")[:-1]:
            event = json.loads(line)
            properties = event.get("Properties") or {}
            if event["Event"] == "SparkListenerJobStart" and properties.get("spark.job.description") == job:
                stages.update(event["Stage IDs"])
            if event["Event"] == "SparkListenerTaskEnd" and event["Stage ID"] in stages:
                tasks.append(event["Task Info"])
        return [task for task in tasks if not task["Failed"] and not task["Killed"]]


def main():
    for host in HOSTS:
        try:
            with socket.socket() as one:
                one.bind((host, 0))
        except OSError:
            print(f"  SKIPPED: THIS MACHINE HAS NO ADDRESS {host}")
            return
    daemons, spark = [], None
    try:
        rpc = start_cluster()
        master = Daemon("master", "Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
        daemons.append(master)
        address = master.says(r"Starting Spark master at (spark://\S+)")[1]
        for number, host in enumerate(HOSTS, 1):
            work = ["--work-dir", str(FOLDER / f"work-{number}"), "--cores", "1", "--memory", "600m"]
            worker = Daemon(f"worker-{number}", "Worker", "--host", host, "--port", "0", "--webui-port", "0", *work, address)
            daemons.append(worker)
        for worker in daemons[1:]:
            worker.says("Successfully registered with master")
        spark = run(rpc, address, daemons[-1])
    finally:
        if spark is not None:
            spark.stop()
        for daemon in reversed(daemons):
            daemon.stop()
        granary("down")


def run(rpc, address, last_worker):
    events = FOLDER / "events"
    events.mkdir()
    settings = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "500m",
        "spark.executor.memory": "450m",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": events.as_uri(),
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.compress": "false",
        # All workers take part from the beginning, however slowly they start.
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
        "spark.scheduler.maxRegisteredResourcesWaitingTime": f"{PATIENCE_S}s",
        "spark.hadoop.dfs.replication": str(REPLICAS),
        "spark.hadoop.dfs.blocksize": str(BLOCK_BYTES),
    }
    builder = SparkSession.builder.master(address).appName("locality")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    context, tasks = spark.sparkContext, Tasks(events)
    context.setLogLevel("ERROR")
    java = context._jvm.org.apache.hadoop.fs
    path = java.Path(f"hdfs://{rpc}/locality/lines")
    files = path.getFileSystem(context._jsc.hadoopConfiguration())
    local = FOLDER / "lines"
    line = b"a line of sixty-four bytes, of which the last one ends the line\n"
    local.write_bytes(line * (BLOCKS * BLOCK_BYTES // len(line)))
    files.copyFromLocalFile(java.Path(local.as_uri()), path)
    locations = lambda: [list(block.getHosts()) for block in files.getFileBlockLocations(path, 0, BLOCKS * BLOCK_BYTES)]

    def scan(job, hosts):
        assert {host for block in locations() for host in block} == set(hosts), locations()
        context.setJobDescription(job)
        lines = context._jsc.textFile(str(path), BLOCKS).count()
        assert lines == BLOCKS * BLOCK_BYTES // len(line), lines
        ran = until(f"all tasks of {job} are in the event log", lambda: len(found := tasks.of(job)) >= BLOCKS and found)
        assert len(ran) == BLOCKS, len(ran)
        local_tasks = sum(task["Locality"] in ("NODE_LOCAL", "PROCESS_LOCAL") for task in ran)
        on = collections.Counter(task["Host"] for task in ran)
        print(f"  {job}: {local_tasks} of {BLOCKS} tasks node-local, {dict(sorted(on.items()))}", flush=True)
        assert local_tasks >= LOCAL_MIN * BLOCKS, ran
        assert set(on) <= set(hosts), on

    try:
        assert all(len(block) == REPLICAS for block in locations()), locations()
        scan("three machines", HOSTS)
        granary("kill", f"datanode-{len(HOSTS)}")
        last_worker.stop()
        start = time.monotonic()
        until("no block is said to be on the dead datanode", lambda: not any(HOSTS[-1] in block for block in locations()))
        print(f"  the dead datanode is named no more after {time.monotonic() - start:.0f} s")
        scan("two machines", HOSTS[:-1])
    except BaseException:
        spark.stop()
        raise
    return spark


main()
