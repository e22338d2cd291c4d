"""What the tests need, pinned, in ${XDG_CACHE_HOME:-~/.cache}/granary-tests; never in the repository."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
GO_CLIENT = "hdfs-cli=2.3.0-2+b5"


def _cached(name, content, install):
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "granary-tests"
    folder = base / f"{name}-{hashlib.sha256(content).hexdigest()[:16]}"
    base.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            print(f"installing {name} into {folder}", flush=True)
            install(folder)
            (folder / "complete").touch()
    return folder


def python():
    """An interpreter with pyspark, hdfs-native and boto3, and the folder of Spark's jars."""
    manifest = HERE / "requirements.txt"

    def install(folder):
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(manifest)], check=True)

    folder = _cached("hadoop-clients", manifest.read_bytes() + sys.version.encode(), install)
    [jars] = folder.glob("lib/python*/site-packages/pyspark/jars")
    return folder / "bin" / "python3", jars


def classes(jars, *sources):
    """The compiled classes of our Java programs."""
    content = b"".join((HERE / source).read_bytes() for source in sources) + str(jars).encode()

    def install(folder):
        argv = ["javac", "-nowarn", "-cp", f"{jars}/*", "-d", str(folder)]
        subprocess.run(argv + [str(HERE / source) for source in sources], check=True)

    return _cached("hadoop-classes-" + Path(sources[0]).stem.lower(), content, install)


def reference_jars():
    """Apache HDFS in one JVM, from Maven."""
    manifest = HERE / "pom.xml"

    def install(folder):
        shutil.copy(manifest, folder)
        argv = ["mvn", "-B", "-q", "dependency:copy-dependencies", f"-DoutputDirectory={folder / 'jars'}"]
        subprocess.run(argv, cwd=folder, check=True)

    return _cached("hadoop-reference", manifest.read_bytes(), install) / "jars"


def go_client():
    """The Go client `hdfs` of Debian, unpacked without being installed; None where it cannot be had."""
    found = shutil.which("hdfs")
    if found or not shutil.which("apt-get"):
        return found

    def install(folder):
        subprocess.run(["apt-get", "download", "-q", GO_CLIENT], cwd=folder, check=True)
        [package] = folder.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)

    try:
        return str(_cached("hdfs-cli", GO_CLIENT.encode(), install) / "usr" / "bin" / "hdfs")
    except subprocess.CalledProcessError:
        return None
