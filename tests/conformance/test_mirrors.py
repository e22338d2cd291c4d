"""Programs that mirror or back up folders: rclone, restic, s5cmd, s3cmd. A folder goes up, is checked, comes back.

The folder is awkward on purpose: an empty file, names that need escaping, a file that goes up in parts. What came back is
compared byte by byte, and each program's own check must also notice damage.
"""

import os
import shutil
import subprocess

import pytest

MIB = 1 << 20
TIMEOUT_S = 600
TOOLS = os.environ.get("S3_TEST_DATA_TOOLS_BIN", "")
PATH = os.pathsep.join(filter(None, [TOOLS, os.environ.get("S3_TEST_RESTIC_BIN", ""), os.environ["PATH"]]))

pytestmark = pytest.mark.differs("moto seaweedfs", "not run against references")


def needs(program):
    return pytest.mark.skipif(not shutil.which(program, path=PATH), reason=f"NO {program.upper()} ON THIS MACHINE")


@pytest.fixture
def plain(target):
    if target.tls:
        pytest.skip("data tools run over http")
    return target


@pytest.fixture
def source(folder):
    root = folder / "source"
    files = {
        "empty": b"", "plain.txt": b"hello\n", "deep/er/and/deeper.bin": bytes(range(256)) * 64,
        "a b+c/%41&=.txt": b"escaped", "ümläut/日本.txt": "ü".encode(), "big.bin": bytes(range(251)) * (22 * MIB // 251),
        **{f"many/{n:03}": b"%d" % n for n in range(120)},
    }
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def contents(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


class Tool:
    """One program with the store's address in its environment."""

    def __init__(self, target, folder, **env):
        self.env = {**target.environment(), "HOME": str(folder), "PATH": PATH, **env}

    def __call__(self, *argv, check=True):
        done = subprocess.run([str(a) for a in argv], env=self.env, text=True, capture_output=True, timeout=TIMEOUT_S)
        if check:
            assert done.returncode == 0, f"{argv}\n{done.stdout[-1500:]}{done.stderr[-1500:]}"
        return done


@needs("rclone")
def test_rclone(plain, s3, make_bucket, source, folder):
    bucket = make_bucket()
    rclone = Tool(
        plain, folder, RCLONE_CONFIG=str(folder / "none.conf"), RCLONE_CONFIG_T_TYPE="s3", RCLONE_CONFIG_T_PROVIDER="Other",
        RCLONE_CONFIG_T_ENDPOINT=plain.url, RCLONE_CONFIG_T_ENV_AUTH="true", RCLONE_CONFIG_T_REGION=plain.region,
        RCLONE_S3_CHUNK_SIZE="6M", RCLONE_S3_UPLOAD_CUTOFF="10M",
    )
    remote = f"T:{bucket}/mirror"
    rclone("rclone", "sync", source, remote)
    clean = rclone("rclone", "check", "--download", source, remote).stderr
    assert "0 differences found" in clean, clean
    assert "0 differences found" in rclone("rclone", "check", source, remote).stderr
    assert rclone("rclone", "sync", "--dry-run", "-v", source, remote).stderr.count("Skipped copy") == 0

    rclone("rclone", "copy", remote, folder / "back")
    assert contents(folder / "back") == contents(source)
    rclone("rclone", "moveto", f"{remote}/plain.txt", f"{remote}/moved.txt")  # a server-side copy
    rclone("rclone", "copyto", f"{remote}/big.bin", f"{remote}/big copy.bin")
    assert s3.head_object(Bucket=bucket, Key="mirror/big copy.bin")["ContentLength"] == (source / "big.bin").stat().st_size

    s3.put_object(Bucket=bucket, Key="mirror/empty", Body=b"no longer")
    assert rclone("rclone", "check", source, remote, check=False).returncode != 0
    rclone("rclone", "purge", remote)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@needs("restic")
def test_restic(plain, s3, make_bucket, source, folder):
    bucket = make_bucket()
    restic = Tool(
        plain, folder, RESTIC_REPOSITORY=f"s3:{plain.url}/{bucket}/backup", RESTIC_PASSWORD="conformance",
        RESTIC_CACHE_DIR=str(folder / "cache"),
    )
    restic("restic", "init")
    restic("restic", "backup", source)
    (source / "plain.txt").write_bytes(b"changed\n")
    restic("restic", "backup", source)
    restic("restic", "check", "--read-data")
    restic("restic", "restore", "latest", "--target", folder / "back", "--verify")
    assert contents(folder / "back" / source.relative_to("/")) == contents(source)
    restic("restic", "forget", "--keep-last", "1", "--prune")
    restic("restic", "check")

    packs = s3.list_objects_v2(Bucket=bucket, Prefix="backup/data/")["Contents"]
    pack = s3.get_object(Bucket=bucket, Key=packs[0]["Key"])["Body"].read()
    s3.put_object(Bucket=bucket, Key=packs[0]["Key"], Body=bytes([pack[0] ^ 1]) + pack[1:])
    assert restic("restic", "check", "--read-data", check=False).returncode != 0


@needs("s5cmd")
def test_s5cmd(plain, s3, make_bucket, source, folder):
    bucket = make_bucket()
    s5cmd = Tool(plain, folder, S3_ENDPOINT_URL=plain.url)
    s5cmd("s5cmd", "cp", "--part-size", "6", f"{source}/", f"s3://{bucket}/mirror/")
    s5cmd("s5cmd", "sync", f"s3://{bucket}/mirror/*", f"{folder / 'back'}/")
    assert contents(folder / "back") == contents(source)
    assert s5cmd("s5cmd", "sync", f"{source}/", f"s3://{bucket}/mirror/").stdout == "", "a second sync copies nothing"
    assert len(s5cmd("s5cmd", "ls", f"s3://{bucket}/mirror/many/*").stdout.splitlines()) == 120
    s5cmd("s5cmd", "cp", f"s3://{bucket}/mirror/many/*", f"s3://{bucket}/copied/")
    s5cmd("s5cmd", "mv", f"s3://{bucket}/copied/00*", f"s3://{bucket}/moved/")
    assert s3.list_objects_v2(Bucket=bucket, Prefix="moved/")["KeyCount"] == 10
    assert s5cmd("s5cmd", "cat", f"s3://{bucket}/moved/007").stdout == "7"
    s5cmd("s5cmd", "rm", f"s3://{bucket}/*")  # DeleteObjects
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert s5cmd("s5cmd", "cat", f"s3://{bucket}/moved/007", check=False).returncode != 0


@needs("s3cmd")
def test_s3cmd(plain, s3, make_bucket, source, folder):
    bucket = make_bucket()
    host = plain.url.split("://", 1)[1]
    config = folder / "s3cfg"
    config.write_text(
        f"[default]\naccess_key = {plain.access_key}\nsecret_key = {plain.secret_key}\nhost_base = {host}\n"
        f"host_bucket = {host}\nuse_https = False\nbucket_location = {plain.region}\nsignature_v2 = False\n"
        "multipart_chunk_size_mb = 6\n")
    tool = Tool(plain, folder)

    def s3cmd(*argv, **options):
        return tool("s3cmd", "-c", config, "--no-progress", *argv, **options)

    s3cmd("sync", f"{source}/", f"s3://{bucket}/mirror/")
    assert "upload:" not in s3cmd("sync", f"{source}/", f"s3://{bucket}/mirror/").stdout, "a second sync copies nothing"
    (folder / "back").mkdir()
    s3cmd("sync", f"s3://{bucket}/mirror/", f"{folder / 'back'}/")
    assert contents(folder / "back") == contents(source)
    assert f"s3://{bucket}/mirror/plain.txt" in s3cmd("ls", f"s3://{bucket}/mirror/").stdout
    assert "MD5 sum" in s3cmd("info", f"s3://{bucket}/mirror/big.bin").stdout
    s3cmd("cp", f"s3://{bucket}/mirror/plain.txt", f"s3://{bucket}/copied.txt")
    s3cmd("mv", f"s3://{bucket}/copied.txt", f"s3://{bucket}/moved.txt")
    assert s3.get_object(Bucket=bucket, Key="moved.txt")["Body"].read() == b"hello\n"
    s3cmd("del", "--recursive", "--force", f"s3://{bucket}/")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert s3cmd("get", f"s3://{bucket}/moved.txt", folder / "none", check=False).returncode != 0
