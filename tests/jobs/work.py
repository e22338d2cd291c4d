"""Jobs of a store under test: submitted with the real command, watched, and their output read."""

import collections
import contextlib
import json
import os
import pathlib
import random
import shlex
import subprocess
import tempfile
import time

from store import Failed, binary, until

PATIENCE_S = 600
# The first of the users that programs run as.
FIRST_USER = 790_000_000
FINAL = ("SUCCEEDED", "FAILED", "KILLED")


@contextlib.contextmanager
def open_folder(prefix="granary-jobs-"):
    """A temporary directory that other users may pass through, so that programs of tasks find their scratch below it."""
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o755)
        yield pathlib.Path(name)


class Jobs:
    """`granary job` with one key."""

    def __init__(self, store, access_key=None, secret_key=None):
        self.store = store
        self.keys = (access_key or store.access_key, secret_key or store.secret_key)

    def command(self, *words, timeout=PATIENCE_S):
        """Runs `granary job WORDS` against one gateway after the other; what it printed."""
        last = None
        environment = {**os.environ, "GRANARY_ROOT_ACCESS_KEY": self.keys[0], "GRANARY_ROOT_SECRET_KEY": self.keys[1]}
        for gateway in self.store.gateways:
            argv = [binary(), "job", words[0], "--endpoint", f"http://{gateway}", *map(str, words[1:])]
            done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=timeout)
            if done.returncode == 0:
                return done.stdout
            last = done.stderr.strip() or done.stdout.strip()
        raise Failed(f"job {' '.join(map(str, words))}: {last}")

    def submit(self, *words):
        """Submits a job and leaves it alone; its name."""
        return self.command("run", "--detach", *words).strip()

    def status(self, job):
        return json.loads(self.command("status", job, "--json"))

    def wait(self, job, seconds=PATIENCE_S):
        """Its status at its end."""
        return until(f"{job} to end", seconds, lambda: ended(self.status(job)))

    def run(self, *words, seconds=PATIENCE_S):
        return self.wait(self.submit(*words), seconds)

    def post(self, specification):
        """A job by its specification, through `POST /v1/jobs`; its name."""
        client = type(self.store.client())(self.store.gateways, *self.keys, 120.0)
        answer = client.send("POST", "/v1/jobs", body=json.dumps(specification).encode())
        client.close()
        if not answer.ok:
            raise Failed(f"POST /v1/jobs: {answer.status} {answer.body[:300]}")
        return json.loads(answer.body)["job"]


def ended(status):
    return status if status["state"] in FINAL else None


def asking(s3, what):
    """An answer of the store, asked again while a gateway or a leader is away."""

    def once():
        answer = what(s3)
        if answer.status >= 500:
            raise OSError(f"{answer.status}")
        return answer

    return until("the store to answer", 120, once)


def put(s3, bucket, key, body):
    answer = asking(s3, lambda one: one.put(bucket, key, body))
    if not answer.ok:
        raise Failed(f"{bucket}/{key}: {answer.status} {answer.body[:200]}")


def keys(s3, bucket, prefix):
    """Every key below a prefix; none is an answer, too."""
    found = []
    until("a listing", 120, lambda: found.append(s3.keys(bucket, prefix)) or True)
    return found[-1]


def parts(s3, bucket, prefix):
    """The part files below an output, in order."""
    names = [key for key in keys(s3, bucket, prefix) if key[len(prefix) :].startswith("part-")]
    return [asking(s3, lambda one, key=key: one.get(bucket, key)).body for key in sorted(names)]


def counted_in(bodies):
    """The lines `word TAB count` of all parts; a word that stands twice is a mistake."""
    counts = collections.Counter()
    for line in b"".join(bodies).decode().splitlines():
        word, count = line.split("\t")
        if word in counts:
            raise Failed(f"{word} stands in the output twice")
        counts[word] = int(count)
    return counts


def counted(texts):
    return collections.Counter(word for text in texts for word in text.split())


def text(dice, lines):
    """Lines of some words."""
    words = [f"word{dice.randrange(500)}" for _ in range(lines * 6)]
    return "".join(" ".join(words[at : at + 6]) + "\n" for at in range(0, len(words), 6))


def uploads(s3, bucket):
    """Uploads of the bucket that have not ended."""
    answer = asking(s3, lambda one: one.send("GET", f"/{bucket}", [("uploads", "")]))
    return answer.body.count(b"<UploadId>")


def folded(path):
    value = 0x811C9DC5
    for byte in str(path).encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def scratch_of(volume):
    """Where the runner beside a datanode keeps scratch: below its first volume, or where other users get to."""
    inside = pathlib.Path(volume) / "tasks"
    return [inside, pathlib.Path(tempfile.gettempdir()) / f"granary-tasks-{folded(inside):08x}"]


def running_for(places):
    """Processes of programs of the runners with this scratch, told by the users they run as."""
    first = [FIRST_USER + folded(place) % 1000 * 1000 for place in places]
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                user = entry.stat().st_uid
                if any(begin <= user < begin + 1000 for begin in first):
                    found.append(int(entry.name))
    return found


def left_in(places):
    """What lies in scratch directories."""
    return [str(found) for place in places if place.exists() for found in place.iterdir()]


def processes(marker):
    """Processes whose command line holds a word."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if marker.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


def quoted(script):
    """A script for a shell as one word of a mapper."""
    return f"sh -c {shlex.quote(script)}"


def dice_of(seed, *purpose):
    return random.Random(f"{seed} {purpose}")


def seconds_since(began):
    return time.monotonic() - began
