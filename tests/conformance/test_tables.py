"""Table formats and data frames on the store: each scenario in tables/ run as its own process, which checks itself.

What a scenario leaves in the bucket is read here with another client, so that one that silently went elsewhere fails.
"""

import os
import subprocess
from pathlib import Path

import pytest

SCENARIOS = Path(__file__).with_name("tables")
PYTHON = os.environ.get("S3_TEST_DATA_TOOLS_PYTHON", "")
TIMEOUT_S = 600
# name: a prefix under which the scenario leaves objects, or None when it cleans up after itself
LEAVES = {
    "deltalake_table": "delta/events/_delta_log/",
    "iceberg_table": "iceberg/",
    "polars_frames": "polars/hive/",
    "duckdb_queries": "duckdb/hive/bucket=3/",
    "arrow_datasets": None,
    "s3fs_files": None,
}

pytestmark = pytest.mark.skipif(not PYTHON, reason="no S3_TEST_DATA_TOOLS_PYTHON: tests/conformance/run sets it")


def run_scenario(target, name, bucket, **changes):
    env = {**target.environment(), **changes}
    return subprocess.run(
        [PYTHON, "-B", str(SCENARIOS / f"{name}.py"), bucket], env=env, text=True, capture_output=True, timeout=TIMEOUT_S)


@pytest.fixture
def plain(target):
    """Over TLS half of these libraries know no way to trust a private authority; the SDK suites cover TLS."""
    if target.tls:
        pytest.skip("data tools run over http")
    return target


def test_every_scenario_is_listed():
    assert {p.stem for p in SCENARIOS.glob("*.py")} - {"store"} == set(LEAVES)


@pytest.mark.differs("moto seaweedfs", "not run against references")
@pytest.mark.parametrize("name", LEAVES)
def test_scenario(plain, s3, make_bucket, name):
    bucket = make_bucket()
    done = run_scenario(plain, name, bucket)
    assert done.returncode == 0, done.stderr[-3000:]
    if LEAVES[name]:
        assert s3.list_objects_v2(Bucket=bucket, Prefix=LEAVES[name])["KeyCount"] > 0


@pytest.mark.parametrize("name", ["deltalake_table", "arrow_datasets"])
def test_a_scenario_can_fail(plain, make_bucket, name):
    """With a wrong secret it must."""
    assert run_scenario(plain, name, make_bucket(), AWS_SECRET_ACCESS_KEY="wrong").returncode != 0
