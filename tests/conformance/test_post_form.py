"""Browser upload forms: policies made by boto3 in both signature versions, forms written by urllib3."""

import base64
import datetime
import hashlib
import hmac
import json
import re

import pytest
import urllib3

FOREVER = "2099-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def post(target):
    """post(url, fields, file) sends a form; the answer is not followed."""
    pool = urllib3.PoolManager(ca_certs=target.ca_file or None)

    def send(url, fields, file=b"file", filename="name.txt"):
        parts = [*fields.items(), ("file", (filename, file, "text/plain"))]
        return pool.request("POST", url, fields=parts, redirect=False, retries=False)

    return send


def code_of(answer):
    found = re.search(rb"<Code>(.*?)</Code>", answer.data)
    return answer.status, found and found.group(1).decode()


def message_of(answer):
    found = re.search(rb"<Message>(.*?)</Message>", answer.data)
    return found and found.group(1).decode().replace("&quot;", '"')


@pytest.mark.parametrize("version", ["s3v4", pytest.param("s3", id="version2")])
def test_what_boto3_makes_works(target, s3, post, bucket, key, version):
    made = target.client(signature_version=version).generate_presigned_post(
        bucket, key + "/${filename}", Fields={"Content-Type": "text/plain", "x-amz-meta-a": "b"},
        Conditions=[{"Content-Type": "text/plain"}, ["starts-with", "$x-amz-meta-a", ""], ["content-length-range", 1, 10]],
    )
    answer = post(made["url"], made["fields"], b"hello", "dir/n\u00e4me.txt")
    assert (answer.status, answer.data) == (204, b""), answer.data
    got = s3.get_object(Bucket=bucket, Key=f"{key}/n\u00e4me.txt")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (b"hello", "text/plain", {"a": "b"})
    assert answer.headers["ETag"] == got["ETag"]
    assert code_of(post(made["url"], made["fields"], b"01234567890")) == (400, "EntityTooLarge")
    assert code_of(post(made["url"], made["fields"], b"")) == (400, "EntityTooSmall")
    forged = {name: "x" if name in ("signature", "x-amz-signature") else value for name, value in made["fields"].items()}
    assert code_of(post(made["url"], forged)) == (403, "SignatureDoesNotMatch")


def signed(target, policy, **fields):
    """Version 2, because it is the shorter: everything else is the same in both."""
    text = base64.b64encode(policy if isinstance(policy, bytes) else json.dumps(policy).encode()).decode()
    signature = hmac.new(target.secret_key.encode(), text.encode(), hashlib.sha1).digest()
    return {
        **{name.replace("_", "-"): value for name, value in fields.items()},
        "AWSAccessKeyId": target.access_key, "policy": text, "signature": base64.b64encode(signature).decode(),
    }


def test_a_large_file_streams(target, s3, post, bucket, key):
    file = bytes(range(256)) * (48 << 10)
    policy = {"expiration": FOREVER, "conditions": [{"bucket": bucket}, {"key": key}]}
    answer = post(f"{target.url}/{bucket}", signed(target, policy, key=key), file)
    assert answer.status == 204, answer.data
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == file


def test_201_describes_the_object(target, s3, post, bucket, key):
    policy = {"expiration": FOREVER, "conditions": [{"bucket": bucket}, {"key": key}, {"success_action_status": "201"}]}
    fields = {**signed(target, policy, key=key), "success_action_status": "201"}
    answer = post(f"{target.url}/{bucket}", fields)
    assert answer.status == 201
    etag = s3.head_object(Bucket=bucket, Key=key)["ETag"].replace('"', "&quot;")
    for element, text in (("Bucket", bucket), ("Key", key), ("ETag", etag), ("Location", f"{target.url}/{bucket}/{key}")):
        assert f"<{element}>{text}</{element}>" in answer.data.decode()


def test_a_redirect_carries_what_was_stored(target, s3, post, bucket, key):
    to = "http://app.example/done"
    policy = {"expiration": FOREVER, "conditions": [{"bucket": bucket}, {"key": key}, {"success_action_redirect": to}]}
    answer = post(f"{target.url}/{bucket}", {**signed(target, policy, key=key), "success_action_redirect": to})
    assert answer.status == 303
    etag = s3.head_object(Bucket=bucket, Key=key)["ETag"].strip('"')
    assert answer.headers["Location"] == f"{to}?bucket={bucket}&key={key}&etag=%22{etag}%22"


@pytest.mark.parametrize("conditions,message", [
    ([], "Extra input fields: bucket"),
    ([{"bucket": "BUCKET"}], "Extra input fields: key"),
    ([{"bucket": "another-bucket"}, {"key": "KEY"}], 'Policy Condition failed: ["eq", "$bucket", "another-bucket"]'),
    ([{"bucket": "BUCKET"}, ["starts-with", "$key", "elsewhere/"]],
     'Policy Condition failed: ["starts-with", "$key", "elsewhere/"]'),
    ([{"bucket": "BUCKET"}, {"key": "KEY"}, ["eq", "$x-amz-meta-a", "b"]],
     'Policy Condition failed: ["eq", "$x-amz-meta-a", "b"]'),
], ids=["nothing-covered", "key-uncovered", "another-bucket", "another-prefix", "field-missing"])
def test_a_condition_that_fails_is_named(target, s3, post, bucket, key, conditions, message, exists):
    text = json.dumps(conditions).replace("BUCKET", bucket).replace("KEY", key)
    policy = {"expiration": FOREVER, "conditions": json.loads(text)}
    answer = post(f"{target.url}/{bucket}", signed(target, policy, key=key))
    assert (code_of(answer), message_of(answer)) == ((403, "AccessDenied"), f"Invalid according to Policy: {message}")
    assert not exists(bucket, key)


@pytest.mark.parametrize("policy,refused", [
    (b"{", (400, "InvalidPolicyDocument")),
    ({"conditions": []}, (400, "InvalidPolicyDocument")),
    ({"expiration": FOREVER}, (400, "InvalidPolicyDocument")),
    ({"EXPIRATION": FOREVER, "conditions": []}, (400, "InvalidPolicyDocument")),
    ({"expiration": "2099-01-01 00:00:00", "conditions": []}, (400, "InvalidPolicyDocument")),
    ({"expiration": FOREVER, "conditions": [{}]}, (400, "InvalidPolicyDocument")),
    ({"expiration": FOREVER, "conditions": [["content-length-range", -1, 0]]}, (400, "InvalidPolicyDocument")),
    ({"expiration": FOREVER, "conditions": [["content-length-range", 0]]}, (400, "InvalidPolicyDocument")),
    ({"expiration": "2020-01-01T00:00:00Z", "conditions": []}, (403, "AccessDenied")),
])
def test_a_policy_that_allows_nothing(target, s3, post, bucket, key, policy, refused, exists):
    assert code_of(post(f"{target.url}/{bucket}", signed(target, policy, key=key))) == refused
    assert not exists(bucket, key)


def test_an_expiration_just_passed(target, post, bucket, key):
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=2)
    policy = {"expiration": past.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "conditions": [{"bucket": bucket}, {"key": key}]}
    answer = post(f"{target.url}/{bucket}", signed(target, policy, key=key))
    assert message_of(answer) == "Invalid according to Policy: Policy expired."


def test_without_credentials(target, s3, post, bucket, key, exists):
    assert code_of(post(f"{target.url}/{bucket}", {"key": key})) == (403, "AccessDenied")
    assert code_of(post(f"{target.url}/{bucket}", {"key": key, "policy": "e30="})) == (400, "InvalidArgument")
    assert not exists(bucket, key)
