"""The AWS SDK for JavaScript v3: runs node_sdk.mjs once an endpoint and reports each of its steps as a test."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("node_sdk.mjs")
MODULES = os.environ.get("S3_TEST_NODE_MODULES", "")
# The script is the one list of steps; its names are read from it, so that none can be forgotten here.
STEPS = re.findall(r'^  async "([^"]+)"\(\)', SCRIPT.read_text(), re.MULTILINE)
DIFFERS = {
    "stream": ("seaweedfs", "keeps aws-chunked as the content encoding"),
    "list in pages": ("seaweedfs", "orders by folder"),
}
TIMEOUT_S = 600

pytestmark = pytest.mark.skipif(not (shutil.which("node") and MODULES), reason="no node, or no S3_TEST_NODE_MODULES")


@pytest.fixture(scope="module")
def outcome(target, bucket):
    env = {**target.environment(), "S3_ENDPOINT_URL": target.url}
    done = subprocess.run(
        ["node", "--no-warnings", str(SCRIPT), bucket], env=env, text=True, capture_output=True, timeout=TIMEOUT_S,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, done.stderr[-2000:]
    return {line["step"]: line["error"] for line in lines}


@pytest.mark.parametrize("step", [
    pytest.param(s, marks=[pytest.mark.differs(*DIFFERS[s])] if s in DIFFERS else []) for s in STEPS
])
def test_step(outcome, step):
    assert step in outcome, "the script ended before this step"
    assert outcome[step] is None, outcome[step]
