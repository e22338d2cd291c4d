"""RenameObject: another key for the same object, at once."""

import pytest

PART = 5 << 20
OTHER = '"00000000000000000000000000000000"'


@pytest.fixture
def rename(s3, bucket):
    return lambda source, key, **how: s3.rename_object(Bucket=bucket, Key=key, RenameSource=source, **how)


def test_everything_but_the_key_stays(s3, bucket, key, rename, refused):
    s3.put_object(
        Bucket=bucket, Key=key, Body=b"x" * PART, Metadata={"a": "1"}, Tagging="t=1", StorageClass="STANDARD_IA")
    before = s3.head_object(Bucket=bucket, Key=key)
    rename(f"/{bucket}/{key}", key + "/new name")
    refused(lambda: s3.head_object(Bucket=bucket, Key=key), "404", 404)
    after = s3.head_object(Bucket=bucket, Key=key + "/new name")
    for field in ["ETag", "LastModified", "ContentLength", "Metadata", "StorageClass", "TagCount"]:
        assert after[field] == before[field], field
    assert s3.get_object(Bucket=bucket, Key=key + "/new name")["Body"].read() == b"x" * PART
    rename(f"{key}/new%20name", key)
    assert s3.head_object(Bucket=bucket, Key=key)["ETag"] == before["ETag"]


def test_conditions(s3, bucket, key, rename, refused):
    etag = s3.put_object(Bucket=bucket, Key=key, Body=b"source")["ETag"]
    there = s3.put_object(Bucket=bucket, Key=key + "-to", Body=b"there")["ETag"]
    refused(lambda: rename(key, key + "-to", DestinationIfNoneMatch="*"), "PreconditionFailed", 412)
    refused(lambda: rename(key, key + "-to", DestinationIfMatch=OTHER), "PreconditionFailed", 412)
    refused(lambda: rename(key, key + "-to", SourceIfMatch=OTHER), "PreconditionFailed", 412)
    refused(lambda: rename(key, key + "-to", SourceIfNoneMatch=etag), "PreconditionFailed", 412)
    assert s3.get_object(Bucket=bucket, Key=key + "-to")["Body"].read() == b"there"
    rename(key, key + "-to", SourceIfMatch=etag, DestinationIfMatch=there)
    assert s3.get_object(Bucket=bucket, Key=key + "-to")["Body"].read() == b"source"


def test_refusals(s3, bucket, make_bucket, key, rename, refused):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    refused(lambda: rename("no/such", key + "-to"), "NoSuchKey", 404)
    refused(lambda: rename(key, key), "InvalidRequest", 400)
    refused(lambda: rename("/another-bucket/" + key, key + "-to"), "InvalidArgument", 400)
    versioned = make_bucket()
    s3.put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=versioned, Key=key, Body=b"x")
    refused(lambda: s3.rename_object(Bucket=versioned, Key=key + "-to", RenameSource=key), "InvalidRequest", 400)
