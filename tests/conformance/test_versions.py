"""Versioning: what versions, delete markers and the null version look like to every operation that names one."""

import pytest

MISSING = "00000000000000ff"


@pytest.fixture(scope="module")
def versioned(s3, make_bucket):
    """A bucket that keeps versions."""
    name = make_bucket()
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def headers_of(answer):
    return answer["ResponseMetadata"]["HTTPHeaders"]


def test_versions_are_kept_and_told_apart(s3, versioned, key):
    ids = [s3.put_object(Bucket=versioned, Key=key, Body=body)["VersionId"] for body in (b"one", b"two")]
    assert len(set(ids)) == 2
    current = s3.get_object(Bucket=versioned, Key=key)
    assert (current["VersionId"], current["Body"].read()) == (ids[1], b"two")
    old = s3.get_object(Bucket=versioned, Key=key, VersionId=ids[0])
    assert (old["VersionId"], old["Body"].read()) == (ids[0], b"one")
    head = s3.head_object(Bucket=versioned, Key=key, VersionId=ids[0])
    assert (head["VersionId"], head["ContentLength"]) == (ids[0], 3)


def test_a_delete_marker_hides_and_is_named(s3, versioned, key, refused):
    version = s3.put_object(Bucket=versioned, Key=key, Body=b"x")["VersionId"]
    deleted = s3.delete_object(Bucket=versioned, Key=key)
    assert deleted["DeleteMarker"] is True
    marker = deleted["VersionId"]
    hidden = refused(lambda: s3.get_object(Bucket=versioned, Key=key), "NoSuchKey", 404)
    assert headers_of(hidden)["x-amz-delete-marker"] == "true"
    assert headers_of(hidden)["x-amz-version-id"] == marker
    head = refused(lambda: s3.head_object(Bucket=versioned, Key=key), "404", 404)
    assert headers_of(head)["x-amz-delete-marker"] == "true"
    refused(lambda: s3.put_object_acl(Bucket=versioned, Key=key, ACL="private"), "MethodNotAllowed", 405)
    named = refused(lambda: s3.get_object(Bucket=versioned, Key=key, VersionId=marker), "MethodNotAllowed", 405)
    assert headers_of(named)["x-amz-delete-marker"] == "true"
    assert headers_of(named)["allow"] == "DELETE"
    assert "last-modified" in headers_of(named)
    assert s3.get_object(Bucket=versioned, Key=key, VersionId=version)["Body"].read() == b"x"
    gone = s3.delete_object(Bucket=versioned, Key=key, VersionId=marker)
    assert (gone["DeleteMarker"], gone["VersionId"]) == (True, marker)
    assert s3.get_object(Bucket=versioned, Key=key)["VersionId"] == version


def test_deleting_a_version_is_for_good(s3, versioned, key, refused):
    ids = [s3.put_object(Bucket=versioned, Key=key, Body=body)["VersionId"] for body in (b"1", b"2")]
    answer = s3.delete_object(Bucket=versioned, Key=key, VersionId=ids[1])
    assert answer["VersionId"] == ids[1] and "DeleteMarker" not in answer
    assert s3.get_object(Bucket=versioned, Key=key)["VersionId"] == ids[0]
    refused(lambda: s3.get_object(Bucket=versioned, Key=key, VersionId=ids[1]), "NoSuchVersion", 404)
    # Deleting what is not there is a success.
    assert s3.delete_object(Bucket=versioned, Key=key, VersionId=ids[1])["VersionId"] == ids[1]


@pytest.mark.parametrize("operation", [
    "get_object", "delete_object", "get_object_tagging", "delete_object_tagging", "get_object_acl",
])
def test_a_version_that_cannot_be(s3, versioned, key, refused, operation):
    s3.put_object(Bucket=versioned, Key=key, Body=b"x")
    for bad in ["nonsense", "../../x", "UIORUnfndfiufdisojhr398493jfdkjFJjkndnqUifhnw89493jJFJ "]:
        refused(lambda: getattr(s3, operation)(Bucket=versioned, Key=key, VersionId=bad), "InvalidArgument", 400)


@pytest.mark.parametrize("operation", ["get_object", "get_object_tagging", "delete_object_tagging", "get_object_acl"])
def test_a_version_that_is_not(s3, versioned, key, refused, operation):
    s3.put_object(Bucket=versioned, Key=key, Body=b"x")
    refused(lambda: getattr(s3, operation)(Bucket=versioned, Key=key, VersionId=MISSING), "NoSuchVersion", 404)


def test_the_null_version(s3, make_bucket, key):
    bucket = make_bucket()
    assert "VersionId" not in s3.put_object(Bucket=bucket, Key=key, Body=b"before")
    assert "VersionId" not in s3.get_object(Bucket=bucket, Key=key)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert s3.head_object(Bucket=bucket, Key=key)["VersionId"] == "null"
    version = s3.put_object(Bucket=bucket, Key=key, Body=b"kept")["VersionId"]
    assert s3.get_object(Bucket=bucket, Key=key, VersionId="null")["Body"].read() == b"before"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    assert "VersionId" not in s3.put_object(Bucket=bucket, Key=key, Body=b"replaced")
    assert s3.get_object(Bucket=bucket, Key=key, VersionId="null")["Body"].read() == b"replaced"
    # A copy, unlike other writes, names it.
    copied = s3.copy_object(Bucket=bucket, Key=f"copy-{key}", CopySource={"Bucket": bucket, "Key": key})
    assert copied["VersionId"] == "null"
    deleted = s3.delete_object(Bucket=bucket, Key=key)
    assert (deleted["DeleteMarker"], deleted["VersionId"]) == (True, "null")
    listed = s3.list_object_versions(Bucket=bucket, Prefix=key)
    assert [v["VersionId"] for v in listed["Versions"]] == [version]
    assert [m["VersionId"] for m in listed["DeleteMarkers"]] == ["null"]


def test_many_deletes_with_versions(s3, versioned, key):
    version = s3.put_object(Bucket=versioned, Key=key, Body=b"x")["VersionId"]
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": key}]})["Deleted"][0]
    marker = answer["DeleteMarkerVersionId"]
    assert answer == {"Key": key, "DeleteMarker": True, "DeleteMarkerVersionId": marker}
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": [
        {"Key": key, "VersionId": version}, {"Key": key, "VersionId": marker}, {"Key": key, "VersionId": "nonsense"},
    ]})
    by_version = {entry["VersionId"]: entry for entry in answer["Deleted"]}
    assert by_version[version] == {"Key": key, "VersionId": version}
    assert by_version[marker] == {
        "Key": key, "VersionId": marker, "DeleteMarker": True, "DeleteMarkerVersionId": marker,
    }
    assert [(e["Key"], e["VersionId"]) for e in answer["Errors"]] == [(key, "nonsense")]
    quiet = s3.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": key}], "Quiet": True})
    assert "Deleted" not in quiet and "Errors" not in quiet


def test_listing_an_unversioned_bucket(s3, bucket, key):
    put = s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    [entry] = s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]
    assert (entry["VersionId"], entry["IsLatest"], entry["ETag"], entry["Size"]) == ("null", True, put["ETag"], 1)
    assert entry["StorageClass"] == "STANDARD" and entry["Owner"]["ID"]
    assert entry["ChecksumAlgorithm"] == ["CRC32"] and entry["ChecksumType"] == "FULL_OBJECT"


def test_listing_is_by_key_and_then_newest_first(s3, make_bucket):
    bucket = make_bucket()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    expected = []
    for name in ["a b", "a/1", "a/2", "b"]:
        ids = [s3.put_object(Bucket=bucket, Key=name, Body=b"x")["VersionId"] for _ in range(3)]
        ids.append(s3.delete_object(Bucket=bucket, Key=name)["VersionId"])
        expected += [(name, version) for version in reversed(ids)]
    for size in [1, 3, 4, 5, 1000]:
        found, asked = [], {"MaxKeys": size}
        while True:
            page = s3.list_object_versions(Bucket=bucket, **asked)
            entries = page.get("Versions", []) + page.get("DeleteMarkers", [])
            assert len(entries) <= size
            found += [(e["Key"], e["VersionId"], e["IsLatest"]) for e in entries]
            if not page["IsTruncated"]:
                break
            asked.update(KeyMarker=page["NextKeyMarker"], VersionIdMarker=page["NextVersionIdMarker"])
        latest = {(name, version) for name, version, is_latest in found if is_latest}
        assert sorted((n, v) for n, v, _ in found) == sorted(expected), size
        assert latest == {entry for entry in expected if entry in expected[::4]}, size


def test_listing_with_a_delimiter(s3, make_bucket):
    bucket = make_bucket()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for name in ["a/1", "a/2", "b", "c/1"]:
        s3.put_object(Bucket=bucket, Key=name, Body=b"x")
        s3.put_object(Bucket=bucket, Key=name, Body=b"y")
    page = s3.list_object_versions(Bucket=bucket, Delimiter="/", MaxKeys=2)
    assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["a/"]
    assert [v["Key"] for v in page["Versions"]] == ["b"]
    assert page["IsTruncated"] and page["NextKeyMarker"] == "b"
    rest = s3.list_object_versions(
        Bucket=bucket, Delimiter="/", KeyMarker=page["NextKeyMarker"], VersionIdMarker=page["NextVersionIdMarker"],
    )
    assert [v["Key"] for v in rest["Versions"]] == ["b"]
    assert [p["Prefix"] for p in rest["CommonPrefixes"]] == ["c/"]
    after = s3.list_object_versions(Bucket=bucket, Delimiter="/", KeyMarker="a/")
    assert "a/" not in [p["Prefix"] for p in after["CommonPrefixes"]]


def test_a_version_marker_needs_a_key_marker(s3, versioned, refused):
    refused(lambda: s3.list_object_versions(Bucket=versioned, VersionIdMarker=MISSING), "InvalidArgument", 400)


def test_copies_of_versions(s3, versioned, key, refused):
    old = s3.put_object(Bucket=versioned, Key=key, Body=b"old")["VersionId"]
    s3.put_object(Bucket=versioned, Key=key, Body=b"new")
    source = {"Bucket": versioned, "Key": key, "VersionId": old}
    copy = s3.copy_object(Bucket=versioned, Key=key + "-copy", CopySource=source)
    assert copy["CopySourceVersionId"] == old and copy["VersionId"] != old
    assert s3.get_object(Bucket=versioned, Key=key + "-copy")["Body"].read() == b"old"
    # An old version becomes the current one by being copied onto its own key.
    restored = s3.copy_object(Bucket=versioned, Key=key, CopySource=source)["VersionId"]
    current = s3.get_object(Bucket=versioned, Key=key)
    assert (current["VersionId"], current["Body"].read()) == (restored, b"old")
    marker = s3.delete_object(Bucket=versioned, Key=key)["VersionId"]
    copy = lambda **source: s3.copy_object(  # noqa: E731
        Bucket=versioned, Key=key + "-copy", CopySource={"Bucket": versioned, "Key": key, **source})
    refused(lambda: copy(), "NoSuchKey", 404)
    refused(lambda: copy(VersionId=marker), "InvalidRequest", 400)
    refused(lambda: copy(VersionId=MISSING), "NoSuchVersion", 404)
    refused(lambda: copy(VersionId="nonsense"), "InvalidArgument", 400)


def test_parts_copied_from_versions(s3, versioned, key):
    old = s3.put_object(Bucket=versioned, Key=key, Body=b"old")["VersionId"]
    s3.put_object(Bucket=versioned, Key=key, Body=b"newer")
    upload = dict(Bucket=versioned, Key=key + "-parts")
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    part = s3.upload_part_copy(**upload, PartNumber=1, CopySource={"Bucket": versioned, "Key": key, "VersionId": old})
    assert part["CopySourceVersionId"] == old
    parts = [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]
    done = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    got = s3.get_object(Bucket=versioned, Key=key + "-parts", VersionId=done["VersionId"])
    assert got["Body"].read() == b"old"


def test_a_bucket_with_versions_is_not_empty(s3, make_bucket, refused):
    bucket = make_bucket()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["VersionId"]
    marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    refused(lambda: s3.delete_bucket(Bucket=bucket), "BucketNotEmpty", 409)
    s3.delete_object(Bucket=bucket, Key="k", VersionId=version)
    refused(lambda: s3.delete_bucket(Bucket=bucket), "BucketNotEmpty", 409)
    s3.delete_object(Bucket=bucket, Key="k", VersionId=marker)
    s3.delete_bucket(Bucket=bucket)
