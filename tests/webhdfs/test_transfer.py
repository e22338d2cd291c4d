"""Blocks as the Rust and Go clients move them."""

import os
import random
import shutil
import subprocess

import pytest
from hdfs_native import Client, WriteOptions


def data(length, seed=1):
    return random.Random(seed).randbytes(length)


@pytest.fixture
def native():
    os.environ["HADOOP_USER_NAME"] = "hdfs"
    return Client(f"hdfs://{os.environ['NAMENODE_RPC']}")


@pytest.mark.parametrize("length", [0, 1, 511, 512, 513, 1 << 20, (1 << 20) + 1, 5 * (1 << 20) + 7])
def test_hdfs_native_writes_what_webhdfs_reads_and_the_reverse(native, web, directory, length):
    body = data(length, length)
    with native.create(f"{directory}/n", WriteOptions(block_size=1 << 20)) as writer:
        writer.write(body)
    assert web.read(f"{directory}/n") == body
    web.create(f"{directory}/w", body)
    with native.read(f"{directory}/w") as reader:
        assert bytes(reader.read()) == body
    with native.append(f"{directory}/n") as writer:
        writer.write(b"tail")
    assert web.read(f"{directory}/n") == body + b"tail"
    with native.read(f"{directory}/n") as reader:
        assert bytes(reader.read_range(length // 2, length - length // 2)) == body[length // 2:]


@pytest.mark.skipif(not shutil.which("hdfs"), reason="Debian's hdfs-cli is not installed")
def test_the_go_client_puts_and_gets(directory, web, tmp_path):
    def go(*arguments):
        env = {**os.environ, "HADOOP_NAMENODE": os.environ["NAMENODE_RPC"], "HADOOP_USER_NAME": "hdfs"}
        return subprocess.run(["hdfs", *arguments], env=env, check=True, capture_output=True, timeout=60).stdout
    body = data(3_000_001)
    (tmp_path / "local").write_bytes(body)
    go("put", str(tmp_path / "local"), f"{directory}/g")
    assert web.read(f"{directory}/g") == body
    assert go("cat", f"{directory}/g") == body
    go("get", f"{directory}/g", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == body
    web.create(f"{directory}/w", body[:1000])
    assert go("tail", f"{directory}/w") == body[:1000][-1024:]
    assert go("checksum", f"{directory}/w").split()[1].decode().endswith("w")
