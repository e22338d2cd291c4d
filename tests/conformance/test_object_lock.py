"""Object Lock: configuration, retention, legal hold, what they keep from being deleted, and who may pass over it."""

import datetime

import pytest


def in_days(days):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)).replace(microsecond=0)


def default(**retention):
    return {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}}


@pytest.fixture(scope="module")
def locked(s3, make_bucket):
    """A bucket made with Object Lock."""
    return make_bucket(ObjectLockEnabledForBucket=True)


@pytest.fixture
def stored(s3, locked, key):
    """(key, version) of an object without a lock of its own."""
    return key, s3.put_object(Bucket=locked, Key=key, Body=b"x")["VersionId"]


@pytest.fixture
def retain(s3, locked):
    def call(key, mode, days, **how):
        return s3.put_object_retention(
            Bucket=locked, Key=key, Retention={"Mode": mode, "RetainUntilDate": in_days(days)}, **how)
    return call


# The bucket

def test_a_bucket_with_object_lock_keeps_versions(s3, locked, refused):
    assert s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"] == {"ObjectLockEnabled": "Enabled"}
    assert s3.get_bucket_versioning(Bucket=locked)["Status"] == "Enabled"
    suspend = lambda: s3.put_bucket_versioning(  # noqa: E731
        Bucket=locked, VersioningConfiguration={"Status": "Suspended"})
    refused(suspend, "InvalidBucketState", 409)


def test_configurations_are_returned_unchanged(s3, make_bucket):
    bucket = make_bucket(ObjectLockEnabledForBucket=True)
    for configuration in [
        default(Mode="GOVERNANCE", Days=1), default(Mode="COMPLIANCE", Years=100), {"ObjectLockEnabled": "Enabled"},
    ]:
        s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=configuration)
        assert s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"] == configuration


@pytest.mark.parametrize("configuration,code", [
    (default(Mode="GOVERNANCE", Days=0), "InvalidRetentionPeriod"),
    (default(Mode="GOVERNANCE", Years=-1), "InvalidRetentionPeriod"),
    (default(Mode="GOVERNANCE", Days=36501), "InvalidRetentionPeriod"),
    (default(Mode="GOVERNANCE", Days=1, Years=1), "MalformedXML"),
    (default(Mode="GOVERNANCE"), "MalformedXML"),
    (default(Mode="governance", Days=1), "MalformedXML"),
    ({**default(Mode="GOVERNANCE", Days=1), "ObjectLockEnabled": "Disabled"}, "MalformedXML"),
], ids=str)
def test_configurations_that_are_none(s3, locked, refused, configuration, code):
    put = lambda: s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=configuration)  # noqa: E731
    refused(put, code, 400)


def test_enabled_later_where_versions_are_kept(s3, make_bucket, refused):
    bucket = make_bucket()
    put = lambda: s3.put_object_lock_configuration(  # noqa: E731
        Bucket=bucket, ObjectLockConfiguration=default(Mode="GOVERNANCE", Days=1))
    refused(lambda: s3.get_object_lock_configuration(Bucket=bucket), "ObjectLockConfigurationNotFoundError", 404)
    refused(put, "InvalidBucketState", 409)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    refused(put, "InvalidBucketState", 409)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    put()
    assert s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled"


def test_documents_need_a_digest(wire, locked, stored):
    for path, subresource in [("", "object-lock"), ("/" + stored[0], "retention"), ("/" + stored[0], "legal-hold")]:
        answer = wire.request("PUT", f"/{locked}{path}", query=[(subresource, "")], body=b"<X/>")
        assert (answer.status, answer.code) == (400, "InvalidRequest"), subresource


# Where there is no Object Lock

def test_a_bucket_without(s3, bucket, key, refused):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    until = in_days(1)
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    for call in [
        lambda: s3.put_object_retention(Bucket=bucket, Key=key, Retention=retention),
        lambda: s3.get_object_retention(Bucket=bucket, Key=key),
        lambda: s3.put_object_legal_hold(Bucket=bucket, Key=key, LegalHold={"Status": "ON"}),
        lambda: s3.get_object_legal_hold(Bucket=bucket, Key=key),
        lambda: s3.put_object(
            Bucket=bucket, Key=key, Body=b"y", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until),
        lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"y", ObjectLockLegalHoldStatus="ON"),
        lambda: s3.create_multipart_upload(Bucket=bucket, Key=key, ObjectLockLegalHoldStatus="ON"),
    ]:
        refused(call, "InvalidRequest", 400)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"x"


# Retention

def test_a_retained_version_stays(s3, locked, stored, retain, refused):
    key, version = stored
    retain(key, "GOVERNANCE", 1)
    refused(lambda: s3.delete_object(Bucket=locked, Key=key, VersionId=version), "AccessDenied", 403)
    errors = s3.delete_objects(Bucket=locked, Delete={"Objects": [{"Key": key, "VersionId": version}]})["Errors"]
    assert [(e["Key"], e["VersionId"], e["Code"]) for e in errors] == [(key, version, "AccessDenied")]
    # A marker can be put over it, and taken away again.
    marker = s3.delete_object(Bucket=locked, Key=key)["VersionId"]
    s3.delete_object(Bucket=locked, Key=key, VersionId=marker)
    assert s3.get_object(Bucket=locked, Key=key)["VersionId"] == version
    s3.delete_object(Bucket=locked, Key=key, VersionId=version, BypassGovernanceRetention=True)
    refused(lambda: s3.get_object(Bucket=locked, Key=key), "NoSuchKey", 404)


def test_many_deletes_may_bypass(s3, locked, stored, retain):
    key, version = stored
    retain(key, "GOVERNANCE", 1)
    answer = s3.delete_objects(
        Bucket=locked, Delete={"Objects": [{"Key": key, "VersionId": version}]}, BypassGovernanceRetention=True)
    assert [d["VersionId"] for d in answer["Deleted"]] == [version] and "Errors" not in answer


def test_compliance_holds_against_everybody(s3, locked, stored, refused):
    key, version = stored
    # Minutes, not days: the bucket can be removed soon.
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=300)
    put = lambda **r: s3.put_object_retention(  # noqa: E731
        Bucket=locked, Key=key, BypassGovernanceRetention=True, Retention=r)
    put(Mode="COMPLIANCE", RetainUntilDate=until)
    delete = lambda: s3.delete_object(  # noqa: E731
        Bucket=locked, Key=key, VersionId=version, BypassGovernanceRetention=True)
    refused(delete, "AccessDenied", 403)
    shorter = until - datetime.timedelta(seconds=100)
    refused(lambda: put(Mode="COMPLIANCE", RetainUntilDate=shorter), "AccessDenied", 403)
    refused(lambda: put(Mode="GOVERNANCE", RetainUntilDate=until), "AccessDenied", 403)
    put(Mode="COMPLIANCE", RetainUntilDate=until + datetime.timedelta(seconds=1))


def test_governance_is_lengthened_freely_and_loosened_by_bypass(s3, locked, stored, retain, refused):
    key, _ = stored
    retain(key, "GOVERNANCE", 2)
    retain(key, "GOVERNANCE", 3)
    refused(lambda: retain(key, "GOVERNANCE", 1), "AccessDenied", 403)
    refused(lambda: retain(key, "COMPLIANCE", 3), "AccessDenied", 403)
    retain(key, "GOVERNANCE", 1, BypassGovernanceRetention=True)
    assert s3.get_object_retention(Bucket=locked, Key=key)["Retention"]["Mode"] == "GOVERNANCE"


@pytest.mark.parametrize("retention,code", [
    ({"Mode": "GOVERNANCE", "RetainUntilDate": in_days(-1)}, "InvalidArgument"),
    ({"Mode": "governance", "RetainUntilDate": in_days(1)}, "MalformedXML"),
    ({"Mode": "GOVERNANCE"}, "MalformedXML"),
    ({"RetainUntilDate": in_days(1)}, "MalformedXML"),
], ids=str)
def test_retentions_that_are_none(s3, locked, stored, refused, retention, code):
    refused(lambda: s3.put_object_retention(Bucket=locked, Key=stored[0], Retention=retention), code, 400)
    refused(lambda: s3.get_object_retention(Bucket=locked, Key=stored[0]), "NoSuchObjectLockConfiguration", 404)


def test_the_default_and_what_overrides_it(s3, make_bucket, key):
    bucket = make_bucket(ObjectLockEnabledForBucket=True)
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=default(Mode="GOVERNANCE", Days=2))
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    head = s3.head_object(Bucket=bucket, Key=key)
    assert head["ObjectLockMode"] == "GOVERNANCE"
    left = head["ObjectLockRetainUntilDate"] - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(days=1, hours=23) < left <= datetime.timedelta(days=2)
    until = in_days(5)
    s3.put_object(Bucket=bucket, Key=key, Body=b"x", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until)
    assert s3.head_object(Bucket=bucket, Key=key)["ObjectLockRetainUntilDate"] == until


# Legal hold

def test_legal_hold(s3, locked, stored, refused):
    key, version = stored
    assert s3.get_object_legal_hold(Bucket=locked, Key=key)["LegalHold"] == {"Status": "OFF"}
    s3.put_object_legal_hold(Bucket=locked, Key=key, LegalHold={"Status": "ON"})
    assert s3.get_object_legal_hold(Bucket=locked, Key=key)["LegalHold"] == {"Status": "ON"}
    assert s3.head_object(Bucket=locked, Key=key)["ObjectLockLegalHoldStatus"] == "ON"
    delete = lambda **how: s3.delete_object(Bucket=locked, Key=key, VersionId=version, **how)  # noqa: E731
    refused(lambda: delete(BypassGovernanceRetention=True), "AccessDenied", 403)
    refused(lambda: s3.put_object_legal_hold(Bucket=locked, Key=key, LegalHold={"Status": "on"}), "MalformedXML", 400)
    s3.put_object_legal_hold(Bucket=locked, Key=key, LegalHold={"Status": "OFF"})
    delete()


# By header

def test_uploads_copies_and_parts_bring_their_lock(s3, locked, key):
    until = in_days(1)
    lock = dict(ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until, ObjectLockLegalHoldStatus="ON")
    s3.put_object(Bucket=locked, Key=key, Body=b"x", **lock)
    s3.copy_object(Bucket=locked, Key=key + "-copy", CopySource={"Bucket": locked, "Key": key}, **lock)
    s3.copy_object(Bucket=locked, Key=key + "-free", CopySource={"Bucket": locked, "Key": key})
    upload = dict(Bucket=locked, Key=key + "-parts")
    upload["UploadId"] = s3.create_multipart_upload(**upload, **lock)["UploadId"]
    etag = s3.upload_part(**upload, PartNumber=1, Body=b"x")["ETag"]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    for name in [key, key + "-copy", key + "-parts"]:
        head = s3.head_object(Bucket=locked, Key=name)
        assert {field: head[field] for field in lock} == lock, name
        s3.put_object_legal_hold(Bucket=locked, Key=name, LegalHold={"Status": "OFF"})
    # A lock is not copied with the object.
    assert "ObjectLockMode" not in s3.head_object(Bucket=locked, Key=key + "-free")


@pytest.mark.parametrize("lock", [
    {"x-amz-object-lock-mode": "GOVERNANCE"},
    {"x-amz-object-lock-retain-until-date": "2100-01-01T00:00:00Z"},
    {"x-amz-object-lock-mode": "governance", "x-amz-object-lock-retain-until-date": "2100-01-01T00:00:00Z"},
    {"x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": "2001-01-01T00:00:00Z"},
    {"x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": "soon"},
    {"x-amz-object-lock-legal-hold": "maybe"},
], ids=lambda lock: "+".join(lock.values()))
def test_headers_that_are_no_lock(wire, locked, key, lock):
    digest = {"content-md5": "nU5O5o2qF+6rT4jvVtuUrA=="}
    answer = wire.request("PUT", f"/{locked}/{key}", headers={**digest, **lock}, body=b"x")
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_locked_uploads_need_a_digest(wire, locked, key):
    answer = wire.request("PUT", f"/{locked}/{key}", headers={"x-amz-object-lock-legal-hold": "ON"}, body=b"x")
    assert (answer.status, answer.code) == (400, "InvalidRequest")
