"""Byte ranges: exact Content-Range, edges, what cannot be satisfied and what is ignored (RFC 9110, section 14)."""

import hashlib
import random

import pytest

SIZE = 9 * 1024 * 1024 + 7


@pytest.fixture(scope="module")
def stored(s3, bucket):
    """(key, body) of an object larger than any packed or chunked unit a store is likely to use."""
    body = (hashlib.sha512(b"ranges").digest() * (SIZE // 64 + 1))[:SIZE]
    s3.put_object(Bucket=bucket, Key="ranges", Body=body)
    return "ranges", body


@pytest.fixture(scope="module")
def ten(s3, bucket):
    s3.put_object(Bucket=bucket, Key="ten", Body=b"0123456789", ContentType="text/plain")
    return "ten"


@pytest.mark.parametrize("asked,content_range,body", [
    ("bytes=0-0", "bytes 0-0/10", b"0"), ("bytes=9-9", "bytes 9-9/10", b"9"), ("bytes=2-5", "bytes 2-5/10", b"2345"),
    ("bytes=0-", "bytes 0-9/10", b"0123456789"), ("bytes=7-", "bytes 7-9/10", b"789"),
    ("bytes=-1", "bytes 9-9/10", b"9"), ("bytes=-10", "bytes 0-9/10", b"0123456789"),
    ("bytes=-99", "bytes 0-9/10", b"0123456789"), ("bytes=5-99", "bytes 5-9/10", b"56789"),
])
def test_satisfiable(s3, bucket, ten, asked, content_range, body):
    got = s3.get_object(Bucket=bucket, Key=ten, Range=asked)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert (got["ContentRange"], got["ContentLength"], got["Body"].read()) == (content_range, len(body), body)
    assert (got["ETag"], got["ContentType"]) == (f'"{hashlib.md5(b"0123456789").hexdigest()}"', "text/plain")


@pytest.mark.differs("seaweedfs", "answers 200")
def test_head_with_a_range(s3, bucket, ten):
    head = s3.head_object(Bucket=bucket, Key=ten, Range="bytes=2-5")
    assert head["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert (head["ContentLength"], head["ContentRange"]) == (4, "bytes 2-5/10")


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=10-12", "bytes=99-", "bytes=-0", "bytes=18446744073709551615-"])
def test_unsatisfiable(wire, bucket, ten, asked):
    answer = wire.request("GET", f"/{bucket}/{ten}", headers={"range": asked})
    assert (answer.status, answer.code) == (416, "InvalidRange"), answer
    assert answer.headers.get("content-range", "bytes */10") == "bytes */10"


@pytest.mark.differs("seaweedfs", "refuses some of these with 416")
@pytest.mark.differs("moto", "refuses some of these with 500")
@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=a-b", "bytes=", "bytes", "lines=1-2", "bytes=1-2-3", "bytes=--1"])
def test_what_is_not_a_range_is_ignored(wire, bucket, ten, asked):
    answer = wire.request("GET", f"/{bucket}/{ten}", headers={"range": asked})
    assert (answer.status, answer.body) == (200, b"0123456789"), answer


def test_several_ranges_give_the_whole(wire, bucket, ten):
    """S3 serves one range a request."""
    answer = wire.request("GET", f"/{bucket}/{ten}", headers={"range": "bytes=0-1,4-5"})
    assert (answer.status, answer.body) == (200, b"0123456789"), answer


@pytest.mark.differs("moto", "answer an empty range")
@pytest.mark.parametrize("asked", ["bytes=0-0", "bytes=0-", "bytes=-1"])
def test_an_empty_object_has_no_ranges(wire, s3, bucket, key, asked):
    s3.put_object(Bucket=bucket, Key=key, Body=b"")
    answer = wire.request("GET", f"/{bucket}/{key}", headers={"range": asked})
    assert (answer.status, answer.code) == (416, "InvalidRange"), answer


def test_random_ranges_of_a_large_object(s3, bucket, stored):
    name, body = stored
    rng = random.Random(20)
    edges = [0, 1, 65535, 65536, 1 << 20, (1 << 20) - 1, 4 << 20, 8 << 20, SIZE - 1]
    for _ in range(40):
        start = rng.choice([rng.choice(edges), rng.randrange(SIZE)])
        end = min(SIZE - 1, start + rng.choice([0, 1, 100, 65536, 1 << 20, SIZE]))
        got = s3.get_object(Bucket=bucket, Key=name, Range=f"bytes={start}-{end}")
        assert got["ContentRange"] == f"bytes {start}-{end}/{SIZE}"
        assert got["Body"].read() == body[start:end + 1]


def test_ranges_across_parts(s3, bucket, key):
    part = 5 * 1024 * 1024
    bodies = [b"a" * part, b"b" * part, b"c" * 10]
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    ids = dict(Bucket=bucket, Key=key, UploadId=upload_id)
    entries = [{"PartNumber": n, "ETag": s3.upload_part(**ids, PartNumber=n, Body=b)["ETag"]} for n, b in enumerate(bodies, 1)]
    s3.complete_multipart_upload(**ids, MultipartUpload={"Parts": entries})
    read = lambda asked: s3.get_object(Bucket=bucket, Key=key, Range=asked)["Body"].read()  # noqa: E731
    assert read(f"bytes={part - 2}-{part + 1}") == b"aabb"
    assert read(f"bytes={part - 1}-{2 * part}") == b"a" + b"b" * part + b"c"
    assert read("bytes=-12") == b"bb" + b"c" * 10


def test_a_condition_is_judged_before_the_range(wire, bucket, ten):
    answer = wire.request("GET", f"/{bucket}/{ten}", headers={"range": "bytes=99-", "if-match": '"no"'})
    assert answer.status == 412, answer
    etag = hashlib.md5(b"0123456789").hexdigest()
    answer = wire.request("GET", f"/{bucket}/{ten}", headers={"range": "bytes=0-1", "if-none-match": f'"{etag}"'})
    assert answer.status == 304, answer


def test_a_reader_that_leaves_early_does_no_harm(s3, bucket, stored):
    name, body = stored
    for _ in range(5):
        stream = s3.get_object(Bucket=bucket, Key=name)["Body"]
        assert stream.read(1000) == body[:1000]
        stream.close()
    assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == body
