"""Clients that write, and remember what they were promised.

Each writer has keys of its own and works on them one request after the other, so that what a key must hold is known
exactly: what was acknowledged last, or, where a request's fate is not known, that or what the request asked for. A key
with such a request is not written again: it may still take effect.
"""

import hashlib
import http.client
import random
import threading
import time

BUCKET, VERSIONED = "faults", "faults-versioned"
PART_BYTES = 5 << 20


def content(name, size):
    """Bytes that are a function of their name."""
    return hashlib.shake_128(name.encode()).digest(size)


class Key:
    """What is known of a key: acknowledged content (None: deleted or never written), and what may have happened since."""

    def __init__(self):
        self.acknowledged, self.maybe, self.older = None, [], set()
        self.closed = False

    def promise(self, digest):
        self.older.add(self.acknowledged)
        self.acknowledged = digest

    def doubt(self, digest):
        self.maybe.append(digest)
        self.closed = True


class Figures:
    """Counted by all writers together."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests = self.acknowledged = self.retried = self.unknown = self.refused = self.bytes = 0
        self.latencies, self.failures = [], []

    def add(self, outcome, seconds, size=0):
        with self.lock:
            self.requests += 1
            now = time.monotonic()
            if outcome == "acknowledged":
                self.acknowledged += 1
                self.bytes += size
                self.latencies.append((now, seconds))
            else:
                setattr(self, outcome, getattr(self, outcome) + 1)
                self.failures.append((now - seconds, now))


class Writer(threading.Thread):
    """Writes until it is told to stop."""

    def __init__(self, number, store, figures, stop, seed, large=True, timeout=120.0, pause=0.0, retries=0):
        super().__init__(daemon=True, name=f"writer-{number}")
        self.number, self.figures, self.stop, self.large, self.pause = number, figures, stop, large, pause
        self.random = random.Random(seed * 1000 + number)
        self.s3 = store.client(timeout)
        self.s3.at = number % len(self.s3.endpoints)
        self.keys, self.versions, self.count = {}, {}, 0
        self.error, self.retries = None, retries

    def run(self):
        try:
            while not self.stop.is_set():
                self.step()
                if self.pause:
                    time.sleep(self.pause)
        except Exception as error:  # a mistake of the writer's own must not look like success
            self.error = error
        finally:
            self.s3.close()

    def size(self):
        dice = self.random.random()
        if dice < 0.75:
            return self.random.randrange(0, 64 << 10)
        if dice < 0.95 or not self.large:
            return self.random.randrange(64 << 10, 1 << 20)
        return self.random.randrange(8 << 20, 12 << 20)

    def step(self):
        dice = self.random.random()
        open_keys = [name for name, key in self.keys.items() if not key.closed]
        existing = self.random.choice(open_keys) if open_keys else None
        if dice < 0.55 or existing is None:
            self.put(f"{self.number}/{len(self.keys)}")
        elif dice < 0.75:
            self.put(existing)
        elif dice < 0.87:
            self.delete(existing)
        elif dice < 0.97 or not self.large:
            self.put_version()
        else:
            self.put(existing, parts=True)

    def request(self, size, work):
        """The answer, or None where its fate is not known. Asked again, as SDKs do, if the writer retries."""
        for attempt in range(self.retries + 1):
            answer = self.attempt(size, work, last=attempt == self.retries)
            if answer is not None:
                return answer
            time.sleep(min(0.05 * 2**attempt, 2))
        return None

    def attempt(self, size, work, last):
        began = time.monotonic()
        try:
            answer = work()
        except (OSError, http.client.HTTPException):
            self.figures.add("unknown" if last else "retried", time.monotonic() - began)
            return None
        seconds = time.monotonic() - began
        if answer.ok:
            self.figures.add("acknowledged", seconds, size)
            return answer
        if answer.status >= 500:
            # It may have been done.
            self.figures.add("unknown" if last else "retried", seconds)
            self.s3.turn()
            return None
        self.figures.add("refused", seconds)
        raise RuntimeError(f"refused: {answer.status} {answer.body[:300]}")

    def put(self, name, parts=False):
        key = self.keys.setdefault(name, Key())
        self.count += 1
        label = f"{self.name}/{name}/{self.count}"
        if parts:
            pieces = [content(f"{label}/{n}", size) for n, size in ((1, PART_BYTES), (2, self.random.randrange(1, 1 << 20)))]
            body = b"".join(pieces)
            answer = self.request(len(body), lambda: self.s3.put_parts(BUCKET, name, pieces))
        else:
            body = content(label, self.size())
            answer = self.request(len(body), lambda: self.s3.put(BUCKET, name, body))
        digest = hashlib.md5(body).hexdigest()
        key.promise(digest) if answer else key.doubt(digest)

    def delete(self, name):
        key = self.keys[name]
        answer = self.request(0, lambda: self.s3.delete(BUCKET, name))
        key.promise(None) if answer else key.doubt(None)

    def put_version(self):
        """A new version of a versioned key, or the removal of one of its versions for good."""
        name = f"{self.number}/v{self.random.randrange(20)}"
        if self.versions and self.random.random() < 0.2:
            version = self.random.choice(list(self.versions))
            key_name, key = self.versions[version]
            if key.closed or key.acknowledged is None:
                return
            answer = self.request(0, lambda: self.s3.delete(VERSIONED, key_name, version))
            key.promise(None) if answer else key.doubt(None)
            return
        self.count += 1
        body = content(f"{self.name}/{name}/{self.count}", self.random.randrange(0, 128 << 10))
        answer = self.request(len(body), lambda: self.s3.put(VERSIONED, name, body))
        if answer:
            key = Key()
            key.promise(hashlib.md5(body).hexdigest())
            self.versions[answer.headers["x-amz-version-id"]] = (name, key)


class Load:
    """Several writers, started and stopped together, over one set of promises."""

    def __init__(self, store, writers=4, seed=1, large=True, timeout=120.0, pause=0.0, retries=0):
        self.store, self.figures, self.stop_event = store, Figures(), threading.Event()
        s3 = store.client()
        retried(lambda: s3.create_bucket(BUCKET))
        retried(lambda: s3.create_bucket(VERSIONED, versioned=True))
        s3.close()
        make = lambda number: Writer(number, store, self.figures, self.stop_event, seed, large, timeout, pause, retries)
        self.writers = [make(number) for number in range(writers)]

    def start(self):
        for writer in self.writers:
            writer.start()
        return self

    def stop(self):
        self.stop_event.set()
        for writer in self.writers:
            writer.join()
            if writer.error:
                raise writer.error
        return self

    def resume(self):
        """Goes on with the same promises after a stop."""
        self.stop_event = threading.Event()
        again = []
        for old in self.writers:
            kind = (old.large, old.s3.timeout, old.pause, old.retries)
            writer = Writer(old.number, self.store, self.figures, self.stop_event, 0, *kind)
            writer.random, writer.keys, writer.versions, writer.count = old.random, old.keys, old.versions, old.count
            again.append(writer)
        self.writers = again
        return self.start()

    def verify(self, store=None):
        """Reads everything back."""
        verdict = Verdict()
        s3 = (store or self.store).client(120.0)
        listed = set(retried(lambda: s3.keys(BUCKET)))
        for writer in self.writers:
            for name, key in writer.keys.items():
                found = read(s3, BUCKET, name)
                verdict.judge(f"{BUCKET}/{name}", key, found)
                if not key.closed and (name in listed) != (found is not None):
                    verdict.note("torn", f"{BUCKET}/{name}: listed {name in listed}, read {found is not None}")
            for version, (name, key) in writer.versions.items():
                verdict.judge(f"{VERSIONED}/{name}?{version}", key, read(s3, VERSIONED, name, version))
        s3.close()
        return verdict


def retried(work, seconds=90):
    """What `work` answers, through refusals that pass."""
    end = time.monotonic() + seconds
    while True:
        try:
            return work()
        except (OSError, http.client.HTTPException):
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def read(s3, bucket, name, version=None):
    """The digest of what is there, None where there is nothing."""

    def attempt():
        answer = s3.get(bucket, name, version)
        if answer.status >= 500:
            s3.turn()
            raise OSError(f"{bucket}/{name}: {answer.status} {answer.body[:200]}")
        return answer

    answer = retried(attempt)
    if answer.status in (404, 405):
        return None
    if not answer.ok:
        raise RuntimeError(f"{bucket}/{name}: {answer.status} {answer.body[:200]}")
    return hashlib.md5(answer.body).hexdigest()


class Verdict:
    """What reading back has shown."""

    def __init__(self):
        self.objects = self.lost = self.torn = self.resurrected = 0
        self.notes = []

    def note(self, kind, text):
        setattr(self, kind, getattr(self, kind) + 1)
        self.notes.append(f"{kind}: {text}")

    def judge(self, name, key, found):
        self.objects += 1
        if found == key.acknowledged or found in key.maybe:
            return
        if found in key.older:
            self.note("resurrected", name)
        elif found is None:
            self.note("lost", name)
        else:
            self.note("torn", name)

    @property
    def good(self):
        return self.lost == self.torn == self.resurrected == 0

    def line(self):
        return f"objects={self.objects} lost={self.lost} torn={self.torn} resurrected={self.resurrected}"
