"""The checks that the Rust crate `object_store` publishes for implementors, run by the program beside this file."""

import os
import subprocess

import pytest

PROGRAM = os.environ.get("S3_TEST_OBJECT_STORE", "")
CHECKS_MIN = 20
TIMEOUT_S = 600

pytestmark = [
    pytest.mark.skipif(not PROGRAM, reason="NO object_store CHECKS: cargo is missing, or --no-object-store was given"),
    pytest.mark.differs("moto seaweedfs", "not run against references"),
    pytest.mark.timeout(TIMEOUT_S + 20),
]


def run_checks(target, bucket, **changes):
    env = {
        **target.environment(), "AWS_BUCKET_NAME": bucket, "AWS_ALLOW_HTTP": "true",
        "AWS_COPY_IF_NOT_EXISTS": "multipart", "AWS_CONDITIONAL_PUT": "etag", **changes,
    }
    return subprocess.run([PROGRAM], env=env, text=True, capture_output=True, timeout=TIMEOUT_S)


@pytest.fixture
def plain(target):
    if target.tls:
        pytest.skip("built without TLS")
    return target


def test_checks(plain, make_bucket):
    done = run_checks(plain, make_bucket())
    lines = done.stdout.splitlines()
    assert not [line for line in lines if not line.startswith("ok ")], done.stdout + done.stderr[-4000:]
    assert done.returncode == 0 and len(lines) >= CHECKS_MIN, done.stdout


def test_they_can_fail(plain, make_bucket):
    done = run_checks(plain, make_bucket(), AWS_SECRET_ACCESS_KEY="wrong")
    assert done.returncode == 1 and "failed put_get_delete_list" in done.stdout
