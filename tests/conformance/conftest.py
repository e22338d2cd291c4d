"""Fixtures every conformance suite shares: the endpoints, a boto3 client, a raw client, buckets and keys.

The server under test comes from the environment, so that any S3 server can be tested:
  S3_ENDPOINT     one or more URLs separated by spaces; every test runs against each
  S3_ACCESS_KEY, S3_SECRET_KEY, S3_REGION (us-east-1)
  S3_OTHER_ACCESS_KEY, S3_OTHER_SECRET_KEY  a second user without any policy, where there is one
  S3_CA_FILE      certificate authority of an https endpoint
  S3_REFERENCE    name of a reference server, so that its known differences are expected failures
  S3_VHOST_DOMAIN domain under which buckets are host names (localhost)
"""

import os
import re
import shutil
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.client import Config
from botocore.exceptions import ClientError

sys.path.insert(0, os.path.dirname(__file__))
from s3wire import Wire  # noqa: E402

ENDPOINTS = os.environ.get("S3_ENDPOINT", "").split()
DELETE_BATCH = 1000


@dataclass(frozen=True)
class Target:
    """One endpoint and the key to it."""

    url: str
    access_key: str
    secret_key: str
    region: str
    ca_file: str
    reference: str
    vhost_domain: str

    @property
    def tls(self):
        return self.url.startswith("https:")

    @property
    def port(self):
        return urlsplit(self.url).port

    def client(self, retries=0, **config):
        """A boto3 client that tells the truth: no retries, so that a 500 is seen and a refusal is quick."""
        config.setdefault("s3", {"addressing_style": "path"})
        # Left alone, botocore still presigns with signature version 2 in the regions that once knew it.
        config.setdefault("signature_version", "s3v4")
        return boto3.client(
            "s3", endpoint_url=self.url, region_name=self.region,
            aws_access_key_id=self.access_key, aws_secret_access_key=self.secret_key,
            verify=self.ca_file if self.tls and self.ca_file else None,
            config=Config(retries={"total_max_attempts": retries + 1}, read_timeout=90, max_pool_connections=32, **config),
        )

    def wire(self):
        return Wire(self.url, self.access_key, self.secret_key, self.region, self.ca_file or None)

    def environment(self):
        """For clients that are processes: aws-cli, curl, node."""
        env = {
            **os.environ,
            "AWS_ENDPOINT_URL": self.url, "AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "", "AWS_MAX_ATTEMPTS": "2",
        }
        if self.tls and self.ca_file:
            env.update(AWS_CA_BUNDLE=self.ca_file, NODE_EXTRA_CA_CERTS=self.ca_file, CURL_CA_BUNDLE=self.ca_file)
        return env


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also large objects and 10,000 listed keys")


def pytest_configure(config):
    if not ENDPOINTS:
        raise pytest.UsageError("S3_ENDPOINT is not set; tests/conformance/run starts a server and sets it")


def pytest_collection_modifyitems(config, items):
    reference = os.environ.get("S3_REFERENCE", "")
    for item in items:
        for marker in item.iter_markers("differs"):
            if reference and reference in marker.args[0].split():
                item.add_marker(pytest.mark.xfail(reason=f"{reference}: {marker.args[1]}", strict=False))
        if item.get_closest_marker("slow") and not config.getoption("--slow"):
            item.add_marker(pytest.mark.skip(reason="needs --slow"))


@pytest.fixture(scope="session", params=ENDPOINTS, ids=lambda url: urlsplit(url).scheme)
def target(request):
    return Target(
        url=request.param,
        access_key=os.environ["S3_ACCESS_KEY"],
        secret_key=os.environ["S3_SECRET_KEY"],
        region=os.environ.get("S3_REGION", "us-east-1"),
        ca_file=os.environ.get("S3_CA_FILE", ""),
        reference=os.environ.get("S3_REFERENCE", ""),
        vhost_domain=os.environ.get("S3_VHOST_DOMAIN", "localhost"),
    )


@pytest.fixture(scope="session")
def s3(target):
    return target.client()


@pytest.fixture(scope="session")
def wire(target):
    return target.wire()


def empty_bucket(s3, bucket):
    """Removes every upload, version and delete marker, so that the bucket can be deleted."""
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", []):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    while True:
        page = s3.list_object_versions(Bucket=bucket, MaxKeys=DELETE_BATCH)
        found = [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in page.get("Versions", []) + page.get("DeleteMarkers", [])]
        if not found:
            return
        answer = s3.delete_objects(
            Bucket=bucket, Delete={"Objects": found, "Quiet": True}, BypassGovernanceRetention=True)
        if answer.get("Errors"):
            raise RuntimeError(f"cannot empty {bucket}: {answer['Errors'][:3]}")


@pytest.fixture(scope="session")
def make_bucket(target, s3):
    """make_bucket(**how) -> the name of a fresh random bucket, removed when the session ends."""
    made = []

    def make(**how):
        name = f"conformance-{uuid.uuid4().hex[:16]}"
        s3.create_bucket(Bucket=name, **how)
        made.append(name)
        return name

    yield make
    for name in made:
        try:
            empty_bucket(s3, name)
            s3.delete_bucket(Bucket=name)
        except (ClientError, RuntimeError) as error:
            # Cleaning up is courtesy to a server that lives on; deletion itself is tested elsewhere.
            if "NoSuchBucket" not in str(error):
                print(f"could not remove {name}: {error}", file=sys.stderr)


@pytest.fixture(scope="module")
def bucket(make_bucket):
    return make_bucket()


@pytest.fixture
def key(request):
    """A key no other test uses, named for the test."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", request.node.name)
    return f"{name[:80]}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def folder():
    """A temporary folder on disk, removed at once: some tests fill it with hundreds of megabytes."""
    path = Path(tempfile.mkdtemp(dir=os.environ.get("S3_TEST_TMP")))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def exists(s3):
    """Whether there is such an object."""
    def ask(bucket, key):
        try:
            s3.head_object(Bucket=bucket, Key=key)
            return True
        except ClientError:
            return False
    return ask


@pytest.fixture
def refused():
    """refused(call, code, status) asserts that a boto3 call fails with that AWS code (or one of several) and status."""

    def check(call, code, status):
        codes = {code} if isinstance(code, str) else set(code)
        with pytest.raises(ClientError) as caught:
            call()
        response = caught.value.response
        found = response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]
        assert found[0] in codes and found[1] == status, f"wanted {sorted(codes)} {status}, got {found}: {caught.value}"
        return response

    return check
