"""GetObjectAttributes, and the reads of single parts."""

import base64
import hashlib

import pytest

PART = 5 << 20
EVERYTHING = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]


@pytest.fixture
def attributes(s3, bucket):
    def call(key, attributes=EVERYTHING, **how):
        answer = s3.get_object_attributes(Bucket=bucket, Key=key, ObjectAttributes=attributes, **how)
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}
    return call


@pytest.fixture
def multipart(s3, bucket, key):
    """multipart(parts, **create) -> the answer of the completion."""
    def call(parts, algorithm=None, **create):
        upload = dict(Bucket=bucket, Key=key)
        if algorithm:
            create["ChecksumAlgorithm"] = algorithm
        upload["UploadId"] = s3.create_multipart_upload(**upload, **create)["UploadId"]
        done = []
        for number, body in enumerate(parts, 1):
            how = {"ChecksumAlgorithm": algorithm} if algorithm else {}
            answer = s3.upload_part(**upload, PartNumber=number, Body=body, **how)
            part = {"PartNumber": number, "ETag": answer["ETag"]}
            part.update({k: v for k, v in answer.items() if algorithm and k == f"Checksum{algorithm}"})
            done.append(part)
        return s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})
    return call


def test_of_a_single_put(s3, bucket, key, attributes):
    sha = base64.b64encode(hashlib.sha256(b"hello").digest()).decode()
    put = s3.put_object(Bucket=bucket, Key=key, Body=b"hello", ChecksumSHA256=sha, StorageClass="STANDARD_IA")
    found = attributes(key)
    assert found.pop("LastModified") == s3.head_object(Bucket=bucket, Key=key)["LastModified"]
    assert found == {
        "ETag": put["ETag"].strip('"'), "ObjectSize": 5, "StorageClass": "STANDARD_IA",
        "Checksum": {"ChecksumSHA256": sha, "ChecksumType": "FULL_OBJECT"},
    }
    assert set(attributes(key, ["ObjectSize"])) == {"LastModified", "ObjectSize"}


@pytest.mark.parametrize("algorithm,kind", [
    ("SHA256", "COMPOSITE"), ("CRC32", "COMPOSITE"), ("CRC32", "FULL_OBJECT"), ("CRC32C", "FULL_OBJECT"),
    ("CRC64NVME", "FULL_OBJECT"),
])
def test_of_parts(s3, bucket, key, multipart, attributes, algorithm, kind):
    if algorithm in ("CRC32C", "CRC64NVME"):
        pytest.importorskip("awscrt")
    parts = [b"a" * PART, b"b" * PART, b"c"]
    done = multipart(parts, algorithm, ChecksumType=kind)
    found = attributes(key)
    name = f"Checksum{algorithm}"
    assert found["ObjectSize"] == 2 * PART + 1
    assert found["Checksum"] == {name: done[name], "ChecksumType": kind}
    assert found["ObjectParts"]["TotalPartsCount"] == 3 and not found["ObjectParts"]["IsTruncated"]
    assert [(p["PartNumber"], p["Size"]) for p in found["ObjectParts"]["Parts"]] == [(1, PART), (2, PART), (3, 1)]
    assert all(p[name] for p in found["ObjectParts"]["Parts"])


def test_pages_of_parts(key, multipart, attributes):
    multipart([b"a" * PART, b"b" * PART, b"c" * PART, b"d"], "CRC32")
    page = attributes(key, MaxParts=2, PartNumberMarker=1)["ObjectParts"]
    assert [p["PartNumber"] for p in page["Parts"]] == [2, 3]
    assert (page["PartNumberMarker"], page["NextPartNumberMarker"], page["MaxParts"]) == (1, 3, 2)
    assert page["IsTruncated"] and page["TotalPartsCount"] == 4
    rest = attributes(key, MaxParts=2, PartNumberMarker=3)["ObjectParts"]
    assert [p["PartNumber"] for p in rest["Parts"]] == [4] and not rest["IsTruncated"]
    nothing = attributes(key, MaxParts=0)["ObjectParts"]
    assert "Parts" not in nothing and nothing["TotalPartsCount"] == 4


def test_parts_are_read_alone(s3, bucket, key, multipart):
    multipart([b"a" * PART, b"bcd"], "CRC32")
    second = s3.get_object(Bucket=bucket, Key=key, PartNumber=2)
    assert (second["Body"].read(), second["PartsCount"]) == (b"bcd", 2)
    assert second["ContentRange"] == f"bytes {PART}-{PART + 2}/{PART + 3}"
    assert s3.head_object(Bucket=bucket, Key=key, PartNumber=1)["ContentLength"] == PART


def test_refusals(s3, wire, bucket, key, refused):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    ask = lambda attributes: s3.get_object_attributes(  # noqa: E731
        Bucket=bucket, Key=key, ObjectAttributes=attributes)
    refused(lambda: ask(["Nonsense"]), "InvalidArgument", 400)
    assert wire.request("GET", f"/{bucket}/{key}", query=[("attributes", "")]).code == "InvalidRequest"
    missing = lambda: s3.get_object_attributes(Bucket=bucket, Key="no/such", ObjectAttributes=["ETag"])  # noqa: E731
    refused(missing, "NoSuchKey", 404)


def test_of_a_version_and_of_a_delete_marker(s3, make_bucket, key, refused):
    bucket = make_bucket()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket=bucket, Key=key, Body=b"old")["VersionId"]
    s3.put_object(Bucket=bucket, Key=key, Body=b"newer")
    ask = lambda **how: s3.get_object_attributes(  # noqa: E731
        Bucket=bucket, Key=key, ObjectAttributes=["ObjectSize"], **how)
    assert (ask()["ObjectSize"], ask(VersionId=old)["ObjectSize"], ask(VersionId=old)["VersionId"]) == (5, 3, old)
    marker = s3.delete_object(Bucket=bucket, Key=key)["VersionId"]
    gone = refused(ask, "NoSuchKey", 404)
    assert gone["ResponseMetadata"]["HTTPHeaders"]["x-amz-delete-marker"] == "true"
    refused(lambda: ask(VersionId=marker), "MethodNotAllowed", 405)
