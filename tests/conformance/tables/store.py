"""Where the store is, in each library's own words. Read from the AWS_* environment that the tests set.

Scenario scripts beside this file are run as `python SCRIPT BUCKET` with the data tools' environment, assert what they
read back, and end with 0 only when all of it held.
"""

import os
import sys

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
ACCESS_KEY = os.environ["AWS_ACCESS_KEY_ID"]
SECRET_KEY = os.environ["AWS_SECRET_ACCESS_KEY"]
REGION = os.environ["AWS_REGION"]
BUCKET = sys.argv[1] if len(sys.argv) > 1 else ""


def object_store_options():
    """For libraries built on the Rust crate object_store: deltalake and polars."""
    return {
        "aws_endpoint_url": ENDPOINT, "aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY,
        "aws_region": REGION, "aws_allow_http": "true",
    }


def arrow_filesystem():
    """pyarrow's own S3 client, the C++ SDK."""
    from pyarrow import fs
    return fs.S3FileSystem(endpoint_override=ENDPOINT, access_key=ACCESS_KEY, secret_key=SECRET_KEY, region=REGION)
