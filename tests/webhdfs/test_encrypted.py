"""Encrypted objects through Hadoop's doors: plaintext for those who may read, and nothing under a client's own key."""

import hashlib
import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import boto3
import pytest
from hdfs_native import Client

MODES = {
    "s3": {"ServerSideEncryption": "AES256"},
    "kms": {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "hadoop-test"},
    "dual": {"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": "hadoop-test"},
}
PART = 5 << 20


def data(length, seed=1):
    return random.Random(seed).randbytes(length)


@pytest.fixture(scope="module")
def s3():
    root = json.loads(Path(os.environ["ROOT_CREDENTIALS"]).read_text())
    return boto3.client(
        "s3", endpoint_url=f"https://{os.environ['S3']}", verify=os.environ["CA_FILE"], region_name="us-east-1",
        aws_access_key_id=root["access_key"], aws_secret_access_key=root["secret_key"],
    )


@pytest.fixture
def native():
    os.environ["HADOOP_USER_NAME"] = "hdfs"
    return Client(f"hdfs://{os.environ['NAMENODE_RPC']}")


def windows(length):
    """Ranges about the borders of segments of 64 KiB and of chunks."""
    borders = {0, 1, 511, 512, 65_535, 65_536, 131_072, length // 2, length - 1}
    return [(at, min(70_000, length - at)) for at in sorted(borders) if 0 <= at < length]


def check_everywhere(web, native, path, body):
    assert web.json("GET", path, "GETFILESTATUS")["FileStatus"]["length"] == len(body)
    assert web.read(path) == body
    with native.read(path) as reader:
        assert bytes(reader.read()) == body
        for offset, length in windows(len(body)):
            assert bytes(reader.read_range(offset, length)) == body[offset:offset + length]
    for offset, length in windows(len(body)):
        assert web.read(path, offset=offset, length=length) == body[offset:offset + length]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("length", [0, 1, 65_536, 65_537, 300_000, 9 << 20])
def test_an_object_of_one_piece(s3, web, native, directory, mode, length):
    body = data(length, length)
    put = s3.put_object(Bucket=directory[1:], Key="d/f", Body=body, **MODES[mode])
    assert put["ServerSideEncryption"] == MODES[mode]["ServerSideEncryption"]
    check_everywhere(web, native, f"{directory}/d/f", body)
    # Its checksum is that of the same bytes in clear.
    web.create(f"{directory}/clear", body)
    sums = [web.send("GET", f"{directory}/{name}", "GETFILECHECKSUM", None).json() for name in ("d/f", "clear")]
    assert sums[0] == sums[1]


@pytest.mark.parametrize("mode", MODES)
def test_an_object_of_parts(s3, web, native, directory, mode):
    pieces = [data(PART, 1), data(PART + 77, 2), data(1000, 3)]
    name = {"Bucket": directory[1:], "Key": "parts"}
    upload = s3.create_multipart_upload(**name, **MODES[mode])["UploadId"]
    parts = []
    for number, piece in enumerate(pieces, 1):
        tag = s3.upload_part(**name, UploadId=upload, PartNumber=number, Body=piece)["ETag"]
        parts.append({"PartNumber": number, "ETag": tag})
    s3.complete_multipart_upload(**name, UploadId=upload, MultipartUpload={"Parts": parts})
    body = b"".join(pieces)
    check_everywhere(web, native, f"{directory}/parts", body)
    for at in (PART, 2 * PART + 77):
        assert web.read(f"{directory}/parts", offset=at - 3, length=6) == body[at - 3:at + 3]
    found = web.json("GET", f"{directory}/parts", "GETFILEBLOCKLOCATIONS")["BlockLocations"]["BlockLocation"]
    assert [(block["offset"], block["length"]) for block in found] == [(0, PART), (PART, PART + 77), (2 * PART + 77, 1000)]
    assert all(block["hosts"] for block in found)


@pytest.mark.skipif(not shutil.which("hdfs"), reason="Debian's hdfs-cli is not installed")
def test_the_go_client_reads_it(s3, directory):
    body = data(200_000)
    s3.put_object(Bucket=directory[1:], Key="f", Body=body, **MODES["s3"])
    environment = {**os.environ, "HADOOP_NAMENODE": os.environ["NAMENODE_RPC"], "HADOOP_USER_NAME": "hdfs"}
    shown = subprocess.run(["hdfs", "cat", f"{directory}/f"], env=environment, capture_output=True, timeout=120, check=True)
    assert shown.stdout == body


def test_what_only_its_owner_can_open_is_refused(s3, web, native, directory):
    key = hashlib.sha256(b"a client's own").digest()
    s3.put_object(Bucket=directory[1:], Key="c", Body=b"mine", SSECustomerAlgorithm="AES256", SSECustomerKey=key)
    for op in ("OPEN", "GETFILECHECKSUM", "GETFILEBLOCKLOCATIONS"):
        refused = web.ask("GET", f"{directory}/c", op)
        assert (refused.status_code, refused.json()["RemoteException"]["exception"]) == (403, "AccessControlException")
    with pytest.raises(Exception, match="SSE-C"):
        native.read(f"{directory}/c").read()
    listed = web.json("GET", directory, "LISTSTATUS")["FileStatuses"]["FileStatus"]
    assert [(entry["pathSuffix"], entry["length"]) for entry in listed] == [("c", 4)]


def test_mode_bits_hold_for_encrypted_files(s3, web, directory):
    s3.put_object(Bucket=directory[1:], Key="f", Body=b"not for all", **MODES["s3"])
    stranger = type(web)(os.environ["NAMENODE_HTTP"], user="nobody-in-particular")
    refused = stranger.ask("GET", f"{directory}/f", "OPEN")
    assert (refused.status_code, refused.json()["RemoteException"]["exception"]) == (403, "AccessControlException")


def test_a_bucket_that_encrypts_takes_no_bytes_in_clear(s3, web, native, directory):
    bucket = directory[1:]
    web.create(f"{directory}/before", b"clear")
    by_default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [by_default]})
    for method, op, name in [("PUT", "CREATE", "new"), ("POST", "APPEND", "before")]:
        refused = web.send(method, f"{directory}/{name}", op, b"bytes")
        assert refused.status_code == 403, refused.text
        told = refused.json()["RemoteException"]
        assert told["exception"] == "AccessControlException" and "encrypts by default" in told["message"], told
    with pytest.raises(Exception, match="encrypts by default"):
        with native.create(f"{directory}/new") as writer:
            writer.write(b"bytes")
    assert web.read(f"{directory}/before") == b"clear"
    assert s3.put_object(Bucket=bucket, Key="sealed", Body=b"bytes")["ServerSideEncryption"] == "AES256"
    assert web.read(f"{directory}/sealed") == b"bytes"
    s3.delete_bucket_encryption(Bucket=bucket)
    web.create(f"{directory}/new", b"bytes")
