"""The configuration of a bucket through boto3: what is put comes back, what AWS refuses is refused."""

import datetime
import json
import time
import uuid

import pytest

REPLICATION = {"Role": "arn:aws:iam::000000000000:role/r",
               "Rules": [{"Status": "Enabled", "Prefix": "", "Destination": {"Bucket": "arn:aws:s3:::b"}}]}


@pytest.fixture
def bucket(make_bucket):
    """A bucket of the test's own: configurations must not meet."""
    return make_bucket()


def without_metadata(answer):
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


# Versioning

def test_versioning_is_never_then_enabled_then_suspended(s3, bucket, refused):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    for status in ("Enabled", "Suspended", "Enabled"):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status
    refused(lambda: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Off"}), "MalformedXML", 400)
    refused(lambda: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={}),
            "IllegalVersioningConfigurationException", 400)
    refused(lambda: s3.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Enabled", "MFADelete": "Enabled"}), "NotImplemented", 501)


def test_a_bucket_with_object_lock_keeps_its_versions(s3, refused):
    name = f"conformance-{uuid.uuid4().hex[:16]}"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    refused(lambda: s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"}),
            "InvalidBucketState", 409)
    s3.delete_bucket(Bucket=name)


# Tags

def test_bucket_tags(s3, bucket, refused):
    refused(lambda: s3.get_bucket_tagging(Bucket=bucket), "NoSuchTagSet", 404)
    tags = [{"Key": "team", "Value": "Größe +-=._:/@ 1"}, {"Key": "empty", "Value": ""}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    s3.delete_bucket_tagging(Bucket=bucket)
    refused(lambda: s3.get_bucket_tagging(Bucket=bucket), "NoSuchTagSet", 404)


@pytest.mark.parametrize("tags, code", [
    ([{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}], "InvalidTag"),
    ([{"Key": "k" * 129, "Value": ""}], "InvalidTag"),
    ([{"Key": "a", "Value": "v" * 257}], "InvalidTag"),
    ([{"Key": "aws:a", "Value": "1"}], "InvalidTag"),
    ([{"Key": "a\u0007", "Value": "1"}], ("InvalidTag", "MalformedXML")),
    ([{"Key": str(number), "Value": ""} for number in range(51)], ("BadRequest", "InvalidTag")),
], ids=["twice", "long-key", "long-value", "reserved", "control", "too-many"])
def test_bucket_tags_refused(s3, bucket, refused, tags, code):
    refused(lambda: s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags}), code, 400)


def test_a_bucket_is_created_with_tags_and_ownership(s3):
    name = f"conformance-{uuid.uuid4().hex[:16]}"
    s3.create_bucket(Bucket=name, ObjectOwnership="BucketOwnerPreferred",
                     CreateBucketConfiguration={"Tags": [{"Key": "a", "Value": "b"}]})
    assert s3.get_bucket_tagging(Bucket=name)["TagSet"] == [{"Key": "a", "Value": "b"}]
    rules = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerPreferred"}]
    s3.delete_bucket(Bucket=name)


# Public access, policy, ownership

def public_policy(bucket, **more):
    return json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*", **more}]})


def test_a_block_keeps_the_public_out(s3, bucket, refused):
    refused(lambda: s3.get_public_access_block(Bucket=bucket), "NoSuchPublicAccessBlockConfiguration", 404)
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicPolicy": True})
    refused(lambda: s3.put_bucket_policy(Bucket=bucket, Policy=public_policy(bucket)), "AccessDenied", 403)
    narrow = public_policy(bucket, Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/24"}})
    s3.put_bucket_policy(Bucket=bucket, Policy=narrow)
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is False


def test_policy_life(s3, bucket, refused):
    refused(lambda: s3.get_bucket_policy(Bucket=bucket), "NoSuchBucketPolicy", 404)
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is False
    s3.delete_public_access_block(Bucket=bucket)
    refused(lambda: s3.get_public_access_block(Bucket=bucket), "NoSuchPublicAccessBlockConfiguration", 404)
    policy = public_policy(bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == policy
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is True
    for _ in range(2):
        s3.delete_bucket_policy(Bucket=bucket)
    refused(lambda: s3.get_bucket_policy(Bucket=bucket), "NoSuchBucketPolicy", 404)


@pytest.mark.parametrize("policy", [
    "", "{", "[]", '{"Version": "2012-10-17"}',
    '{"Version": "2013-01-01", "Statement": []}',
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::BUCKET/*"}]}',
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::other/*"}]}',
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:Fly", "Resource": "arn:aws:s3:::BUCKET/*"}]}',
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::BUCKET/*"}]}',
], ids=["empty", "no-json", "list", "no-statement", "version", "no-principal", "other-bucket", "no-action", "no-resource"])
def test_policies_refused(s3, bucket, refused, policy):
    refused(lambda: s3.put_bucket_policy(Bucket=bucket, Policy=policy.replace("BUCKET", bucket)), "MalformedPolicy", 400)


def test_public_access_block_keeps_each_setting(s3, bucket):
    names = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"]
    for on in names:
        block = {name: name == on for name in names}
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)
        assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == block


def test_ownership_life(s3, bucket, refused):
    def ownership():
        return s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]

    assert ownership() == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    for name in ("ObjectWriter", "BucketOwnerPreferred", "BucketOwnerEnforced"):
        rules = [{"ObjectOwnership": name}]
        s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": rules})
        assert ownership() == rules
    for _ in range(2):
        s3.delete_bucket_ownership_controls(Bucket=bucket)
    refused(ownership, "OwnershipControlsNotFoundError", 404)


# Encryption

def test_default_encryption(s3, bucket, refused):
    """Where the store encrypts nothing of itself a bucket must not say that it does."""
    def rule():
        [found] = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        return found

    refused(rule, "ServerSideEncryptionConfigurationNotFoundError", 404)
    for by_default in ({"SSEAlgorithm": "AES256"}, {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "my-key"}):
        put = {"ApplyServerSideEncryptionByDefault": by_default, "BucketKeyEnabled": True}
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [put]})
        assert rule() == put
    s3.delete_bucket_encryption(Bucket=bucket)
    refused(rule, "ServerSideEncryptionConfigurationNotFoundError", 404)


# Lifecycle

def lifecycle_rule(**more):
    return {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "a/"}, **more}


def put_lifecycle(s3, bucket, *rules, **more):
    return s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": list(rules)}, **more)


def test_lifecycle_comes_back_unchanged(s3, bucket, refused):
    refused(lambda: s3.get_bucket_lifecycle_configuration(Bucket=bucket), "NoSuchLifecycleConfiguration", 404)
    date = datetime.datetime(2040, 1, 1, tzinfo=datetime.timezone.utc)
    rules = [
        {"ID": "and", "Status": "Enabled",
         "Filter": {"And": {"Prefix": "x", "Tags": [{"Key": "k", "Value": "v"}], "ObjectSizeGreaterThan": 1,
                            "ObjectSizeLessThan": 10}},
         "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}, {"Days": 60, "StorageClass": "GLACIER"}],
         "Expiration": {"Days": 90}},
        {"ID": "date", "Status": "Disabled", "Filter": {"Tag": {"Key": "k", "Value": "v"}}, "Expiration": {"Date": date}},
        {"ID": "noncurrent", "Status": "Enabled", "Filter": {"Prefix": ""},
         "NoncurrentVersionTransitions": [{"NoncurrentDays": 5, "StorageClass": "GLACIER"}],
         "NoncurrentVersionExpiration": {"NoncurrentDays": 9, "NewerNoncurrentVersions": 3}},
        {"ID": "marker", "Status": "Enabled", "Filter": {"Prefix": "m"}, "Expiration": {"ExpiredObjectDeleteMarker": True},
         "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
    ]
    put_lifecycle(s3, bucket, *rules)
    answer = s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert answer["Rules"] == rules
    assert answer["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    put_lifecycle(s3, bucket, lifecycle_rule(Expiration={"Days": 1}),
                  TransitionDefaultMinimumObjectSize="varies_by_storage_class")
    answer = s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert answer["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"
    s3.delete_bucket_lifecycle(Bucket=bucket)
    refused(lambda: s3.get_bucket_lifecycle_configuration(Bucket=bucket), "NoSuchLifecycleConfiguration", 404)


@pytest.mark.parametrize("change, code", [
    ({}, "InvalidRequest"),
    ({"Expiration": {"Days": 0}}, "InvalidArgument"),
    ({"Expiration": {"Days": -1}}, "InvalidArgument"),
    ({"Expiration": {"Date": datetime.datetime(2040, 1, 1, 1)}}, "InvalidArgument"),
    ({"Expiration": {"Days": 1, "ExpiredObjectDeleteMarker": True}}, "MalformedXML"),
    ({"Expiration": {"Days": 1}, "Status": "enabled"}, "MalformedXML"),
    ({"Expiration": {"Days": 1}, "ID": "i" * 256}, "InvalidArgument"),
    ({"Expiration": {"ExpiredObjectDeleteMarker": True}, "Filter": {"Tag": {"Key": "k", "Value": "v"}}}, "InvalidRequest"),
    ({"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}, "Filter": {"Tag": {"Key": "k", "Value": "v"}}},
     "InvalidRequest"),
    ({"Transitions": [{"Days": 29, "StorageClass": "STANDARD_IA"}]}, "InvalidArgument"),
    ({"Transitions": [{"Days": 30, "StorageClass": "COLD"}]}, "MalformedXML"),
    ({"Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}, {"Days": 40, "StorageClass": "GLACIER"}]},
     "InvalidArgument"),
    ({"Transitions": [{"Days": 30, "StorageClass": "GLACIER"}], "Expiration": {"Days": 30}}, "InvalidArgument"),
    ({"NoncurrentVersionExpiration": {"NoncurrentDays": 0}}, "InvalidArgument"),
    ({"NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 101}}, "InvalidArgument"),
], ids=str)
def test_lifecycle_refused(s3, bucket, refused, change, code):
    refused(lambda: put_lifecycle(s3, bucket, lifecycle_rule(**change)), code, 400)


def test_lifecycle_ids_are_unique_and_made_where_missing(s3, bucket, refused):
    rule = lifecycle_rule(Expiration={"Days": 1})
    refused(lambda: put_lifecycle(s3, bucket, rule, rule), "InvalidArgument", 400)
    nameless = {name: value for name, value in rule.items() if name != "ID"}
    put_lifecycle(s3, bucket, nameless, nameless)
    ids = [rule["ID"] for rule in s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]]
    assert len(set(ids)) == 2 and all(ids)


def test_expiration_header(s3, bucket):
    put_lifecycle(s3, bucket, lifecycle_rule(ID="my rule", Expiration={"Days": 3}))
    before = datetime.datetime.now(datetime.timezone.utc)
    stored = s3.put_object(Bucket=bucket, Key="a/k", Body=b"x")["Expiration"]
    midnight = (before + datetime.timedelta(days=4)).strftime("%a, %d %b %Y 00:00:00 GMT")
    assert stored == f'expiry-date="{midnight}", rule-id="my%20rule"'
    assert s3.head_object(Bucket=bucket, Key="a/k")["Expiration"] == stored
    assert s3.get_object(Bucket=bucket, Key="a/k")["Expiration"] == stored
    assert "Expiration" not in s3.put_object(Bucket=bucket, Key="b", Body=b"x")


# The others

def test_website(s3, bucket, refused):
    refused(lambda: s3.get_bucket_website(Bucket=bucket), "NoSuchWebsiteConfiguration", 404)
    site = {"IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "error.html"},
            "RoutingRules": [{"Condition": {"KeyPrefixEquals": "old/"}, "Redirect": {"ReplaceKeyPrefixWith": "new/"}}]}
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=site)
    assert without_metadata(s3.get_bucket_website(Bucket=bucket)) == site
    refused(lambda: s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration={"IndexDocument": {"Suffix": "a/b"}}),
            "InvalidArgument", 400)
    s3.delete_bucket_website(Bucket=bucket)
    refused(lambda: s3.get_bucket_website(Bucket=bucket), "NoSuchWebsiteConfiguration", 404)


def test_logging(s3, bucket, make_bucket, refused):
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)
    enabled = {"TargetBucket": make_bucket(), "TargetPrefix": "log/",
               "TargetObjectKeyFormat": {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}}}
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": enabled})
    assert s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"] == enabled
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)
    nowhere = {"TargetBucket": f"nowhere-{uuid.uuid4().hex[:16]}", "TargetPrefix": ""}
    refused(lambda: s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": nowhere}),
            "InvalidTargetBucketForLogging", 400)


def test_request_payment_and_acceleration(s3, bucket, refused):
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "Requester"
    refused(lambda: s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Me"}),
            "MalformedXML", 400)
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket=bucket)
    s3.put_bucket_accelerate_configuration(Bucket=bucket, AccelerateConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_accelerate_configuration(Bucket=bucket)["Status"] == "Enabled"


def test_what_no_bucket_has_is_answered(s3, bucket, refused):
    refused(lambda: s3.get_bucket_replication(Bucket=bucket), "ReplicationConfigurationNotFoundError", 404)
    refused(lambda: s3.put_bucket_replication(Bucket=bucket, ReplicationConfiguration=REPLICATION), "NotImplemented", 501)
    assert s3.list_bucket_analytics_configurations(Bucket=bucket)["IsTruncated"] is False
    refused(lambda: s3.get_bucket_metrics_configuration(Bucket=bucket, Id="i"), "NoSuchConfiguration", 404)


# Cross-origin requests

CORS = {"CORSRules": [{"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["https://*.example.com"],
                       "AllowedHeaders": ["*"], "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 9}]}
PAGE = "https://app.example.com"


def test_cors_life(s3, bucket, refused):
    refused(lambda: s3.get_bucket_cors(Bucket=bucket), "NoSuchCORSConfiguration", 404)
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration=CORS)
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == CORS["CORSRules"]
    s3.delete_bucket_cors(Bucket=bucket)
    refused(lambda: s3.get_bucket_cors(Bucket=bucket), "NoSuchCORSConfiguration", 404)


@pytest.mark.parametrize("rule, code", [
    ({"AllowedMethods": ["PATCH"], "AllowedOrigins": ["*"]}, "InvalidRequest"),
    ({"AllowedMethods": ["GET"], "AllowedOrigins": ["http://*.*"]}, "InvalidRequest"),
    ({"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "ExposeHeaders": ["*"]}, "InvalidRequest"),
    ({"AllowedMethods": ["GET"], "AllowedOrigins": []}, "MalformedXML"),
], ids=["method", "wildcards", "expose", "no-origin"])
def test_cors_refused(s3, bucket, refused, rule, code):
    refused(lambda: s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]}), code, 400)


def test_a_change_is_seen_at_once(s3, bucket, target):
    """Settings are cached; what was changed through the same door must never be."""
    started = time.monotonic()
    for round_number in range(20):
        rule = {"AllowedMethods": ["GET"], "AllowedOrigins": [f"https://{round_number}.example.com"]}
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
        assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == [rule]
        s3.delete_bucket_cors(Bucket=bucket)
    assert time.monotonic() - started < 600
