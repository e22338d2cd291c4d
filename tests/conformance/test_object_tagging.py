"""Object tags: by header and by document, copied and replaced, counted and bounded."""

import pytest


def tags(**pairs):
    return {"TagSet": [{"Key": key, "Value": value} for key, value in pairs.items()]}


@pytest.fixture
def tags_of(s3, bucket):
    return lambda key, **version: {
        tag["Key"]: tag["Value"] for tag in s3.get_object_tagging(Bucket=bucket, Key=key, **version)["TagSet"]
    }


def test_put_get_delete(s3, bucket, key, tags_of):
    put = s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert tags_of(key) == {}
    assert "TagCount" not in s3.head_object(Bucket=bucket, Key=key)
    s3.put_object_tagging(Bucket=bucket, Key=key, Tagging=tags(b="2", a="1 + é"))
    assert tags_of(key) == {"a": "1 + é", "b": "2"}
    for answer in [s3.head_object(Bucket=bucket, Key=key), s3.get_object(Bucket=bucket, Key=key)]:
        assert answer["TagCount"] == 2 and answer["ETag"] == put["ETag"]
    s3.put_object_tagging(Bucket=bucket, Key=key, Tagging=tags(c="3"))
    assert tags_of(key) == {"c": "3"}
    answer = s3.delete_object_tagging(Bucket=bucket, Key=key)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert tags_of(key) == {}


def test_by_header(s3, bucket, key, tags_of):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x", Tagging="foo=bar&empty&a%20b=%2B")
    assert tags_of(key) == {"foo": "bar", "empty": "", "a b": "+"}
    upload = dict(Bucket=bucket, Key=key)
    upload["UploadId"] = s3.create_multipart_upload(**upload, Tagging="many=parts")["UploadId"]
    etag = s3.upload_part(**upload, PartNumber=1, Body=b"x")["ETag"]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert tags_of(key) == {"many": "parts"}


@pytest.mark.parametrize("header,code", [
    ("a=1&a=2", "InvalidArgument"), ("=x", "InvalidArgument"), ("a=%zz", "InvalidArgument"),
    ("a%2A=1", "InvalidTag"), ("a=%3F", "InvalidTag"), ("a" * 129 + "=1", "InvalidTag"),
    ("&".join(f"k{n}=v" for n in range(11)), "InvalidTag"),
])
def test_headers_that_are_no_tags(s3, bucket, key, refused, header, code):
    refused(lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"x", Tagging=header), code, 400)
    refused(lambda: s3.head_object(Bucket=bucket, Key=key), "404", 404)


@pytest.mark.parametrize("pairs,code", [
    ({"k" * 129: "v"}, "InvalidTag"), ({"k": "v" * 257}, "InvalidTag"), ({"k#": "v"}, "InvalidTag"),
    ({"k": "(v)"}, "InvalidTag"), ({"aws:k": "v"}, "InvalidTag"), ({f"k{n}": "v" for n in range(11)}, "InvalidTag"),
], ids=lambda v: v if isinstance(v, str) else f"{len(v)}-{str(v)[:12]}")
def test_documents_that_are_no_tags(s3, bucket, key, tags_of, refused, pairs, code):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x", Tagging="kept=1")
    refused(lambda: s3.put_object_tagging(Bucket=bucket, Key=key, Tagging=tags(**pairs)), code, 400)
    assert tags_of(key) == {"kept": "1"}


def test_a_repeated_key_and_a_broken_document(s3, wire, bucket, key, refused):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    twice = {"TagSet": [{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}]}
    refused(lambda: s3.put_object_tagging(Bucket=bucket, Key=key, Tagging=twice), "InvalidTag", 400)
    answer = wire.request("PUT", f"/{bucket}/{key}", query=[("tagging", "")], body=b"<Tagging><TagSet><Tag>")
    assert (answer.status, answer.code) == (400, "MalformedXML")


def test_copies(s3, bucket, key, tags_of, refused):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x", Tagging="a=1")
    copy = lambda **how: s3.copy_object(  # noqa: E731
        Bucket=bucket, Key=key + "-copy", CopySource={"Bucket": bucket, "Key": key}, **how)
    copy()
    assert tags_of(key + "-copy") == {"a": "1"}
    copy(TaggingDirective="REPLACE", Tagging="b=2")
    assert tags_of(key + "-copy") == {"b": "2"}
    copy(TaggingDirective="REPLACE")
    assert tags_of(key + "-copy") == {}
    copy(Tagging="ignored=1")
    assert tags_of(key + "-copy") == {"a": "1"}
    refused(lambda: copy(TaggingDirective="WHATEVER"), "InvalidArgument", 400)


def test_versions_have_their_own(s3, make_bucket, key, refused):
    bucket = make_bucket()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    ids = [s3.put_object(Bucket=bucket, Key=key, Body=b"x")["VersionId"] for _ in range(2)]
    answer = s3.put_object_tagging(Bucket=bucket, Key=key, VersionId=ids[0], Tagging=tags(old="1"))
    assert answer["VersionId"] == ids[0]
    got = s3.get_object_tagging(Bucket=bucket, Key=key, VersionId=ids[0])
    assert (got["VersionId"], got["TagSet"]) == (ids[0], [{"Key": "old", "Value": "1"}])
    assert s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"] == []
    assert s3.delete_object_tagging(Bucket=bucket, Key=key, VersionId=ids[0])["VersionId"] == ids[0]
    marker = s3.delete_object(Bucket=bucket, Key=key)["VersionId"]
    refused(lambda: s3.get_object_tagging(Bucket=bucket, Key=key, VersionId=marker), "MethodNotAllowed", 405)
    # Unlike other reads, AWS answers this one so without naming the version, too.
    refused(lambda: s3.get_object_tagging(Bucket=bucket, Key=key), "MethodNotAllowed", 405)


def test_of_nothing(s3, bucket, refused):
    refused(lambda: s3.get_object_tagging(Bucket=bucket, Key="no/such"), "NoSuchKey", 404)
    refused(lambda: s3.put_object_tagging(Bucket=bucket, Key="no/such", Tagging=tags(a="1")), "NoSuchKey", 404)
