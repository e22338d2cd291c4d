"""Buckets and single objects through boto3: the operations every SDK uses, one behaviour a test."""

import datetime
import hashlib
import uuid
from concurrent.futures import ThreadPoolExecutor
from email.utils import format_datetime, parsedate_to_datetime

import pytest

MIB = 1024 * 1024
BLOCK_BYTES = 128 * MIB

ODD_KEYS = [
    "plain", "a//b", "../x", "a/../b", ".", "..", "./a", "/leading", "//two", "trailing/", "a/./b", "back\\slash",
    "é" * 512, "\U0001f600/\U0001f4be", "日本語", "+ %2F ? # &", "%2e%2e/x", "%", "%zz", "a+b c", "semi;colon=1&x=y",
    "quote'\"<>&", "tab\there", "\x01\x02\x1f", "\x7f", "new\nline", "cr\rhere", "~*()!$,:@", " lead and trail ",
    "x" * 1024, "versions", "?uploads", "a?uploadId=1",
]


def md5(data):
    return hashlib.md5(data).hexdigest()


def body_of(size, seed=1):
    """`size` bytes that differ at every offset a block or chunk boundary could shift by."""
    unit = hashlib.sha512(str(seed).encode()).digest() * 16381
    return (unit * (size // len(unit) + 1))[:size]


# Buckets

def test_bucket_life(s3, refused):
    name = f"conformance-{uuid.uuid4().hex[:16]}"
    refused(lambda: s3.head_bucket(Bucket=name), "404", 404)
    assert s3.create_bucket(Bucket=name)["Location"].endswith(f"/{name}")
    assert s3.head_bucket(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"] == 200
    listed = {b["Name"]: b for b in s3.list_buckets()["Buckets"]}
    age = datetime.datetime.now(datetime.timezone.utc) - listed[name]["CreationDate"]
    assert abs(age.total_seconds()) < 60
    s3.delete_bucket(Bucket=name)
    refused(lambda: s3.head_bucket(Bucket=name), "404", 404)
    assert name not in {b["Name"] for b in s3.list_buckets()["Buckets"]}
    refused(lambda: s3.delete_bucket(Bucket=name), "NoSuchBucket", 404)


@pytest.mark.differs("moto", "lists in order of creation")
def test_buckets_are_listed_in_order_with_an_owner(s3, make_bucket):
    for _ in range(3):
        make_bucket()
    answer = s3.list_buckets()
    names = [b["Name"] for b in answer["Buckets"]]
    assert names == sorted(names)
    assert answer["Owner"]["ID"]


@pytest.mark.differs("seaweedfs", "answers 409 in every region")
def test_creating_ones_own_bucket_again_is_fine_in_us_east_1(s3, bucket):
    assert s3.create_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_bucket_location_of_us_east_1_is_empty(s3, bucket):
    assert not s3.get_bucket_location(Bucket=bucket).get("LocationConstraint")


def test_a_bucket_with_objects_cannot_be_deleted(s3, make_bucket, refused):
    name = make_bucket()
    s3.put_object(Bucket=name, Key="deep/in/side", Body=b"x")
    refused(lambda: s3.delete_bucket(Bucket=name), "BucketNotEmpty", 409)
    assert s3.get_object(Bucket=name, Key="deep/in/side")["Body"].read() == b"x"
    s3.delete_object(Bucket=name, Key="deep/in/side")
    s3.delete_bucket(Bucket=name)


def test_a_deleted_bucket_can_be_made_again_and_is_empty(s3, make_bucket):
    name = make_bucket()
    s3.put_object(Bucket=name, Key="a/b", Body=b"x")
    s3.delete_object(Bucket=name, Key="a/b")
    s3.delete_bucket(Bucket=name)
    s3.create_bucket(Bucket=name)
    assert s3.list_objects_v2(Bucket=name)["KeyCount"] == 0


@pytest.mark.parametrize("call", [
    "list_objects", "list_objects_v2", "get_bucket_location", "list_multipart_uploads", "delete_bucket",
])
def test_unknown_bucket(s3, refused, call):
    refused(lambda: getattr(s3, call)(Bucket="conformance-no-such-bucket"), "NoSuchBucket", 404)


@pytest.mark.parametrize("call,extra", [
    ("put_object", {"Body": b"x"}), ("get_object", {}), ("delete_object", {}), ("create_multipart_upload", {}),
])
def test_unknown_bucket_of_an_object(s3, refused, call, extra):
    refused(lambda: getattr(s3, call)(Bucket="conformance-no-such-bucket", Key="k", **extra), "NoSuchBucket", 404)


# Putting and getting

@pytest.mark.parametrize("size", [0, 1, 2, 4096, 65535, 65536, 65537, MIB, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 20 * MIB + 3])
def test_sizes(s3, bucket, key, size):
    body = body_of(size)
    put = s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert put["ETag"] == f'"{md5(body)}"'
    head = s3.head_object(Bucket=bucket, Key=key)
    assert (head["ContentLength"], head["ETag"]) == (size, put["ETag"])
    got = s3.get_object(Bucket=bucket, Key=key)
    assert (got["ContentLength"], got["ETag"]) == (size, put["ETag"])
    assert md5(got["Body"].read()) == md5(body)


@pytest.mark.slow
@pytest.mark.parametrize("size", [BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1])
def test_sizes_around_a_block(s3, bucket, key, size):
    body = body_of(size)
    put = s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert put["ETag"] == f'"{md5(body)}"'
    assert md5(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) == md5(body)
    edge = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={BLOCK_BYTES - 2}-")["Body"].read()
    assert edge == body[BLOCK_BYTES - 2:]


def test_last_modified_is_now_and_whole_seconds(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    head = s3.head_object(Bucket=bucket, Key=key)
    header = head["ResponseMetadata"]["HTTPHeaders"]["last-modified"]
    assert parsedate_to_datetime(header) == head["LastModified"]
    assert format_datetime(head["LastModified"].astimezone(datetime.timezone.utc), usegmt=True) == header
    age = datetime.datetime.now(datetime.timezone.utc) - head["LastModified"]
    assert abs(age.total_seconds()) < 60
    [entry] = s3.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]
    assert abs((entry["LastModified"] - head["LastModified"]).total_seconds()) < 1


@pytest.mark.differs("seaweedfs", "guesses a content type")
def test_overwriting_replaces_body_and_metadata(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"first, longer", Metadata={"old": "1"}, ContentType="text/plain")
    s3.put_object(Bucket=bucket, Key=key, Body=b"second")
    got = s3.get_object(Bucket=bucket, Key=key)
    assert got["Body"].read() == b"second"
    assert got["Metadata"] == {}
    assert got["ContentType"] == "binary/octet-stream"


@pytest.mark.differs("moto", "is not safe under concurrency")
def test_read_after_write_is_strong_under_concurrent_overwrites(s3, bucket, key):
    """Every read sees one whole write, never a mixture and never something older than an acknowledged one."""
    bodies = [bytes([n]) * (64 * 1024 + n) for n in range(1, 9)]

    def write_then_read(body):
        s3.put_object(Bucket=bucket, Key=key, Body=body)
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    with ThreadPoolExecutor(8) as pool:
        assert all(seen in bodies for seen in pool.map(write_then_read, bodies))
    s3.put_object(Bucket=bucket, Key=key, Body=b"final")
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"final"


@pytest.mark.differs("seaweedfs", "over TLS keeps aws-chunked as the content encoding")
def test_headers_are_kept(s3, bucket, key):
    expires = datetime.datetime(2031, 5, 6, 7, 8, 9, tzinfo=datetime.timezone.utc)
    s3.put_object(
        Bucket=bucket, Key=key, Body=b"x", ContentType="text/html; charset=utf-8", ContentEncoding="gzip",
        ContentDisposition='attachment; filename="f.txt"', ContentLanguage="de-AT", CacheControl="max-age=60, public",
        Expires=expires, Metadata={"colour": "blue", "two-words": "a b  c"},
    )
    for answer in (s3.head_object(Bucket=bucket, Key=key), s3.get_object(Bucket=bucket, Key=key)):
        assert answer["ContentType"] == "text/html; charset=utf-8"
        assert answer["ContentEncoding"] == "gzip"
        assert answer["ContentDisposition"] == 'attachment; filename="f.txt"'
        assert answer["ContentLanguage"] == "de-AT"
        assert answer["CacheControl"] == "max-age=60, public"
        assert answer["ResponseMetadata"]["HTTPHeaders"]["expires"] == "Tue, 06 May 2031 07:08:09 GMT"
        assert answer["Metadata"]["colour"] == "blue"
        assert answer["Metadata"]["two-words"].split() == ["a", "b", "c"]
        assert answer["AcceptRanges"] == "bytes"


@pytest.mark.differs("seaweedfs", "over TLS keeps aws-chunked as the content encoding")
def test_content_encoding_never_shows_aws_chunked(s3, bucket, key, wire):
    """Over TLS boto3 sends `Content-Encoding: aws-chunked`, which describes the request, not the object."""
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert "content-encoding" not in s3.head_object(Bucket=bucket, Key=key)["ResponseMetadata"]["HTTPHeaders"]


def test_storage_class_is_echoed_unless_standard(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert "StorageClass" not in s3.head_object(Bucket=bucket, Key=key)
    s3.put_object(Bucket=bucket, Key=key, Body=b"x", StorageClass="STANDARD_IA")
    assert s3.head_object(Bucket=bucket, Key=key)["StorageClass"] == "STANDARD_IA"
    [entry] = s3.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]
    assert entry["StorageClass"] == "STANDARD_IA"


def test_unknown_storage_class(s3, bucket, key, refused):
    refused(lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"x", StorageClass="PAPER"), "InvalidStorageClass", 400)


def test_response_overrides(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x", ContentType="text/plain")
    got = s3.get_object(
        Bucket=bucket, Key=key, ResponseContentType="application/json", ResponseContentDisposition="inline",
        ResponseContentEncoding="identity", ResponseContentLanguage="fr", ResponseCacheControl="no-store",
        ResponseExpires=datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
    )
    assert got["ContentType"] == "application/json"
    assert got["ContentDisposition"] == "inline"
    assert got["ContentEncoding"] == "identity"
    assert got["ContentLanguage"] == "fr"
    assert got["CacheControl"] == "no-store"
    assert "2030" in got["ResponseMetadata"]["HTTPHeaders"]["expires"]
    assert s3.head_object(Bucket=bucket, Key=key)["ContentType"] == "text/plain"


@pytest.mark.differs("moto", "sends the line break on")
@pytest.mark.differs("seaweedfs", "replaces it by spaces")
def test_a_response_override_cannot_inject_a_header(wire, bucket, key, s3):
    """AWS answers 400; refusing or encoding are both safe, an extra header is not."""
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    answer = wire.request("GET", f"/{bucket}/{key}", [("response-content-disposition", "inline\r\nx-injected: 1")])
    assert "x-injected" not in answer.headers
    assert answer.status == 400


def test_missing_objects(s3, bucket, refused):
    refused(lambda: s3.get_object(Bucket=bucket, Key="no/such"), "NoSuchKey", 404)
    refused(lambda: s3.head_object(Bucket=bucket, Key="no/such"), "404", 404)


def test_deleting_a_missing_object_succeeds(s3, bucket):
    assert s3.delete_object(Bucket=bucket, Key="never/was")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_delete(s3, bucket, key, refused):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert s3.delete_object(Bucket=bucket, Key=key)["ResponseMetadata"]["HTTPStatusCode"] == 204
    refused(lambda: s3.get_object(Bucket=bucket, Key=key), "NoSuchKey", 404)
    assert s3.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"] == 0


# Keys

@pytest.mark.differs("seaweedfs", "folds slashes and dots: keys are paths there")
@pytest.mark.differs("moto", "its router folds some of these")
@pytest.mark.parametrize("odd", ODD_KEYS, ids=lambda k: ascii(k)[1:25])
def test_keys_are_literal(s3, make_bucket, odd):
    name = make_bucket()
    body = odd.encode()
    s3.put_object(Bucket=name, Key=odd, Body=body)
    assert s3.get_object(Bucket=name, Key=odd)["Body"].read() == body
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=name)["Contents"]] == [odd]
    s3.copy_object(Bucket=name, Key="copied", CopySource={"Bucket": name, "Key": odd})
    assert s3.get_object(Bucket=name, Key="copied")["Body"].read() == body
    answer = s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "copied"}]})
    assert [d["Key"] for d in answer["Deleted"]] == ["copied"]
    s3.delete_object(Bucket=name, Key=odd)
    assert s3.list_objects_v2(Bucket=name)["KeyCount"] == 0


@pytest.mark.differs("seaweedfs", "folds slashes and dots: keys are paths there")
@pytest.mark.differs("moto", "its router folds some of these")
def test_odd_keys_do_not_shadow_each_other(s3, make_bucket):
    name = make_bucket()
    for odd in ODD_KEYS:
        s3.put_object(Bucket=name, Key=odd, Body=odd.encode())
    for odd in ODD_KEYS:
        assert s3.get_object(Bucket=name, Key=odd)["Body"].read() == odd.encode(), odd
    listed = [o["Key"] for o in s3.list_objects_v2(Bucket=name)["Contents"]]
    assert listed == sorted(ODD_KEYS, key=str.encode)


@pytest.mark.differs("seaweedfs", "a file and a folder share one name there")
def test_an_object_and_objects_below_it_live_together(s3, make_bucket):
    name = make_bucket()
    for k in ("a", "a/", "a/b", "a/b/", "a/b/c"):
        s3.put_object(Bucket=name, Key=k, Body=k.encode())
    s3.delete_object(Bucket=name, Key="a/b")
    for k in ("a", "a/", "a/b/", "a/b/c"):
        assert s3.get_object(Bucket=name, Key=k)["Body"].read() == k.encode()
    s3.delete_object(Bucket=name, Key="a/")
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=name)["Contents"]] == ["a", "a/b/", "a/b/c"]


@pytest.mark.differs("moto", "accept longer names")
def test_a_key_of_1025_bytes_is_too_long(s3, bucket, refused):
    refused(lambda: s3.put_object(Bucket=bucket, Key="é" * 512 + "x", Body=b"x"), "KeyTooLongError", 400)


# Metadata

def test_metadata_by_hand(s3, wire, bucket, key):
    answer = wire.request("PUT", f"/{bucket}/{key}", body=b"x", headers={"x-amz-meta-plain": "ok"})
    assert answer.status == 200, answer
    assert s3.head_object(Bucket=bucket, Key=key)["Metadata"] == {"plain": "ok"}


@pytest.mark.differs("moto seaweedfs", "have no limit")
def test_metadata_over_2_kib_is_refused(s3, bucket, key, refused):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x", Metadata={"k": "v" * 2047})
    refused(lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"y", Metadata={"k": "v" * 2048}), "MetadataTooLarge", 400)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"x"


# Copy

@pytest.mark.differs("seaweedfs", "sends the ETag without quotes")
def test_copy_keeps_metadata_by_default(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"body", Metadata={"a": "1"}, ContentType="text/plain")
    answer = s3.copy_object(Bucket=bucket, Key=key + "-copy", CopySource={"Bucket": bucket, "Key": key})
    assert answer["CopyObjectResult"]["ETag"] == f'"{md5(b"body")}"'
    assert answer["CopyObjectResult"]["LastModified"].year > 2000
    got = s3.get_object(Bucket=bucket, Key=key + "-copy")
    assert (got["Body"].read(), got["Metadata"], got["ContentType"]) == (b"body", {"a": "1"}, "text/plain")


def test_copy_replaces_metadata_when_told(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"body", Metadata={"a": "1"}, ContentType="text/plain")
    s3.copy_object(
        Bucket=bucket, Key=key + "-copy", CopySource=f"{bucket}/{key}",
        MetadataDirective="REPLACE", Metadata={"b": "2"}, ContentType="text/css",
    )
    got = s3.head_object(Bucket=bucket, Key=key + "-copy")
    assert (got["Metadata"], got["ContentType"]) == ({"b": "2"}, "text/css")


def test_copy_outlives_its_source(s3, bucket, key):
    """Extents may be shared between source and copy: deleting one must not free the other's bytes."""
    body = body_of(9 * MIB)
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    s3.copy_object(Bucket=bucket, Key=key + "-copy", CopySource={"Bucket": bucket, "Key": key})
    s3.put_object(Bucket=bucket, Key=key, Body=b"other")
    s3.delete_object(Bucket=bucket, Key=key)
    assert md5(s3.get_object(Bucket=bucket, Key=key + "-copy")["Body"].read()) == md5(body)


def test_copy_onto_itself_needs_a_change(s3, bucket, key, refused):
    s3.put_object(Bucket=bucket, Key=key, Body=b"body", Metadata={"a": "1"})
    source = {"Bucket": bucket, "Key": key}
    refused(lambda: s3.copy_object(Bucket=bucket, Key=key, CopySource=source), "InvalidRequest", 400)
    s3.copy_object(Bucket=bucket, Key=key, CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"})
    got = s3.get_object(Bucket=bucket, Key=key)
    assert (got["Body"].read(), got["Metadata"]) == (b"body", {"b": "2"})


@pytest.mark.differs("moto seaweedfs", "refuse it")
def test_copy_onto_itself_may_change_the_encryption(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"body", ServerSideEncryption="aws:kms")
    # SSE-S3 is what a copy has by default, and another method than the object's.
    copied = s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": key})
    assert copied["ServerSideEncryption"] == "AES256"
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"body"


def test_copy_between_buckets(s3, bucket, key, make_bucket):
    other = make_bucket()
    s3.put_object(Bucket=bucket, Key=key, Body=b"body")
    s3.copy_object(Bucket=other, Key="here", CopySource={"Bucket": bucket, "Key": key})
    assert s3.get_object(Bucket=other, Key="here")["Body"].read() == b"body"


def test_copy_of_what_is_not_there(s3, bucket, refused):
    copy = lambda source: s3.copy_object(Bucket=bucket, Key="target", CopySource=source)  # noqa: E731
    refused(lambda: copy({"Bucket": bucket, "Key": "no/such"}), "NoSuchKey", 404)
    refused(lambda: copy({"Bucket": "conformance-no-such-bucket", "Key": "k"}), "NoSuchBucket", 404)
    assert s3.list_objects_v2(Bucket=bucket, Prefix="target")["KeyCount"] == 0


# DeleteObjects

def test_delete_objects_reports_each(s3, make_bucket):
    name = make_bucket()
    keys = ["a", "b/c", "b/d", "ü+ &<>"]
    for k in keys:
        s3.put_object(Bucket=name, Key=k, Body=b"x")
    answer = s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": k} for k in [*keys, "never/was"]]})
    assert sorted(d["Key"] for d in answer["Deleted"]) == sorted([*keys, "never/was"])
    assert "Errors" not in answer
    assert s3.list_objects_v2(Bucket=name)["KeyCount"] == 0


@pytest.mark.differs("moto", "is never quiet")
def test_delete_objects_quietly(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}], "Quiet": True})
    assert "Deleted" not in answer and "Errors" not in answer
    assert s3.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"] == 0


def test_delete_1000_objects_at_once(s3, wire, make_bucket):
    name = make_bucket()
    keys = [f"d/{n % 7}/{n:04}" for n in range(1000)]
    wire.put_many(name, ((k, b"x") for k in keys))
    answer = s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": k} for k in keys]})
    assert len(answer["Deleted"]) == 1000
    assert s3.list_objects_v2(Bucket=name)["KeyCount"] == 0


# Addressing

def test_virtual_hosted_style(wire, target, s3, bucket, key):
    """The bucket as the first label of Host, the key alone in the path."""
    host = f"{bucket}.{target.vhost_domain}:{target.port}"
    path = f"/{key}"
    put = wire.request("PUT", path, body=b"hello", headers={"host": host})
    assert put.status == 200, put
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"hello"
    got = wire.request("GET", path, headers={"host": host})
    assert (got.status, got.body) == (200, b"hello")
    listing = wire.request("GET", "/", [("list-type", "2"), ("prefix", key)], headers={"host": host})
    assert listing.status == 200 and f"<Key>{key}</Key>".encode() in listing.body, listing
    assert wire.request("DELETE", path, headers={"host": host}).status == 204


def test_virtual_hosted_key_that_looks_like_a_bucket(wire, target, s3, bucket, make_bucket):
    """`other/k` under bucket's host is a key of bucket, whatever other buckets exist."""
    other = make_bucket()
    host = f"{bucket}.{target.vhost_domain}:{target.port}"
    assert wire.request("PUT", f"/{other}/k", body=b"mine", headers={"host": host}).status == 200
    assert s3.get_object(Bucket=bucket, Key=f"{other}/k")["Body"].read() == b"mine"
    assert s3.list_objects_v2(Bucket=other)["KeyCount"] == 0


# Answers

@pytest.mark.differs("moto", "sends none on some answers")
def test_every_answer_has_its_own_request_id(s3, bucket, key):
    ids = {s3.put_object(Bucket=bucket, Key=key, Body=b"x")["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"]}
    ids.add(s3.head_object(Bucket=bucket, Key=key)["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"])
    assert len(ids) == 2


@pytest.mark.differs("moto", "its errors lack the resource")
def test_an_error_names_the_request(wire, bucket):
    answer = wire.request("GET", f"/{bucket}/no-such-key")
    assert answer.status == 404 and answer.code == "NoSuchKey"
    assert answer.headers["content-type"].startswith("application/xml")
    assert f"<RequestId>{answer.headers['x-amz-request-id']}</RequestId>".encode() in answer.body
    assert b"<Key>no-such-key</Key>" in answer.body or b"/no-such-key</Resource>" in answer.body


def test_head_of_a_missing_object_has_no_body(wire, bucket):
    answer = wire.request("HEAD", f"/{bucket}/no-such-key")
    assert (answer.status, answer.body) == (404, b"")


@pytest.mark.differs("moto", "closes each connection")
def test_a_connection_is_reused(wire, bucket, key):
    connection = wire.connect()
    try:
        for n in range(20):
            assert wire.request("PUT", f"/{bucket}/{key}", body=bytes([n]), connection=connection).status == 200
            assert wire.request("GET", f"/{bucket}/{key}", connection=connection).body == bytes([n])
            assert wire.request("GET", f"/{bucket}/missing-{key}", connection=connection).status == 404
    finally:
        connection.close()
