"""64 clients, one key, one condition: exactly one of them wins each round, in every kind of bucket."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from botocore.exceptions import ClientError

CLIENTS = 64
ROUNDS = 3
LOST = {(409, "ConditionalRequestConflict"), (412, "PreconditionFailed"), (404, "NoSuchKey")}


@pytest.fixture(scope="module")
def clients(target):
    """One connection each, so that nobody waits for another's."""
    return [target.client() for _ in range(CLIENTS)]


@pytest.fixture(scope="module", params=["plain", "versioned", "locked"])
def arena(request, s3, make_bucket):
    """A bucket of each kind."""
    name = make_bucket(**({"ObjectLockEnabledForBucket": True} if request.param == "locked" else {}))
    if request.param == "versioned":
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def outcome(call):
    try:
        call()
        return (200, "")
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]


def race(clients, call):
    """The winner of `call(client, number)`, everybody starting at once."""
    start = Barrier(len(clients))

    def run(numbered):
        number, client = numbered
        start.wait()
        return outcome(lambda: call(client, number))

    with ThreadPoolExecutor(len(clients)) as pool:
        outcomes = list(pool.map(run, enumerate(clients)))
    winners = [number for number, found in enumerate(outcomes) if found == (200, "")]
    assert len(winners) == 1, outcomes
    assert set(outcomes) - {(200, "")} <= LOST, outcomes
    return winners[0]


def body(number, kind):
    """Another one for creation and replacement: who put the same again would leave the tag for the next one to match."""
    return f"client {number}, {kind}".encode()


@pytest.fixture
def uploads(s3, arena, key):
    """uploads(kind) -> one finished upload of its own for each client, to be completed."""
    def call(kind):
        made = []
        for number in range(CLIENTS):
            ids = dict(Bucket=arena, Key=key, UploadId=s3.create_multipart_upload(Bucket=arena, Key=key)["UploadId"])
            etag = s3.upload_part(**ids, PartNumber=1, Body=body(number, kind))["ETag"]
            made.append(dict(**ids, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}))
        return made
    return call


@pytest.fixture
def sources(s3, arena, key):
    """What each client copies, by kind."""
    made = {}
    for kind in ["create", "replace"]:
        made[kind] = [{"Bucket": arena, "Key": f"{key}-{kind}-{number}"} for number in range(CLIENTS)]
        for number, source in enumerate(made[kind]):
            s3.put_object(**source, Body=body(number, kind))
    return made


def rounds(s3, arena, key, clients, attempt):
    """Creation and replacement, several times: who won is what is there."""
    for _ in range(ROUNDS):
        s3.delete_object(Bucket=arena, Key=key)
        winner = race(clients, attempt("create", {"IfNoneMatch": "*"}))
        stored = s3.get_object(Bucket=arena, Key=key)
        assert stored["Body"].read() == body(winner, "create")
        winner = race(clients, attempt("replace", {"IfMatch": stored["ETag"]}))
        assert s3.get_object(Bucket=arena, Key=key)["Body"].read() == body(winner, "replace")


def test_put(s3, arena, key, clients):
    def attempt(kind, condition):
        return lambda client, number: client.put_object(
            Bucket=arena, Key=key, Body=body(number, kind), **condition)
    rounds(s3, arena, key, clients, attempt)


def test_complete(s3, arena, key, clients, uploads):
    def attempt(kind, condition):
        made = uploads(kind)
        return lambda client, number: client.complete_multipart_upload(**made[number], **condition)
    rounds(s3, arena, key, clients, attempt)


def test_copy(s3, arena, key, clients, sources):
    def attempt(kind, condition):
        return lambda client, number: client.copy_object(
            Bucket=arena, Key=key, CopySource=sources[kind][number], **condition)
    rounds(s3, arena, key, clients, attempt)


def test_delete(s3, arena, key, clients):
    for _ in range(ROUNDS):
        etag = s3.put_object(Bucket=arena, Key=key, Body=b"to be deleted")["ETag"]
        race(clients, lambda client, number: client.delete_object(Bucket=arena, Key=key, IfMatch=etag))
        assert outcome(lambda: s3.get_object(Bucket=arena, Key=key)) == (404, "NoSuchKey")
