"""hdfs-native (Rust, through Python): every operation it offers, and S3's view."""

import os

import boto3
from hdfs_native import Client, WriteOptions

client = Client(os.environ["HDFS_URI"])
s3 = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT"])
content = bytes(i % 253 for i in range(3_000_000))


def listed(path, recursive=False):
    return sorted(entry.path.rstrip("/") for entry in client.list_status(path, recursive))


client.mkdirs("/native", create_parent=True)
client.mkdirs("/native/a/b", create_parent=True)
with client.create("/native/a/data", WriteOptions(block_size=1 << 20, replication=1)) as file:
    file.write(content)
with client.create("/native/a/tiny", WriteOptions()) as file:
    file.write(b"tiny")
info = client.get_file_info("/native/a/data")
assert (info.length, info.isdir, info.owner) == (len(content), False, "root"), info
assert len(listed("/native/a")) == 3
assert len(listed("/native", True)) == 4
with client.read("/native/a/data") as file:
    assert file.read() == content
    file.seek(1_048_570)
    assert file.read(20) == content[1_048_570:1_048_590]
with client.append("/native/a/tiny") as file:
    file.write(b" and more")
with client.read("/native/a/tiny") as file:
    assert file.read() == b"tiny and more"
client.rename("/native/a/tiny", "/native/a/moved", overwrite=False)
client.rename("/native/a/moved", "/native/a/data2", overwrite=True)
client.set_permission("/native/a/data2", 0o640)
client.set_owner("/native/a/data2", "ann", "etl")
client.set_times("/native/a/data2", 1_000_000_000_000, 1_000_000_000_000)
client.set_replication("/native/a/data2", 2)
info = client.get_file_info("/native/a/data2")
assert (info.permission & 0o777, info.owner, info.group, info.replication) == (0o640, "ann", "etl", 2), info
summary = client.get_content_summary("/native")
assert (summary.file_count, summary.directory_count) == (2, 3), summary
status = client.get_acl_status("/native/a/data2")
assert status.owner == "ann"

assert s3.get_object(Bucket="native", Key="a/data")["Body"].read() == content
s3.put_object(Bucket="native", Key="s3/x", Body=content[:70_000])
with client.read("/native/s3/x") as file:
    assert file.read() == content[:70_000]

assert client.delete("/native/a/data2", False)
assert client.delete("/native/a", True)
try:
    client.get_file_info("/native/a")
    raise AssertionError("it is gone")
except FileNotFoundError:
    pass
assert client.delete("/native", True)
print("  hdfs-native's operations, and both ways between it and S3")
