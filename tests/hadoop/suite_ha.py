"""A stock client with a nameservice of three namenodes goes on writing while the leader and a datanode die, and each call is
done once. Needs GRANARY (the binary) and CLASSES (HaWriter)."""

import json
import os
import re
import subprocess
import threading
from pathlib import Path

GRANARY, CLASSES, JARS = os.environ["GRANARY"], os.environ["CLASSES"], os.environ["JARS"]
FOLDER = Path(os.environ["FOLDER"]) / "cluster"
WRITING_S = 25
ROUND_S = 300


def granary(*arguments):
    done = subprocess.run([GRANARY, "local", *arguments, "--dir", str(FOLDER)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


def leader(names):
    """The namenode that became leader last, by the logs."""
    moments = {}
    for name in names:
        found = re.findall(r"^(\S+) .*leadership changed leading=(true|false)", (FOLDER / name / "log").read_text(), re.M)
        if found and found[-1][1] == "true":
            moments[name] = found[-1][0]
    return max(moments, key=moments.get)


class Writer:
    def __init__(self, addresses):
        argv = ["java", "-Xmx300m", "--add-opens", "java.base/java.lang=ALL-UNNAMED", "-cp", f"{CLASSES}:{JARS}/*"]
        self.log = (FOLDER.parent / "writer.log").open("w+")
        self.process = subprocess.Popen(
            [*argv, "HaWriter", str(WRITING_S), *addresses], stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        self.rounds, self.last = 0, ""
        self.changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.last = line.strip()
                self.rounds += line.startswith("round")
                self.changed.notify_all()

    def further(self, rounds):
        """Waits until so many more rounds are done."""
        with self.changed:
            wanted = self.rounds + rounds
            done = self.changed.wait_for(lambda: self.rounds >= wanted or self.process.poll() is not None, ROUND_S)
            assert done, f"no round in {ROUND_S} s after {self.last}"


granary("up", "--namenodes", "3", "--datanodes", "4")
try:
    cluster = json.loads((FOLDER / "cluster.json").read_text())
    names = [node["name"] for node in cluster["namenodes"]]
    writer = Writer([node["rpc"] for node in cluster["namenodes"]])
    writer.further(2)
    granary("kill", leader(names))
    writer.further(2)
    granary("kill", "datanode-2")
    assert writer.process.wait(WRITING_S + ROUND_S) == 0, (FOLDER.parent / "writer.log").read_text()[-2000:]
    print(f"  {writer.last} rounds of create, append, rename, delete, hflush; leader and a datanode died meanwhile")
finally:
    granary("down")
