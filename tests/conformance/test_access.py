"""Who may do what, over HTTP: 200 generated policies judged by the server and by a table of AWS's evaluation rules,
and the life of users, sessions and access lists.

The judge here is written from the rules ("Policy evaluation logic", "IAM JSON policy elements" in the IAM user guide),
clause by clause in plain Python; it shares nothing with the server. Needs a Granary server: users are made by its admin
routes.
"""

import json
import random
import uuid
from dataclasses import dataclass

import boto3
import pytest
from botocore import UNSIGNED
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.client import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

CASES = 200
SEED = 20260701
KEY = "data/a.txt"


def admin(target, method, path, body=None):
    """An admin route's answer: status and JSON."""
    data = b"" if body is None else json.dumps(body).encode()
    request = AWSRequest(method, f"{target.url}/-/granary/v1/{path}", data=data)
    S3SigV4Auth(Credentials(target.access_key, target.secret_key), "s3", target.region).add_auth(request)
    verify = target.ca_file if target.tls and target.ca_file else True
    response = URLLib3Session(verify=verify).send(request.prepare())
    return response.status_code, json.loads(response.content or b"{}")


@dataclass
class User:
    name: str
    account: str
    canonical_id: str
    access_key: str
    secret_key: str
    target: object

    @property
    def arn(self):
        return f"arn:aws:iam::{self.account}:user/{self.name}"

    def client(self, service="s3", **credentials):
        keys = credentials or {"aws_access_key_id": self.access_key, "aws_secret_access_key": self.secret_key}
        target = self.target
        return boto3.client(
            service, endpoint_url=target.url, region_name=target.region, **keys,
            verify=target.ca_file if target.tls and target.ca_file else None,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )


def add_user(target, name):
    status, answer = admin(target, "POST", "users", {"name": f"{name}-{uuid.uuid4().hex[:8]}"})
    if status in (403, 404) and "user" not in answer:
        pytest.skip("the server has no users to be made here")
    assert status == 200, answer
    user = answer["user"]
    return User(user["name"], user["account_id"], user["canonical_id"], answer["access_key"], answer["secret_key"], target)


def attach(target, user, document):
    name = f"p-{uuid.uuid4().hex[:8]}"
    assert admin(target, "PUT", "policies", {"name": name, "document": json.dumps(document)})[0] == 200
    assert admin(target, "POST", "policies/attachments", {"user": user.name, "policy": name, "attached": True})[0] == 200


READER = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*"}]}
BOUND = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
    {"Effect": "Deny", "NotAction": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"},
]}


class World:
    """Four users, a bucket of the first, and everybody's client."""

    def __init__(self, target):
        self.users = {name: add_user(target, name) for name in ("ann", "bob", "reader", "bound")}
        attach(target, self.users["reader"], READER)
        attach(target, self.users["bound"], BOUND)
        self.clients = {name: user.client() for name, user in self.users.items()}
        self.clients["anonymous"] = boto3.client(
            "s3", endpoint_url=target.url, region_name=target.region,
            verify=target.ca_file if target.tls and target.ca_file else None,
            config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )
        self.tls = target.tls
        self.bucket = f"access-{uuid.uuid4().hex[:12]}"
        ann = self.clients["ann"]
        ann.create_bucket(Bucket=self.bucket)
        ann.delete_public_access_block(Bucket=self.bucket)
        ann.put_object(Bucket=self.bucket, Key=KEY, Body=b"x")

    def close(self):
        ann = self.clients["ann"]
        ann.delete_bucket_policy(Bucket=self.bucket)
        for entry in ann.list_objects_v2(Bucket=self.bucket).get("Contents", []):
            ann.delete_object(Bucket=self.bucket, Key=entry["Key"])
        ann.delete_bucket(Bucket=self.bucket)


@pytest.fixture(scope="module")
def world(target):
    world = World(target)
    yield world
    world.close()


OPERATIONS = {
    "s3:GetObject": lambda client, bucket: client.get_object(Bucket=bucket, Key=KEY),
    "s3:PutObject": lambda client, bucket: client.put_object(Bucket=bucket, Key="data/b.txt", Body=b"y"),
    "s3:DeleteObject": lambda client, bucket: client.delete_object(Bucket=bucket, Key="data/none"),
    "s3:ListBucket": lambda client, bucket: client.list_objects_v2(Bucket=bucket, Prefix="data/", MaxKeys=7),
}
WHO = ["ann", "bob", "reader", "bound", "anonymous"]
# What the identity policies above say: Allow, Deny or nothing.
IDENTITY = {
    "reader": {"s3:GetObject": "Allow", "s3:ListBucket": "Allow"},
    "bound": {"s3:GetObject": "Allow", "s3:ListBucket": "Allow", "s3:PutObject": "Deny", "s3:DeleteObject": "Deny"},
}


def principals(world):
    """Each way to write a principal, and whom it means."""
    bob, reader = world.users["bob"], world.users["reader"]
    everybody = set(WHO)
    return [
        ("*", everybody),
        ({"AWS": "*"}, everybody),
        ({"AWS": bob.account}, {"bob"}),
        ({"AWS": f"arn:aws:iam::{bob.account}:root"}, {"bob"}),
        ({"AWS": bob.arn}, {"bob"}),
        ({"AWS": f"arn:aws:iam:::user/{bob.name}"}, {"bob"}),
        ({"AWS": f"arn:aws:iam::{reader.account}:user/{bob.name}"}, set()),
        ({"AWS": [bob.arn, reader.arn]}, {"bob", "reader"}),
        ({"CanonicalUser": bob.canonical_id}, {"bob"}),
        ({"AWS": "999999999999"}, set()),
    ]


def actions(operation):
    """Each way to write actions, and whether it covers the operation."""
    return [
        ("Action", operation, True),
        ("Action", operation.upper(), True),
        ("Action", "s3:*", True),
        ("Action", "*", True),
        ("Action", ["s3:GetObject", "s3:ListBucket"], operation in ("s3:GetObject", "s3:ListBucket")),
        ("Action", ["s3:*Object", "s3:ListBucket"], True),
        ("Action", ["s3:?etObject", "s3:GetBucketLocation"], operation == "s3:GetObject"),
        ("NotAction", "s3:GetObject", operation != "s3:GetObject"),
        ("NotAction", ["s3:Put*", "s3:List*"], operation in ("s3:GetObject", "s3:DeleteObject")),
    ]


def resources(bucket, operation):
    """Each way to write resources that every action above can be about, and whether it covers what is asked for."""
    arn = f"arn:aws:s3:::{bucket}"
    is_object = operation != "s3:ListBucket"
    deletes = operation == "s3:DeleteObject"
    return [
        ("Resource", [arn, f"{arn}/*"], True),
        ("Resource", [arn, f"{arn}/data/?.txt"], not is_object or not deletes),
        ("Resource", [arn, f"{arn}/other/*"], not is_object),
        ("Resource", [f"{arn}*"], True),
        ("NotResource", [f"{arn}/data/*"], not is_object),
        ("NotResource", [f"{arn}/secret/*"], True),
    ]


def conditions(world, who, operation):
    """Conditions whose keys every request has or lacks alike, and whether they hold."""
    lists = operation == "s3:ListBucket"
    name = world.users[who].name if who in world.users else None
    signed = who != "anonymous"
    found = [
        ({}, True),
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
        ({"IpAddress": {"aws:SourceIp": ["198.51.100.0/24", "2001:db8::/32"]}}, False),
        ({"NotIpAddress": {"aws:SourceIp": "127.0.0.1"}}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, world.tls),
        ({"Bool": {"aws:SecureTransport": "false"}}, not world.tls),
        ({"StringEquals": {"aws:Referer": "x"}}, False),
        ({"StringNotEquals": {"aws:Referer": "x"}}, True),
        ({"StringEqualsIfExists": {"aws:Referer": "x"}}, True),
        ({"Null": {"aws:Referer": "true"}}, True),
        ({"Null": {"aws:username": "false"}}, signed),
        ({"StringLike": {"aws:UserAgent": "*Boto3*"}}, True),
        ({"StringNotLike": {"aws:UserAgent": "*Boto3*"}}, False),
        ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, True),
        ({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, False),
        ({"NumericGreaterThan": {"aws:EpochTime": "1577836800"}}, True),
        ({"StringEquals": {"aws:username": world.users["bob"].name}}, who == "bob"),
        ({"StringEqualsIgnoreCase": {"aws:username": world.users["bob"].name.upper()}}, who == "bob"),
        ({"StringNotEquals": {"aws:PrincipalAccount": world.users["bob"].account}}, who != "bob"),
        ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::*:user/{name or 'none'}"}}, signed),
        ({"ArnNotEquals": {"aws:PrincipalArn": world.users["bob"].arn}}, who != "bob"),
        ({"ForAnyValue:StringEquals": {"aws:PrincipalType": ["User", "Anonymous"]}}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}, True),
        ({"StringEquals": {"s3:authType": "REST-HEADER"}}, signed),
        ({"StringEquals": {"s3:signatureversion": "AWS4-HMAC-SHA256"}}, signed),
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}, "StringEquals": {"aws:Referer": "x"}}, False),
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}, "Null": {"aws:Referer": "true"}}, True),
    ]
    if lists:
        found += [
            ({"StringLike": {"s3:prefix": ["data/*", "x"]}}, True),
            ({"StringEquals": {"s3:prefix": "home/"}}, False),
            ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, True),
            ({"NumericGreaterThan": {"s3:max-keys": "10"}}, False),
            ({"Null": {"s3:delimiter": "false"}}, False),
        ]
    return found


def generate(world, number):
    """A request, a policy about it, and what AWS's rules say."""
    dice = random.Random(SEED + number)
    who, operation = WHO[number % len(WHO)], dice.choice(list(OPERATIONS))
    statements, applies = [], []
    for _ in range(dice.randint(1, 3)):
        effect = dice.choice(["Allow", "Allow", "Deny"])
        statement = {"Effect": effect}
        principal, meant = dice.choice(principals(world))
        # NotPrincipal is for Deny; everybody but nobody is nobody.
        if effect == "Deny" and principal != "*" and dice.random() < 0.3:
            statement["NotPrincipal"], is_meant = principal, who not in meant
        else:
            statement["Principal"], is_meant = principal, who in meant
        word, value, covers_action = dice.choice(actions(operation))
        statement[word] = value
        word, value, covers_resource = dice.choice(resources(world.bucket, operation))
        statement[word] = value
        condition, holds = dice.choice(conditions(world, who, operation))
        keys = {key for operator in condition.values() for key in operator}
        # A condition of listings needs an action that lists.
        if any(key in ("s3:prefix", "s3:max-keys", "s3:delimiter") for key in keys) and not covers_action:
            condition, holds = {}, True
        if condition:
            statement["Condition"] = condition
        statements.append(statement)
        applies.append(effect if is_meant and covers_action and covers_resource and holds else None)
    identity = IDENTITY.get(who, {}).get(operation)
    if "Deny" in applies or identity == "Deny":
        expected = False
    else:
        expected = who == "ann" or identity == "Allow" or "Allow" in applies
    return who, operation, {"Version": "2012-10-17", "Statement": statements}, expected


@pytest.mark.parametrize("number", range(CASES))
def test_the_server_decides_as_the_rules_do(world, number):
    who, operation, policy, expected = generate(world, number)
    world.clients["ann"].put_bucket_policy(Bucket=world.bucket, Policy=json.dumps(policy))
    try:
        OPERATIONS[operation](world.clients[who], world.bucket)
        allowed = True
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403, (error, policy)
        allowed = False
    assert allowed == expected, (who, operation, policy)


def test_the_cases_are_of_every_kind(world):
    cases = [generate(world, number) for number in range(CASES)]
    for who in WHO:
        verdicts = {expected for asked, _, _, expected in cases if asked == who}
        assert verdicts == {True, False}, who
    text = json.dumps([policy for _, _, policy, _ in cases])
    for word in ("NotAction", "NotPrincipal", "NotResource", "Condition", "ForAnyValue", "IfExists", "CanonicalUser"):
        assert word in text, word


def refusal(call):
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def eventually(condition, what):
    """Users and policies reach every gateway within a second."""
    import time
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_sessions_never_exceed_their_policy_nor_their_caller(world, target):
    ann = world.users["ann"]
    world.clients["ann"].delete_bucket_policy(Bucket=world.bucket)
    sts = ann.client("sts")
    identity = sts.get_caller_identity()
    assert (identity["Arn"], identity["Account"]) == (ann.arn, ann.account)
    role = f"arn:aws:iam::{ann.account}:role/job"
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
    made = sts.assume_role(RoleArn=role, RoleSessionName="nightly", Policy=json.dumps(policy), DurationSeconds=900)
    assert made["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ann.account}:assumed-role/job/nightly"
    keys = made["Credentials"]
    credentials = {
        "aws_access_key_id": keys["AccessKeyId"], "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
    }
    session = ann.client(**credentials)
    assert session.get_object(Bucket=world.bucket, Key=KEY)["Body"].read() == b"x"
    assert refusal(lambda: session.put_object(Bucket=world.bucket, Key="z", Body=b""))[0] == 403
    assert refusal(lambda: session.delete_object(Bucket=world.bucket, Key=KEY))[0] == 403
    assert refusal(lambda: session.list_buckets())[0] == 403
    arn = ann.client("sts", **credentials).get_caller_identity()["Arn"]
    assert arn == made["AssumedRoleUser"]["Arn"]
    # A session makes no further ones, nobody makes one of another account, and a changed token opens nothing.
    again = ann.client("sts", **credentials)
    assert refusal(lambda: again.assume_role(RoleArn=role, RoleSessionName="again")) == (403, "AccessDenied")
    foreign = f"arn:aws:iam::{world.users['bob'].account}:role/job"
    assert refusal(lambda: sts.assume_role(RoleArn=foreign, RoleSessionName="nightly")) == (403, "AccessDenied")
    forged = {**credentials, "aws_session_token": keys["SessionToken"][:-2] + "AA"}
    assert refusal(lambda: ann.client(**forged).get_object(Bucket=world.bucket, Key=KEY))[1] == "InvalidToken"
    bare = {name: value for name, value in credentials.items() if name != "aws_session_token"}
    assert refusal(lambda: ann.client(**bare).get_object(Bucket=world.bucket, Key=KEY))[1] == "InvalidAccessKeyId"
    # What a policy says is not checked when it is too late.
    malformed = lambda: sts.assume_role(RoleArn=role, RoleSessionName="nightly", Policy='{"Statement":1}')  # noqa: E731
    assert refusal(malformed) == (400, "MalformedPolicyDocument")
    bad_key = {"aws_access_key_id": "AKIANOBODY", "aws_secret_access_key": "nothing"}
    assert refusal(lambda: ann.client("sts", **bad_key).get_caller_identity()) == (403, "InvalidClientTokenId")


def test_disabled_keys_and_removed_users_open_nothing(target):
    user = add_user(target, "guest")
    client, sts = user.client(), user.client("sts")
    client.list_buckets()
    made = sts.assume_role(RoleArn=f"arn:aws:iam::{user.account}:role/job", RoleSessionName="nightly")["Credentials"]
    session = user.client(
        aws_access_key_id=made["AccessKeyId"], aws_secret_access_key=made["SecretAccessKey"],
        aws_session_token=made["SessionToken"],
    )
    session.list_buckets()

    def refused(by):
        try:
            by.list_buckets()
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        return False

    question = {"user": user.name, "access_key": user.access_key, "disabled": True}
    assert admin(target, "POST", "keys/state", question)[0] == 200
    eventually(lambda: refused(client) and refused(session), "the key and its session are refused")
    assert admin(target, "POST", "keys/state", {**question, "disabled": False})[0] == 200
    eventually(lambda: not refused(client) and not refused(session), "the key opens again")
    status, _ = admin(target, "DELETE", f"users?name={user.name}")
    assert status == 200
    eventually(lambda: refused(client) and refused(session), "a removed user is refused")


def test_lists_let_in_only_where_ownership_lets_them_count(world):
    ann, bob, anonymous = (world.clients[name] for name in ("ann", "bob", "anonymous"))
    bucket = f"lists-{uuid.uuid4().hex[:12]}"
    ann.create_bucket(Bucket=bucket, ObjectOwnership="BucketOwnerEnforced")
    ann.delete_public_access_block(Bucket=bucket)
    ann.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert refusal(lambda: ann.put_object_acl(Bucket=bucket, Key="k", ACL="public-read"))[1] == "AccessControlListNotSupported"
    ownership = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    ann.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=ownership)
    ann.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")
    assert anonymous.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    assert refusal(lambda: anonymous.list_objects_v2(Bucket=bucket))[0] == 403
    ann.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    bob.put_object(Bucket=bucket, Key="bobs", Body=b"y")
    # What is given to a new object needs no right to the one it replaces, nor is a missing one asked for.
    bob.put_object(Bucket=bucket, Key="bobs", Body=b"y", ACL="private", Tagging="a=b")
    bob.put_object(Bucket=bucket, Key="shown", Body=b"y", ACL="public-read")
    assert anonymous.get_object(Bucket=bucket, Key="shown")["Body"].read() == b"y"
    # Bob's object is bob's: its owner gave nothing to the bucket's.
    assert refusal(lambda: ann.get_object(Bucket=bucket, Key="bobs"))[0] == 403
    assert bob.get_object_acl(Bucket=bucket, Key="bobs")["Owner"]["ID"] == world.users["bob"].canonical_id
    assert refusal(lambda: anonymous.get_object(Bucket=bucket, Key="none")) == (404, "NoSuchKey")
    block = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}
    ann.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)
    assert refusal(lambda: anonymous.get_object(Bucket=bucket, Key="k"))[0] == 403
    assert refusal(lambda: bob.list_objects_v2(Bucket=bucket))[0] == 403
    for key in ("k", "bobs", "shown"):
        ann.delete_object(Bucket=bucket, Key=key)
    ann.delete_bucket(Bucket=bucket)


def test_the_version_of_tls_is_a_condition(world):
    ann, bob = world.clients["ann"], world.clients["bob"]
    bucket = f"tls-{uuid.uuid4().hex[:12]}"
    ann.create_bucket(Bucket=bucket)
    ann.put_object(Bucket=bucket, Key="k", Body=b"x")
    ann.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": world.users["bob"].arn}, "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {"NumericGreaterThanEquals": {"s3:TlsVersion": "1.2"}}}]}))
    if world.tls:
        assert bob.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    else:
        assert refusal(lambda: bob.get_object(Bucket=bucket, Key="k"))[0] == 403
    ann.delete_object(Bucket=bucket, Key="k")
    ann.delete_bucket(Bucket=bucket)


def test_where_nobody_chose_both_read_and_only_the_owner_opens(world):
    """A bucket whose owner said nothing of ownership, and lets somebody write into it by a policy."""
    ann, bob, anonymous = (world.clients[name] for name in ("ann", "bob", "anonymous"))
    bucket = f"open-question-{uuid.uuid4().hex[:12]}"
    ann.create_bucket(Bucket=bucket)
    ann.delete_public_access_block(Bucket=bucket)
    ann.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": world.users["bob"].arn}, "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/*"}]}))
    bob.put_object(Bucket=bucket, Key="bobs", Body=b"y")
    ann.put_object(Bucket=bucket, Key="anns", Body=b"x")
    for client in (ann, bob):
        assert client.get_object(Bucket=bucket, Key="bobs")["Body"].read() == b"y"
    # What is given to the bucket's owner takes no more than the right to write.
    owner = world.users["ann"].canonical_id
    bob.put_object(Bucket=bucket, Key="bobs", Body=b"y", ACL="bucket-owner-full-control")
    bob.put_object(Bucket=bucket, Key="bobs", Body=b"y", GrantFullControl=f"id={owner}")
    # To write is not to open: neither with the object nor afterwards.
    assert refusal(lambda: bob.put_object(Bucket=bucket, Key="bobs", Body=b"z", ACL="public-read"))[0] == 403
    assert refusal(lambda: bob.put_object_acl(Bucket=bucket, Key="bobs", ACL="public-read"))[0] == 403
    for key in ("bobs", "anns"):
        assert refusal(lambda: anonymous.get_object(Bucket=bucket, Key=key))[0] == 403
    bob.put_object(Bucket=bucket, Key="anns", Body=b"x")
    assert refusal(lambda: bob.get_object(Bucket=bucket, Key="anns"))[0] == 403, "to overwrite is not to own"
    ann.put_object_acl(Bucket=bucket, Key="anns", ACL="public-read")
    assert anonymous.get_object(Bucket=bucket, Key="anns")["Body"].read() == b"x"
    assert refusal(lambda: anonymous.get_object(Bucket=bucket, Key="bobs"))[0] == 403
    for key in ("anns", "bobs"):
        ann.delete_object(Bucket=bucket, Key=key)
    ann.delete_bucket(Bucket=bucket)
