"""The Go client of Debian: every command it has, and S3's view of what it wrote."""

import os
import subprocess
from pathlib import Path

import boto3

HDFS = os.environ["HDFS_CLI"]
FOLDER = Path(os.environ["FOLDER"])
ENVIRONMENT = os.environ | {"HADOOP_NAMENODE": os.environ["HDFS_URI"].removeprefix("hdfs://")}


def hdfs(*arguments, code=0, user="root"):
    done = subprocess.run(
        [HDFS, *arguments], env=ENVIRONMENT | {"HADOOP_USER_NAME": user}, capture_output=True, timeout=300
    )
    assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stdout


def names(*arguments):
    return hdfs("ls", *arguments).decode().split()


content = bytes(i % 251 for i in range(2_500_000))
(FOLDER / "data.bin").write_bytes(content)
(FOLDER / "small.txt").write_text("one\ntwo\n")

hdfs("mkdir", "/golang")
hdfs("mkdir", "-p", "/golang/a/b")
hdfs("put", str(FOLDER / "data.bin"), "/golang/a/data.bin")
hdfs("put", str(FOLDER / "small.txt"), "/golang/a/small.txt")
assert names("/golang/a") == ["b", "data.bin", "small.txt"], names("/golang/a")
assert b"data.bin" in hdfs("ls", "-l", "/golang/a")
assert hdfs("cat", "/golang/a/data.bin") == content
assert hdfs("head", "-n", "1", "/golang/a/small.txt") == b"one\n"
assert hdfs("tail", "-n", "1", "/golang/a/small.txt") == b"two\n"
hdfs("get", "/golang/a/data.bin", str(FOLDER / "back.bin"))
assert (FOLDER / "back.bin").read_bytes() == content
hdfs("getmerge", "/golang/a", str(FOLDER / "merged.bin"))
hdfs("mv", "/golang/a/small.txt", "/golang/a/moved.txt")
hdfs("touch", "/golang/a/empty")
hdfs("chmod", "600", "/golang/a/moved.txt")
hdfs("chown", "ann:etl", "/golang/a/moved.txt")
assert b"-rw-------  ann         etl" in hdfs("ls", "-l", "/golang/a")
hdfs("cat", "/golang/a/moved.txt", user="bob", code=1)
hdfs("cat", "/golang/a/moved.txt", user="ann")
hdfs("du", "-s", "/golang")
assert b"MD5" in hdfs("checksum", "/golang/a/data.bin") or hdfs("checksum", "/golang/a/data.bin")
hdfs("df")
hdfs("truncate", "1000000", "/golang/a/data.bin")
assert hdfs("cat", "/golang/a/data.bin") == content[:1_000_000]

s3 = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT"])
assert s3.get_object(Bucket="golang", Key="a/data.bin")["Body"].read() == content[:1_000_000]
s3.put_object(Bucket="golang", Key="from-s3/x.bin", Body=content)
s3.put_object(Bucket="golang", Key="from-s3/tiny", Body=b"tiny")
assert names("/golang/from-s3") == ["tiny", "x.bin"]
assert hdfs("cat", "/golang/from-s3/x.bin") == content
assert hdfs("cat", "/golang/from-s3/tiny") == b"tiny"

hdfs("rm", "/golang/a/empty")
hdfs("rm", "-r", "/golang/a", "/golang/from-s3")
assert names("/golang") == []
hdfs("rm", "-r", "/golang")
print("  the Go client's commands, and both ways between it and S3")
