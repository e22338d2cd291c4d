"""Conditional requests: reads (RFC 9110, section 13), writes, completions, copies and deletes as AWS documents them."""

import datetime
import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

PAST = datetime.datetime(2001, 1, 1, tzinfo=datetime.timezone.utc)
FUTURE = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
OTHER = '"00000000000000000000000000000000"'


def status_of(call):
    """The HTTP status of a boto3 call, whether it raises or not."""
    try:
        return call()["ResponseMetadata"]["HTTPStatusCode"]
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture
def stored(s3, bucket, key):
    """(key, ETag) of a stored object with the body b"old"."""
    return key, s3.put_object(Bucket=bucket, Key=key, Body=b"old")["ETag"]


@pytest.fixture
def content(s3, bucket):
    """content(key) -> its body, or None when it does not exist."""
    def read(name):
        try:
            return s3.get_object(Bucket=bucket, Key=name)["Body"].read()
        except ClientError as error:
            assert error.response["Error"]["Code"] == "NoSuchKey"
            return None
    return read


# Reads

READS = [
    ({"IfMatch": "same"}, 200), ({"IfMatch": "other"}, 412), ({"IfMatch": "*"}, 200),
    ({"IfNoneMatch": "same"}, 304), ({"IfNoneMatch": "other"}, 200), ({"IfNoneMatch": "*"}, 304),
    ({"IfModifiedSince": PAST}, 200), ({"IfModifiedSince": "stored"}, 304),
    ({"IfUnmodifiedSince": PAST}, 412), ({"IfUnmodifiedSince": FUTURE}, 200), ({"IfUnmodifiedSince": "stored"}, 200),
    # An entity tag outranks the date of the same direction.
    ({"IfMatch": "same", "IfUnmodifiedSince": PAST}, 200), ({"IfMatch": "other", "IfUnmodifiedSince": FUTURE}, 412),
    ({"IfNoneMatch": "same", "IfModifiedSince": PAST}, 304), ({"IfNoneMatch": "other", "IfModifiedSince": "stored"}, 200),
    # A failed precondition outranks "not modified".
    ({"IfMatch": "other", "IfNoneMatch": "same"}, 412),
]


@pytest.mark.differs("moto", "know neither * nor the precedence of RFC 9110")
@pytest.mark.parametrize("operation", ["get_object", "head_object"])
@pytest.mark.parametrize("conditions,status", READS, ids=lambda v: "+".join(f"{k}={str(w)[:6]}" for k, w in v.items()) if isinstance(v, dict) else str(v))
def test_reads(s3, bucket, stored, operation, conditions, status):
    name, etag = stored
    modified = s3.head_object(Bucket=bucket, Key=name)["LastModified"]
    known = {"same": etag, "other": OTHER, "stored": modified}
    asked = {k: known.get(v, v) if isinstance(v, str) else v for k, v in conditions.items()}
    assert status_of(lambda: getattr(s3, operation)(Bucket=bucket, Key=name, **asked)) == status


def test_304_carries_the_etag_and_no_body(wire, bucket, stored):
    name, etag = stored
    answer = wire.request("GET", f"/{bucket}/{name}", headers={"if-none-match": etag})
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", etag)
    assert answer.headers.get("content-length", "0") in ("0", "3")


@pytest.mark.differs("seaweedfs", "compares only single quoted tags")
@pytest.mark.differs("moto", "compares the header as one tag")
@pytest.mark.parametrize("shape", ["{bare}", '"x", {etag}', "W/{etag}"])
def test_if_none_match_takes_bare_listed_and_weak_tags(wire, bucket, stored, shape):
    name, etag = stored
    value = shape.format(etag=etag, bare=etag.strip('"'))
    assert wire.request("GET", f"/{bucket}/{name}", headers={"if-none-match": value}).status == 304


@pytest.mark.differs("moto seaweedfs", "fail on it")
def test_an_unreadable_date_is_ignored(wire, bucket, stored):
    name, _ = stored
    answer = wire.request("GET", f"/{bucket}/{name}", headers={"if-modified-since": "yesterday"})
    assert (answer.status, answer.body) == (200, b"old")


def test_a_condition_on_a_missing_object_is_404(s3, bucket):
    get = lambda **c: status_of(lambda: s3.get_object(Bucket=bucket, Key="no/such", **c))  # noqa: E731
    assert get(IfMatch=OTHER) == get(IfNoneMatch="*") == get(IfUnmodifiedSince=PAST) == 404


# Writes

def test_put_if_none_match(s3, bucket, key, content, refused):
    put = lambda body: s3.put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*")  # noqa: E731
    put(b"first")
    refused(lambda: put(b"second"), "PreconditionFailed", 412)
    assert content(key) == b"first"
    s3.delete_object(Bucket=bucket, Key=key)
    put(b"third")
    assert content(key) == b"third"


def test_put_if_match(s3, bucket, stored, content, refused):
    name, etag = stored
    put = lambda tag, body: s3.put_object(Bucket=bucket, Key=name, Body=body, IfMatch=tag)  # noqa: E731
    refused(lambda: put(OTHER, b"no"), "PreconditionFailed", 412)
    assert content(name) == b"old"
    put(etag, b"new")
    assert content(name) == b"new"
    refused(lambda: put(etag, b"again"), "PreconditionFailed", 412)
    assert content(name) == b"new"


@pytest.mark.differs("seaweedfs", "answers 412")
def test_put_if_match_on_nothing(s3, bucket, key, content, refused):
    refused(lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"x", IfMatch=OTHER), "NoSuchKey", 404)
    assert content(key) is None


def test_put_if_none_match_with_a_tag(s3, bucket, key, content, refused):
    """AWS knows If-None-Match only as `*` on writes. A tag means what it means on reads."""
    tag = s3.put_object(Bucket=bucket, Key=key, Body=b"x", IfNoneMatch=OTHER)["ETag"]
    refused(lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"y", IfNoneMatch=tag), "PreconditionFailed", 412)
    refused(
        lambda: s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": key}, IfNoneMatch=tag,
                               MetadataDirective="REPLACE"),
        "PreconditionFailed", 412)
    assert content(key) == b"x"
    s3.put_object(Bucket=bucket, Key=key, Body=b"y", IfNoneMatch=OTHER)
    assert content(key) == b"y"


@pytest.mark.differs("moto", "checks and writes in two steps")
def test_one_of_many_creators_wins(target, bucket, key, content):
    """16 writers, one key, If-None-Match: exactly one 200; the others 412, or 409 while it was undecided."""
    client = target.client()
    bodies = [f"writer {n}".encode() * 2000 for n in range(16)]
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(
            lambda b: status_of(lambda: client.put_object(Bucket=bucket, Key=key, Body=b, IfNoneMatch="*")), bodies,
        ))
    assert statuses.count(200) == 1 and set(statuses) <= {200, 409, 412}, statuses
    assert content(key) == bodies[statuses.index(200)]


@pytest.mark.differs("moto", "checks and writes in two steps")
def test_compare_and_swap_counts_right(target, bucket, key, content):
    """8 clients increment one counter by If-Match: every acknowledged increment counts, no other does."""
    client = target.client()
    client.put_object(Bucket=bucket, Key=key, Body=b"0")

    def increment(_):
        done = 0
        for _ in range(6):
            now = client.get_object(Bucket=bucket, Key=key)
            value = int(now["Body"].read())
            status = status_of(lambda: client.put_object(
                Bucket=bucket, Key=key, Body=str(value + 1).encode(), IfMatch=now["ETag"],
            ))
            assert status in (200, 409, 412)
            done += status == 200
        return done

    with ThreadPoolExecutor(8) as pool:
        acknowledged = sum(pool.map(increment, range(8)))
    assert acknowledged >= 1
    assert int(content(key)) == acknowledged


# Completions

@pytest.fixture
def completion(s3, bucket, key):
    """completion(**conditions) completes a fresh one-part upload of b"new"."""
    upload_ids = []

    def call(**conditions):
        ids = dict(Bucket=bucket, Key=key, UploadId=s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"])
        upload_ids.append(ids)
        etag = s3.upload_part(**ids, PartNumber=1, Body=b"new")["ETag"]
        return s3.complete_multipart_upload(
            **ids, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}, **conditions,
        )

    return call


def test_complete_if_none_match(key, completion, content, refused):
    completion(IfNoneMatch="*")
    assert content(key) == b"new"
    refused(lambda: completion(IfNoneMatch="*"), "PreconditionFailed", 412)


@pytest.mark.differs("moto", "ignores it")
def test_complete_if_match(stored, completion, content, refused):
    name, etag = stored
    refused(lambda: completion(IfMatch=OTHER), "PreconditionFailed", 412)
    assert content(name) == b"old"
    completion(IfMatch=etag)
    assert content(name) == b"new"


@pytest.mark.differs("moto", "answers 412")
@pytest.mark.differs("seaweedfs", "answers 412")
def test_complete_if_match_on_nothing(key, completion, content, refused):
    refused(lambda: completion(IfMatch=OTHER), "NoSuchKey", 404)
    assert content(key) is None


# Copies

@pytest.mark.differs("moto", "knows only some of these")
@pytest.mark.parametrize("conditions,status", [
    ({"CopySourceIfMatch": "same"}, 200), ({"CopySourceIfMatch": "other"}, 412),
    ({"CopySourceIfNoneMatch": "same"}, 412), ({"CopySourceIfNoneMatch": "other"}, 200),
    ({"CopySourceIfModifiedSince": PAST}, 200), ({"CopySourceIfModifiedSince": "stored"}, 412),
    ({"CopySourceIfUnmodifiedSince": PAST}, 412), ({"CopySourceIfUnmodifiedSince": FUTURE}, 200),
    ({"CopySourceIfMatch": "same", "CopySourceIfUnmodifiedSince": PAST}, 200),
    ({"CopySourceIfNoneMatch": "same", "CopySourceIfModifiedSince": PAST}, 412),
], ids=str)
def test_copy_source_conditions(s3, bucket, stored, content, conditions, status):
    name, etag = stored
    known = {"same": etag, "other": OTHER, "stored": s3.head_object(Bucket=bucket, Key=name)["LastModified"]}
    asked = {k: known.get(v, v) if isinstance(v, str) else v for k, v in conditions.items()}
    copy = lambda: s3.copy_object(  # noqa: E731
        Bucket=bucket, Key=name + "-copy", CopySource={"Bucket": bucket, "Key": name}, **asked,
    )
    assert status_of(copy) == status
    assert content(name + "-copy") == (b"old" if status == 200 else None)


@pytest.mark.differs("moto seaweedfs", "ignore conditions on the destination")
def test_copy_destination_conditions(wire, s3, bucket, stored, content):
    """If-Match and If-None-Match on CopyObject are about the object being replaced."""
    name, _ = stored
    copy = lambda **h: wire.request(  # noqa: E731
        "PUT", f"/{bucket}/{name}-copy",
        headers={"x-amz-copy-source": f"/{bucket}/{name}", **{k.replace("_", "-"): v for k, v in h.items()}},
    )
    assert copy(if_match=OTHER).status == 404
    assert copy(if_none_match="*").status == 200
    assert copy(if_none_match="*").code == "PreconditionFailed"
    etag = s3.put_object(Bucket=bucket, Key=name + "-copy", Body=b"changed")["ETag"]
    assert copy(if_match=OTHER).status == 412
    assert content(name + "-copy") == b"changed"
    assert copy(if_match=etag).status == 200
    assert content(name + "-copy") == b"old"


# Deletes

def test_delete_if_match(s3, bucket, stored, content, refused):
    name, etag = stored
    refused(lambda: s3.delete_object(Bucket=bucket, Key=name, IfMatch=OTHER), "PreconditionFailed", 412)
    assert content(name) == b"old"
    assert status_of(lambda: s3.delete_object(Bucket=bucket, Key=name, IfMatch=etag)) == 204
    assert content(name) is None


@pytest.mark.differs("seaweedfs", "answers 412")
@pytest.mark.parametrize("tag", [OTHER, "*"])
def test_delete_if_match_on_nothing(s3, bucket, key, refused, tag):
    refused(lambda: s3.delete_object(Bucket=bucket, Key=key, IfMatch=tag), "NoSuchKey", 404)


@pytest.mark.differs("moto", "ignores conditions on DELETE")
def test_delete_if_match_any(s3, bucket, stored, content):
    name, _ = stored
    assert status_of(lambda: s3.delete_object(Bucket=bucket, Key=name, IfMatch="*")) == 204
    assert content(name) is None


@pytest.mark.differs("moto", "ignores the ETag of an entry")
def test_delete_objects_with_etags(s3, bucket, stored, content):
    name, etag = stored
    assert etag == f'"{hashlib.md5(b"old").hexdigest()}"'
    s3.put_object(Bucket=bucket, Key=name + "-keep", Body=b"keep")
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [
        {"Key": name, "ETag": etag}, {"Key": name + "-keep", "ETag": OTHER},
    ]})
    assert [d["Key"] for d in answer["Deleted"]] == [name]
    assert [(e["Key"], e["Code"]) for e in answer["Errors"]] == [(name + "-keep", "PreconditionFailed")]
    assert (content(name), content(name + "-keep")) == (None, b"keep")
