"""Access control lists as documents and headers. What they allow to whom is tested with the policies."""

import pytest

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"


@pytest.fixture(scope="module")
def listed(s3, make_bucket):
    """A bucket in which lists count and may be public."""
    name = make_bucket(ObjectOwnership="ObjectWriter")
    s3.delete_public_access_block(Bucket=name)
    return name


def shown(acl):
    """The grants of an answer as (who, what)."""
    return [(g["Grantee"].get("URI") or g["Grantee"]["ID"], g["Permission"]) for g in acl["Grants"]]


@pytest.fixture(scope="module")
def me(s3, bucket):
    return s3.get_bucket_acl(Bucket=bucket)["Owner"]["ID"]


def policy(me, *grants, owner=None):
    return {"Owner": {"ID": owner or me}, "Grants": [
        {"Grantee": grantee, "Permission": permission} for grantee, permission in grants]}


def user(id):
    return {"Type": "CanonicalUser", "ID": id}


CANNED = [
    ("private", []),
    ("public-read", [(ALL_USERS, "READ")]),
    ("public-read-write", [(ALL_USERS, "READ"), (ALL_USERS, "WRITE")]),
    ("authenticated-read", [(AUTHENTICATED, "READ")]),
]


@pytest.mark.parametrize("canned,groups", CANNED, ids=lambda v: v if isinstance(v, str) else "")
def test_canned_lists(s3, listed, key, me, canned, groups):
    expected = groups + [(me, "FULL_CONTROL")]
    s3.put_bucket_acl(Bucket=listed, ACL=canned)
    assert shown(s3.get_bucket_acl(Bucket=listed)) == expected
    s3.put_object(Bucket=listed, Key=key, Body=b"x", ACL=canned)
    s3.put_object(Bucket=listed, Key=key + "-2", Body=b"x")
    assert shown(s3.get_object_acl(Bucket=listed, Key=key + "-2")) == [(me, "FULL_CONTROL")]
    s3.put_object_acl(Bucket=listed, Key=key + "-2", ACL=canned)
    s3.copy_object(Bucket=listed, Key=key + "-3", CopySource={"Bucket": listed, "Key": key}, ACL=canned)
    upload = dict(Bucket=listed, Key=key + "-4")
    upload["UploadId"] = s3.create_multipart_upload(**upload, ACL=canned)["UploadId"]
    etag = s3.upload_part(**upload, PartNumber=1, Body=b"x")["ETag"]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    for name in [key, key + "-2", key + "-3", key + "-4"]:
        assert shown(s3.get_object_acl(Bucket=listed, Key=name)) == expected, name


def test_a_list_is_not_copied(s3, listed, key, me):
    s3.put_object(Bucket=listed, Key=key, Body=b"x", ACL="public-read")
    s3.copy_object(Bucket=listed, Key=key + "-copy", CopySource={"Bucket": listed, "Key": key})
    assert shown(s3.get_object_acl(Bucket=listed, Key=key + "-copy")) == [(me, "FULL_CONTROL")]


def test_documents(s3, listed, key, me):
    before = s3.put_object(Bucket=listed, Key=key, Body=b"x")
    grants = [(user(me), "READ_ACP"), ({"Type": "Group", "URI": ALL_USERS}, "READ")]
    s3.put_object_acl(Bucket=listed, Key=key, AccessControlPolicy=policy(me, *grants))
    assert shown(s3.get_object_acl(Bucket=listed, Key=key)) == [(ALL_USERS, "READ"), (me, "READ_ACP")]
    s3.put_bucket_acl(Bucket=listed, AccessControlPolicy=policy(me))
    assert shown(s3.get_bucket_acl(Bucket=listed)) == []
    s3.put_bucket_acl(Bucket=listed, ACL="private")
    assert s3.head_object(Bucket=listed, Key=key)["ETag"] == before["ETag"]


def test_grant_headers(s3, listed, key, me):
    grants = dict(GrantRead=f'uri="{ALL_USERS}"', GrantReadACP=f"id={me}", GrantFullControl=f'id="{me}"')
    s3.put_object(Bucket=listed, Key=key, Body=b"x", **grants)
    expected = [(ALL_USERS, "READ"), (me, "READ_ACP"), (me, "FULL_CONTROL")]
    assert shown(s3.get_object_acl(Bucket=listed, Key=key)) == expected
    s3.put_bucket_acl(Bucket=listed, **grants)
    assert shown(s3.get_bucket_acl(Bucket=listed)) == expected
    s3.put_bucket_acl(Bucket=listed, ACL="private")


EMAIL = {"Type": "AmazonCustomerByEmail", "EmailAddress": "a@example.com"}


@pytest.mark.parametrize("grantee,permission,code,status", [
    (user("0" * 63 + "f"), "READ", "InvalidArgument", 400),
    ({"Type": "Group", "URI": "http://example.com/"}, "READ", "InvalidArgument", 400),
    # AWS serves no grants to addresses since October 2025.
    (EMAIL, "READ", "MethodNotAllowed", 405),
    ({"Type": "Somebody", "ID": "x"}, "READ", "MalformedACLError", 400),
    (user("x"), "LOOK", "MalformedACLError", 400),
], ids=str)
def test_grants_that_are_none(s3, listed, key, me, refused, grantee, permission, code, status):
    s3.put_object(Bucket=listed, Key=key, Body=b"x")
    named = policy(me, (grantee, permission))
    refused(lambda: s3.put_object_acl(Bucket=listed, Key=key, AccessControlPolicy=named), code, status)
    refused(lambda: s3.put_bucket_acl(Bucket=listed, AccessControlPolicy=named), code, status)
    assert shown(s3.get_object_acl(Bucket=listed, Key=key)) == [(me, "FULL_CONTROL")]


def test_requests_that_make_no_sense(s3, wire, listed, key, me, refused):
    s3.put_object(Bucket=listed, Key=key, Body=b"x")
    put = lambda **acl: s3.put_object_acl(Bucket=listed, Key=key, **acl)  # noqa: E731
    refused(lambda: put(ACL="private", GrantRead=f"id={me}"), "InvalidRequest", 400)
    refused(lambda: put(ACL="private", AccessControlPolicy=policy(me)), "UnexpectedContent", 400)
    refused(lambda: put(AccessControlPolicy=policy(me, owner="0" * 64)), "InvalidArgument", 400)
    refused(lambda: put(GrantRead="nobody"), "InvalidArgument", 400)
    refused(lambda: put(GrantRead='emailAddress="a@example.com"'), "MethodNotAllowed", 405)
    answer = wire.request("PUT", f"/{listed}/{key}", query=[("acl", "")], headers={"x-amz-acl": "open"})
    assert (answer.status, answer.code) == (400, "InvalidArgument")
    assert wire.request("PUT", f"/{listed}/{key}", query=[("acl", "")]).code == "MissingSecurityHeader"
    assert wire.request("PUT", f"/{listed}/{key}", query=[("acl", "")], body=b"<AccessControlPolicy>").code == "MalformedACLError"
    refused(lambda: s3.get_object_acl(Bucket=listed, Key="no/such"), "NoSuchKey", 404)


def test_versions_have_their_own(s3, make_bucket, key, me):
    bucket = make_bucket(ObjectOwnership="ObjectWriter")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    ids = [s3.put_object(Bucket=bucket, Key=key, Body=b"x")["VersionId"] for _ in range(2)]
    grants = policy(me, (user(me), "READ"))
    s3.put_object_acl(Bucket=bucket, Key=key, VersionId=ids[0], AccessControlPolicy=grants)
    assert shown(s3.get_object_acl(Bucket=bucket, Key=key, VersionId=ids[0])) == [(me, "READ")]
    assert shown(s3.get_object_acl(Bucket=bucket, Key=key)) == [(me, "FULL_CONTROL")]


def test_where_nobody_chose_a_list_counts(s3, bucket, key, me):
    """As every new bucket is, unless its maker or the operator chose."""
    assert shown(s3.get_bucket_acl(Bucket=bucket)) == [(me, "FULL_CONTROL")]
    s3.put_object(Bucket=bucket, Key=key, Body=b"x", ACL="public-read")
    assert shown(s3.get_object_acl(Bucket=bucket, Key=key)) == [(ALL_USERS, "READ"), (me, "FULL_CONTROL")]
    s3.put_object_acl(Bucket=bucket, Key=key, ACL="private")
    assert shown(s3.get_object_acl(Bucket=bucket, Key=key)) == [(me, "FULL_CONTROL")]
    s3.put_bucket_acl(Bucket=bucket, ACL="authenticated-read")
    assert shown(s3.get_bucket_acl(Bucket=bucket)) == [(AUTHENTICATED, "READ"), (me, "FULL_CONTROL")]


def test_where_the_bucket_owner_owns_everything(s3, make_bucket, key, me, refused):
    """Lists are shown and cannot be set."""
    bucket = make_bucket(ObjectOwnership="BucketOwnerEnforced")
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    s3.put_object(Bucket=bucket, Key=key, Body=b"x", ACL="bucket-owner-full-control")
    s3.put_object(Bucket=bucket, Key=key, Body=b"x", GrantFullControl=f"id={me}")
    for call in [
        lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"x", ACL="public-read"),
        lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"x", GrantRead=f"id={me}"),
        lambda: s3.create_multipart_upload(Bucket=bucket, Key=key, ACL="public-read"),
        lambda: s3.copy_object(
            Bucket=bucket, Key=key + "-copy", CopySource={"Bucket": bucket, "Key": key}, ACL="public-read"),
        lambda: s3.put_object_acl(Bucket=bucket, Key=key, ACL="private"),
        lambda: s3.put_bucket_acl(Bucket=bucket, ACL="public-read"),
    ]:
        refused(call, "AccessControlListNotSupported", 400)
    assert shown(s3.get_object_acl(Bucket=bucket, Key=key)) == [(me, "FULL_CONTROL")]
    assert shown(s3.get_bucket_acl(Bucket=bucket)) == [(me, "FULL_CONTROL")]


def test_public_lists_can_be_blocked(s3, make_bucket, key, refused):
    bucket = make_bucket(ObjectOwnership="ObjectWriter")
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    for acl in ["public-read", "public-read-write", "authenticated-read"]:
        refused(lambda: s3.put_bucket_acl(Bucket=bucket, ACL=acl), "AccessDenied", 403)
        refused(lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"x", ACL=acl), "AccessDenied", 403)
    refused(lambda: s3.put_bucket_acl(Bucket=bucket, GrantRead=f"uri={ALL_USERS}"), "AccessDenied", 403)
    s3.put_object(Bucket=bucket, Key=key, Body=b"x", ACL="private")


def test_at_creation(s3, make_bucket, me, refused):
    name = make_bucket(ACL="authenticated-read", ObjectOwnership="BucketOwnerPreferred")
    assert shown(s3.get_bucket_acl(Bucket=name)) == [(AUTHENTICATED, "READ"), (me, "FULL_CONTROL")]
    make_bucket(ACL="private")
    name = make_bucket(ACL="public-read")
    assert shown(s3.get_bucket_acl(Bucket=name)) == [(ALL_USERS, "READ"), (me, "FULL_CONTROL")]
    ownership = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
    assert ownership == [{"ObjectOwnership": "ObjectWriter"}], "a list in the request turns lists on"
    for how in [{"ACL": "public-read"}, {"GrantRead": f"id={me}"}]:
        refused(lambda: make_bucket(ObjectOwnership="BucketOwnerEnforced", **how), "InvalidBucketAclWithObjectOwnership", 400)


def test_private_where_somebody_has_chosen_that_no_list_counts(s3, make_bucket, key, refused):
    bucket = make_bucket(ObjectOwnership="BucketOwnerEnforced")
    refused(lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"x", ACL="private"), "AccessControlListNotSupported", 400)
    s3.put_object(Bucket=bucket, Key=key, Body=b"x", ACL="bucket-owner-full-control")
