"""The output of jobs of every program, read by boto3, by hdfs-native and by Apache's FsShell: the same bytes."""

import os
import random
import subprocess
from pathlib import Path

import boto3
from hdfs_native import Client

uri, endpoint = os.environ["HDFS_URI"], os.environ["S3_ENDPOINT"]
s3 = boto3.client("s3", endpoint_url=endpoint)
s3.create_bucket(Bucket="jobs-in")
s3.create_bucket(Bucket="jobs-out")
dice = random.Random(7)
lines = [" ".join(dice.choice(["alpha", "beta", "gamma", "delta"]) for _ in range(8)) for _ in range(20_000)]
for number in range(3):
    s3.put_object(Bucket="jobs-in", Key=f"text/{number}", Body="\n".join(lines[number::3]).encode() + b"\n")

TEXT, MAPPER = "s3://jobs-in/text", "awk '{ for (i = 1; i <= NF; i++) print $i \"\\t\" 1 }'"
REDUCER = "awk '{ n[$1] += $2 } END { for (w in n) print w \"\\t\" n[w] }'"
JOBS = {
    "wordcount": ["wordcount", "-input", TEXT],
    "grep": ["grep", "^alpha", "-input", TEXT],
    "sort": ["sort", "-input", "hdfs:///jobs-in/text", "-numReduceTasks", "2"],
    "identity": ["identity", "-input", TEXT],
    "distcp": ["distcp", "-input", TEXT],
    "checksum": ["checksum", "-input", TEXT],
    "teragen": ["teragen", "20000"],
    "terasort": ["terasort", "-input", "s3://jobs-out/teragen"],
    "teravalidate": ["teravalidate", "-input", "s3://jobs-out/terasort"],
    "streaming": ["-input", TEXT, "-mapper", MAPPER, "-reducer", REDUCER, "-numReduceTasks", "2"],
}

for name, words in JOBS.items():
    argv = [os.environ["GRANARY"], "job", "run", "--endpoint", endpoint, *words, "-output", f"s3://jobs-out/{name}"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{name}: {done.stdout[-500:]} {done.stderr[-1000:]}"

client = Client(uri)
stored = {}
for found in s3.get_paginator("list_objects_v2").paginate(Bucket="jobs-out").search("Contents"):
    stored[found["Key"]] = s3.get_object(Bucket="jobs-out", Key=found["Key"])["Body"].read()
for name in JOBS:
    assert f"{name}/_SUCCESS" in stored, f"{name} has no _SUCCESS"
    assert any(key.startswith(f"{name}/") and body for key, body in stored.items()), f"{name} made nothing"
for key, body in stored.items():
    with client.read(f"/jobs-out/{key}") as file:
        assert file.read() == body, f"hdfs-native reads {key} differently"
counts = dict(line.split("\t") for key, body in stored.items() if key.startswith("wordcount/part-") for line in body.decode().splitlines())
words = " ".join(lines).split()
assert counts == {word: str(words.count(word)) for word in set(words)}, counts
streamed = [line for key, body in stored.items() if key.startswith("streaming/part-") for line in body.decode().splitlines()]
assert dict(line.split("\t") for line in streamed) == counts
in_order = b"".join(stored[key] for key in sorted(stored) if key.startswith("sort/part-")).decode().splitlines()
assert in_order == sorted(lines), "sort is not in order"

folder = Path(os.environ["FOLDER"])
target = folder / "from-shell"
# FsShell wants a configuration to be there.
(folder / "core-site.xml").write_text("<configuration/>")
opens = ["--add-opens", "java.base/java.lang=ALL-UNNAMED", "--add-opens", "java.base/java.util=ALL-UNNAMED"]
argv = ["java", "-Xmx300m", *opens, "-cp", f"{folder}:{os.environ['JARS']}/*", "org.apache.hadoop.fs.FsShell", "-fs", uri, "-get"]
done = subprocess.run([*argv, "/jobs-out", str(target)], capture_output=True, text=True, timeout=600)
assert done.returncode == 0, f"FsShell: {done.stderr[-2000:]}"
fetched = {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file() and not path.name.endswith(".crc")}
assert fetched == stored, f"FsShell reads otherwise: {set(fetched) ^ set(stored)}"
print(f"  {len(JOBS)} jobs, {len(stored)} objects of theirs, the same bytes by boto3, hdfs-native and FsShell")
