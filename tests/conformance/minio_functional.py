"""Runs the functional tests that the `minio` source distribution carries, each by itself, and prints one JSON line a test.

    python minio_functional.py PATH_TO_TESTS_PY

The distribution's own `main` stops at the first failure; here every test runs. Which tests there are, and with what
arguments, is read from that `main`. Address and keys come from SERVER_ENDPOINT, ACCESS_KEY, SECRET_KEY, ENABLE_HTTPS.
"""

import importlib.util
import json
import os
import sys
import traceback

os.environ["MINT_MODE"] = "full"


def load(path):
    spec = importlib.util.spec_from_file_location("minio_functional_tests", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_each(module):
    """Replaces the caller of each test, then lets `main` walk its list."""
    def call_test(test, *args, **kwargs):
        entry, error = {"name": test.__name__}, None
        try:
            test(entry, *args, **kwargs)
        except module.S3Error as refusal:
            error = f"{refusal.code}: {refusal.message}"
        except Exception:
            error = traceback.format_exc(limit=-4)
        suffix = "[sse-c]" if kwargs else ""
        print(json.dumps({"test": test.__name__ + suffix, "error": error}), flush=True)

    module._call_test = call_test
    module.main()


if __name__ == "__main__":
    run_each(load(sys.argv[1]))
