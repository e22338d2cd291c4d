"""A real browser on another origin: what a web application can do with presigned requests, and what its page may read.

Needs Chromium. It is found as S3_TEST_CHROMIUM or on the PATH, else installed with apt where this process may; where that
fails the tests are skipped, saying so.
"""

import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

SCRIPT = Path(__file__).with_name("browser.mjs")
MODULES = os.environ.get("S3_TEST_NODE_MODULES", "")
TIMEOUT_S = 600
# The browser may have to be installed first.
pytestmark = pytest.mark.timeout(1800)
PAGE = b"<!doctype html><title>application</title><body></body>"


@functools.cache
def chromium():
    """The browser's executable, or the reason why there is none."""
    if not (shutil.which("node") and MODULES):
        return None, "no node, or no S3_TEST_NODE_MODULES"
    named = os.environ.get("S3_TEST_CHROMIUM")
    found = named or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found:
        return found, None
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None, "no Chromium, and no right to install it"
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]):
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        if done.returncode != 0:
            return None, f"{' '.join(command)}: {done.stderr[-300:]}"
    return shutil.which("chromium"), None


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def origins():
    """Two origins serving the same empty page; the store's bucket knows the first."""
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) for _ in range(2)]
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
    yield [f"http://127.0.0.1:{server.server_address[1]}" for server in servers]
    for server, thread in zip(servers, threads):
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def site(s3, make_bucket, origins):
    """A bucket that the first origin may use from a browser."""
    name = make_bucket()
    rule = {
        "AllowedOrigins": [origins[0]], "AllowedMethods": ["GET", "PUT", "POST"], "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag"],
    }
    s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [rule]})
    return name


@pytest.fixture(scope="module")
def outcome(s3, site, origins):
    """Runs every step in one browser; step -> what the page saw."""
    executable, missing = chromium()
    if missing:
        pytest.skip(f"NOT TESTED IN A BROWSER: {missing}")
    allowed, refused = origins
    presigned = lambda operation, **parameters: s3.generate_presigned_url(operation, Params={"Bucket": site, **parameters})
    upload = s3.create_multipart_upload(Bucket=site, Key="multipart")["UploadId"]
    part = lambda number: presigned("upload_part", Key="multipart", UploadId=upload, PartNumber=number)
    form = s3.generate_presigned_post(site, "form/${filename}", Conditions=[["content-length-range", 1, 100]])
    to = f"{allowed}/done"
    redirecting = s3.generate_presigned_post(
        site, "navigated", Fields={"success_action_redirect": to}, Conditions=[{"success_action_redirect": to}],
    )
    sent = {"file": "a file", "filename": "f.txt"}
    steps = [
        {"step": "put", "url": presigned("put_object", Key="put"), "method": "PUT", "body": "from the page"},
        {"step": "form", "url": form["url"], "method": "POST", "form": {"fields": form["fields"], **sent}},
        {"step": "form too large", "url": form["url"], "method": "POST",
         "form": {"fields": form["fields"], **sent, "file": "x" * 101, "filename": "large.txt"}},
        {"step": "form by navigation", "url": redirecting["url"], "fields": redirecting["fields"], **sent, "navigate": to},
        {"step": "part 1", "url": part(1), "method": "PUT", "body": "1" * (5 << 20)},
        {"step": "part 2", "url": part(2), "method": "PUT", "body": "2"},
        {"step": "error", "url": presigned("get_object", Key="nothing-here"), "method": "GET"},
        {"step": "refused put", "url": presigned("put_object", Key="refused"), "method": "PUT", "body": "x",
         "origin": refused},
        {"step": "refused get", "url": presigned("get_object", Key="put"), "method": "GET", "origin": refused},
    ]
    task = {"executable": executable, "steps": [{"origin": allowed, **step} for step in steps]}
    done = subprocess.run(["node", str(SCRIPT)], input=json.dumps(task), text=True, capture_output=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    errors = {line["step"]: line["error"] for line in lines if "error" in line}
    assert not errors, errors
    return {**{line["step"]: line["result"] for line in lines}, "upload": upload}


def body_of(s3, bucket, key):
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def test_presigned_put(outcome, s3, site):
    assert outcome["put"]["status"] == 200
    assert outcome["put"]["etag"] == s3.head_object(Bucket=site, Key="put")["ETag"]
    assert body_of(s3, site, "put") == b"from the page"


def test_post_form(outcome, s3, site):
    assert outcome["form"]["status"] == 204
    assert outcome["form"]["etag"] == s3.head_object(Bucket=site, Key="form/f.txt")["ETag"]
    assert body_of(s3, site, "form/f.txt") == b"a file"


def test_a_refused_form_says_why(outcome):
    answer = outcome["form too large"]
    assert answer["status"] == 400 and "<Code>EntityTooLarge</Code>" in answer["text"]


def test_form_by_navigation(outcome, s3, site):
    query = parse_qs(urlsplit(outcome["form by navigation"]["url"]).query)
    etag = s3.head_object(Bucket=site, Key="navigated")["ETag"]
    assert query == {"bucket": [site], "key": ["navigated"], "etag": [etag]}
    assert body_of(s3, site, "navigated") == b"a file"


def test_multipart_with_readable_etags(outcome, s3, site):
    parts = [{"PartNumber": number, "ETag": outcome[f"part {number}"]["etag"]} for number in (1, 2)]
    assert all(part["ETag"] for part in parts)
    s3.complete_multipart_upload(
        Bucket=site, Key="multipart", UploadId=outcome["upload"], MultipartUpload={"Parts": parts},
    )
    assert body_of(s3, site, "multipart") == b"1" * (5 << 20) + b"2"


def test_an_error_the_page_can_read(outcome):
    assert outcome["error"]["status"] == 404 and "<Code>NoSuchKey</Code>" in outcome["error"]["text"]


def test_another_origin_is_refused(outcome, s3, site, refused):
    assert outcome["refused put"] == {"refused": "TypeError"}
    assert outcome["refused get"] == {"refused": "TypeError"}
    # The preflight was refused, so the upload never came.
    refused(lambda: s3.head_object(Bucket=site, Key="refused"), "404", 404)
