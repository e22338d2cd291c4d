"""The MinIO SDK for Python: the functional tests of its own source distribution, every one of them."""

import json
import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

SCRIPT = Path(__file__).with_name("minio_functional.py")
PYTHON = os.environ.get("S3_TEST_DATA_TOOLS_PYTHON", "")
TESTS = os.environ.get("S3_TEST_MINIO_SDK_TESTS", "")
TIMEOUT_S = 900
# A test of a feature that S3 itself does not offer, with the answer S3 gives. Anything else fails.
REFUSED = {
    # Closed to new customers.
    "test_select_object_content": ("MethodNotAllowed", "NotImplemented"),
    # Folders and prefixes without versions are MinIO's own.
    "test_set_get_bucket_versioning": ("MalformedXML",),
    # Unpacking an uploaded archive is done by AWS Snow devices and by MinIO, not by S3.
    "test_upload_snowball_objects": ("NotImplemented",),
    "test_upload_snowball_objects_with_staging": ("NotImplemented",),
}
TESTS_MIN = 45

pytestmark = [
    pytest.mark.skipif(not (PYTHON and TESTS), reason="no S3_TEST_MINIO_SDK_TESTS: tests/conformance/run sets it"),
    pytest.mark.differs("moto seaweedfs", "not run against references"),
    pytest.mark.timeout(TIMEOUT_S + 20),
]


def outcomes(target, folder, **changes):
    parts = urlsplit(target.url)
    env = {
        **target.environment(), "SERVER_ENDPOINT": parts.netloc, "ACCESS_KEY": target.access_key,
        "SECRET_KEY": target.secret_key, "ENABLE_HTTPS": "1" if target.tls else "0", **changes,
    }
    if target.tls:
        env["SSL_CERT_FILE"] = target.ca_file
    done = subprocess.run([PYTHON, "-B", str(SCRIPT), TESTS], env=env, cwd=folder, text=True, capture_output=True, timeout=TIMEOUT_S)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines and done.returncode == 0, done.stderr[-3000:]
    return {line["test"]: line["error"] for line in lines}


def is_expected(test, error):
    codes = REFUSED.get(test)
    return error is None if codes is None else error is not None and error.split(":")[0] in codes


def test_functional_tests(target, folder):
    found = outcomes(target, folder)
    assert len(found) >= TESTS_MIN, sorted(found)
    failed = {test: error for test, error in found.items() if not is_expected(test, error)}
    assert not failed, "\n".join(f"{test}: {error}" for test, error in failed.items())


def test_they_can_fail(target, folder):
    found = outcomes(target, folder, SECRET_KEY="wrong-secret")
    assert found["test_put_object"] is not None
