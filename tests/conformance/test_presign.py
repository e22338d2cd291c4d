"""Presigned URLs: what they allow and everything they must not, and the browser's preflight."""

import datetime
import http.client
import ssl
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from s3wire import amz_date, crc32_base64, encode, now, object_path


@pytest.fixture
def fetch(target):
    """fetch(url, method, body, headers) -> (status, body) of a plain HTTP client that knows nothing of S3."""
    context = ssl.create_default_context(cafile=target.ca_file) if target.tls else None

    def call(url, method="GET", body=None, headers=None):
        request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    return call


@pytest.fixture
def stored(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"hello", ContentType="text/plain")
    return key


def url_of(s3, method, expires=300, **parameters):
    return s3.generate_presigned_url(method, Params=parameters, ExpiresIn=expires)


# What they allow

def test_get(s3, fetch, bucket, stored):
    assert fetch(url_of(s3, "get_object", Bucket=bucket, Key=stored)) == (200, b"hello")


def test_get_in_ranges_like_a_browser(s3, fetch, bucket, stored):
    url = url_of(s3, "get_object", Bucket=bucket, Key=stored)
    headers = {"Range": "bytes=1-3", "Accept": "*/*", "Accept-Language": "de", "Origin": "https://app.example",
               "Referer": "https://app.example/", "Cache-Control": "no-cache", "Sec-Fetch-Mode": "cors"}
    assert fetch(url, headers=headers) == (206, b"ell")


def test_head_and_delete(s3, fetch, bucket, stored, exists):
    assert fetch(url_of(s3, "head_object", Bucket=bucket, Key=stored), "HEAD") == (200, b"")
    assert fetch(url_of(s3, "delete_object", Bucket=bucket, Key=stored), "DELETE")[0] == 204
    assert not exists(bucket, stored)


def test_put(s3, fetch, bucket, key):
    url = url_of(s3, "put_object", Bucket=bucket, Key=key)
    assert fetch(url, "PUT", b"from curl", {"Content-Type": "text/x-any"})[0] == 200
    got = s3.get_object(Bucket=bucket, Key=key)
    assert (got["Body"].read(), got["ContentType"]) == (b"from curl", "text/x-any")


@pytest.mark.differs("seaweedfs", "fold or escape some of these")
@pytest.mark.parametrize("odd", ["a b+c", "ü/日本", "a//b", "%2F&?=#", "dir/"], ids=ascii)
def test_odd_keys(s3, fetch, bucket, odd):
    s3.put_object(Bucket=bucket, Key=odd, Body=odd.encode())
    assert fetch(url_of(s3, "get_object", Bucket=bucket, Key=odd)) == (200, odd.encode())


def test_listing_and_overrides(s3, fetch, bucket, stored):
    status, body = fetch(url_of(s3, "list_objects_v2", Bucket=bucket, Prefix=stored))
    assert status == 200 and f"<Key>{stored}</Key>".encode() in body
    url = url_of(s3, "get_object", Bucket=bucket, Key=stored, ResponseContentType="text/css")
    assert fetch(url) == (200, b"hello")


@pytest.mark.differs("moto", "fails with 500")
def test_parts_by_url(s3, fetch, bucket, key):
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    url = url_of(s3, "upload_part", Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=1)
    assert fetch(url, "PUT", b"part")[0] == 200
    [part] = s3.list_parts(Bucket=bucket, Key=key, UploadId=upload_id)["Parts"]
    s3.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=upload_id,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"part"


@pytest.mark.differs("moto", "reads no checksum from the query")
def test_a_checksum_in_the_query_counts(presigned, s3, bucket, key):
    """SDKs hoist x-amz-* headers into the query when presigning; they mean there what they mean as headers."""
    good = [("x-amz-checksum-crc32", crc32_base64(b"body"))]
    assert presigned.send(key, "PUT", b"body", query=good).status == 200
    head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    assert head["ChecksumCRC32"] == crc32_base64(b"body")
    wrong = presigned.send(key, "PUT", b"new", query=[("x-amz-checksum-crc32", crc32_base64(b""))])
    assert (wrong.status, wrong.code) == (400, "BadDigest"), wrong
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"body"


def test_signed_headers_count(s3, fetch, bucket, key):
    url = url_of(s3, "put_object", Bucket=bucket, Key=key, ContentType="text/plain", Metadata={"a": "1"})
    good = {"Content-Type": "text/plain", "x-amz-meta-a": "1"}
    assert fetch(url, "PUT", b"x", good)[0] == 200
    assert s3.head_object(Bucket=bucket, Key=key)["Metadata"] == {"a": "1"}


# What they must not allow: each against a key that exists and must stay, or must not appear

class Presigned:
    """Builds presigned requests by hand, one thing wrong at a time, and sends them raw."""

    def __init__(self, wire, bucket):
        self.wire, self.bucket = wire, bucket

    def send(self, key, method="GET", body=b"", headers=None, signer=None, sign_as=None, edit=None, signed=None, **overrides):
        path = object_path(self.bucket, key)
        signer = signer or self.wire.signer()
        query = signer.presign(sign_as or method, path, self.wire.netloc, headers=signed, **overrides)
        query = edit(query) if edit else query
        sent = {"host": self.wire.netloc, **(headers or {})}
        if body or method == "PUT":
            sent["content-length"] = str(len(body))
        return self.wire.exchange(self.wire.head(method, path, query, sent) + body, method)


@pytest.fixture
def presigned(wire, bucket):
    return Presigned(wire, bucket)


def replace(name, change):
    return lambda query: [(n, change(v) if n == name else v) for n, v in query]


def without(name):
    return lambda query: [(n, v) for n, v in query if n != name]


def flip(signature):
    return signature[:-1] + ("0" if signature[-1] != "0" else "1")


def test_the_hand_signed_control(presigned, s3, bucket, stored, key):
    """The same builder with nothing wrong, or every refusal below would prove nothing."""
    assert presigned.send(stored).body == b"hello"
    assert presigned.send(key + "-put", "PUT", b"x").status == 200
    assert presigned.send(stored, signed={"x-amz-user-agent": "a  b"}, headers={"x-amz-user-agent": "a  b"}).status == 200


REFUSED = [
    ("tampered signature", dict(edit=replace("X-Amz-Signature", flip)), {"SignatureDoesNotMatch"}, 403),
    ("empty signature", dict(edit=replace("X-Amz-Signature", lambda _: "")), {"SignatureDoesNotMatch", "AuthorizationQueryParametersError"}, None),
    ("signature missing", dict(edit=without("X-Amz-Signature")), {"AuthorizationQueryParametersError", "AccessDenied"}, None),
    ("credential missing", dict(edit=without("X-Amz-Credential")), {"AuthorizationQueryParametersError"}, 400),
    ("date missing", dict(edit=without("X-Amz-Date")), {"AuthorizationQueryParametersError"}, 400),
    ("expiry missing", dict(edit=without("X-Amz-Expires")), {"AuthorizationQueryParametersError"}, 400),
    ("signed headers missing", dict(edit=without("X-Amz-SignedHeaders")), {"AuthorizationQueryParametersError"}, 400),
    ("longer expiry after signing", dict(edit=replace("X-Amz-Expires", lambda _: "604800")), {"SignatureDoesNotMatch"}, 403),
    ("parameter added", dict(edit=lambda q: [*q, ("response-content-type", "text/html")]), {"SignatureDoesNotMatch"}, 403),
    ("subresource added", dict(edit=lambda q: [*q, ("uploadId", "x")]), {"SignatureDoesNotMatch"}, 403),
    ("date moved", dict(edit=replace("X-Amz-Date", lambda _: amz_date(now() + datetime.timedelta(minutes=1)))), {"SignatureDoesNotMatch"}, 403),
    ("another access key", dict(edit=replace("X-Amz-Credential", lambda v: "AKIANOSUCHKEY0000000" + v[v.index("/"):])), {"InvalidAccessKeyId"}, 403),
    ("signed for another method", dict(sign_as="DELETE"), {"SignatureDoesNotMatch"}, 403),
    ("host not signed", dict(X_Amz_SignedHeaders="x-amz-date"), {"SignatureDoesNotMatch", "AccessDenied", "AuthorizationQueryParametersError"}, None),
    ("signed header not sent", dict(signed={"x-amz-meta-a": "1"}), {"SignatureDoesNotMatch", "AccessDenied"}, 403),
    ("signed header changed", dict(signed={"x-amz-meta-a": "1"}, headers={"x-amz-meta-a": "2"}), {"SignatureDoesNotMatch"}, 403),
    ("unsigned x-amz header", dict(headers={"x-amz-meta-extra": "1"}), {"AccessDenied"}, 403),
    ("expires over a week", dict(expires_s="604801"), {"AuthorizationQueryParametersError", "AccessDenied"}, None),
    ("expires negative", dict(expires_s="-1"), {"AuthorizationQueryParametersError", "AccessDenied"}, None),
    ("expires not a number", dict(expires_s="soon"), {"AuthorizationQueryParametersError"}, 400),
    ("expires at once", dict(expires_s="0"), {"AuthorizationQueryParametersError", "AccessDenied"}, None),
    ("unknown algorithm", dict(X_Amz_Algorithm="AWS4-HMAC-SHA1"), {"AuthorizationQueryParametersError", "InvalidArgument"}, 400),
    ("credential malformed", dict(X_Amz_Credential="nonsense"), {"AuthorizationQueryParametersError"}, 400),
]
SEAWEED_DIFFERS = {
    "signature missing", "credential missing", "date missing", "expiry missing", "signed headers missing", "unsigned x-amz header",
    "expires over a week", "expires negative", "expires not a number", "expires at once", "unknown algorithm", "credential malformed",
    "empty signature", "signed header not sent", "host not signed",
}


@pytest.mark.differs("moto", "checks no signatures")
@pytest.mark.parametrize("fault,codes,status", [
    pytest.param(fault, codes, status, id=name.replace(" ", "-"),
                 marks=[pytest.mark.differs("seaweedfs", "other codes, or lenient")] if name in SEAWEED_DIFFERS else [])
    for name, fault, codes, status in REFUSED
])
def test_refused(presigned, s3, bucket, stored, fault, codes, status):
    for method, body in (("GET", b""), ("PUT", b"overwritten")):
        answer = presigned.send(stored, method, body, **fault)
        assert answer.code in codes and answer.status in ({status} if status else {400, 403}), (method, answer)
        assert b"hello" not in answer.body
    assert s3.get_object(Bucket=bucket, Key=stored)["Body"].read() == b"hello"


@pytest.mark.differs("moto", "checks no signatures")
@pytest.mark.parametrize("age", [
    datetime.timedelta(hours=2), datetime.timedelta(days=8),
    pytest.param(-datetime.timedelta(minutes=20), marks=pytest.mark.differs("seaweedfs", "accepts it")),
], ids=["expired", "expired-last-week", "from-the-future"])
def test_outside_its_time(presigned, wire, s3, bucket, stored, age):
    for method, body in (("GET", b""), ("PUT", b"overwritten")):
        answer = presigned.send(stored, method, body, signer=wire.signer(when=now() - age))
        assert (answer.status, answer.code) == (403, "AccessDenied"), answer
    assert s3.get_object(Bucket=bucket, Key=stored)["Body"].read() == b"hello"


@pytest.mark.differs("moto", "checks no signatures")
def test_a_url_runs_out(s3, fetch, bucket, stored):
    url = url_of(s3, "get_object", expires=10, Bucket=bucket, Key=stored)
    assert fetch(url) == (200, b"hello")
    deadline = time.monotonic() + 60
    while fetch(url)[0] == 200:
        assert time.monotonic() < deadline, "a URL of ten seconds still works after sixty"
        time.sleep(0.25)
    status, body = fetch(url)
    assert status == 403 and b"<Code>AccessDenied</Code>" in body


@pytest.mark.differs("moto", "checks no signatures")
def test_a_url_is_for_one_key(s3, fetch, bucket, stored):
    s3.put_object(Bucket=bucket, Key=stored + "-secret", Body=b"secret")
    url = url_of(s3, "get_object", Bucket=bucket, Key=stored)
    status, body = fetch(url.replace(encode(stored), encode(stored + "-secret")))
    assert status == 403 and b"secret" not in body.replace(b"-secret", b"")


@pytest.mark.differs("moto", "checks no signatures")
def test_a_signed_content_type_binds(s3, fetch, bucket, key, exists):
    url = url_of(s3, "put_object", Bucket=bucket, Key=key, ContentType="text/plain")
    assert fetch(url, "PUT", b"x", {"Content-Type": "text/html"})[0] == 403
    assert not exists(bucket, key)


@pytest.mark.differs("moto", "checks no signatures")
@pytest.mark.differs("seaweedfs", "lets one of the two win")
def test_header_and_query_together(wire, s3, bucket, stored):
    path = object_path(bucket, stored)
    query = wire.signer().presign("GET", path, wire.netloc)
    answer = wire.request("GET", path, query)
    assert (answer.status, answer.code) == (400, "InvalidArgument"), answer
    # Neither half may be the one that is not looked at.
    answer = wire.request("GET", path, [(n, flip(v) if n == "X-Amz-Signature" else v) for n, v in query])
    assert answer.status in (400, 403) and b"hello" not in answer.body


@pytest.mark.differs("moto", "checks no signatures")
@pytest.mark.differs("seaweedfs", "lets the first win")
@pytest.mark.parametrize("name", ["X-Amz-Signature", "X-Amz-Expires", "X-Amz-Credential"])
def test_a_parameter_twice(presigned, bucket, stored, name):
    answer = presigned.send(stored, edit=lambda q: [*q, next((n, v) for n, v in q if n == name)])
    assert answer.status in (400, 403) and b"hello" not in answer.body, answer


# The browser's preflight

def preflight(target, path, headers):
    parts = urlsplit(target.url)
    if target.tls:
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=10, context=ssl.create_default_context(cafile=target.ca_file),
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    try:
        connection.request("OPTIONS", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, {n.lower(): v for n, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


ASKING = {"Origin": "https://app.example", "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}


@pytest.mark.differs("moto seaweedfs", "allow everything by default")
def test_preflight_without_rules_is_answered_and_forbidden(target, bucket, stored):
    """No credentials come with a preflight: the answer is about CORS rules, never about signatures."""
    status, headers, body = preflight(target, f"/{bucket}/{stored}", ASKING)
    assert status == 403 and b"<Code>AccessForbidden</Code>" in body
    assert "access-control-allow-origin" not in headers


@pytest.mark.differs("moto seaweedfs", "allow everything by default")
def test_preflight_without_origin(target, bucket, stored):
    status, _, body = preflight(target, f"/{bucket}/{stored}", {})
    assert status == 400 and b"<Code>BadRequest</Code>" in body


@pytest.mark.differs("moto", "answer from a global setting")
def test_preflight_with_rules(target, s3, fetch, make_bucket):
    name = make_bucket()
    rule = {"AllowedOrigins": ["https://app.example"], "AllowedMethods": ["PUT", "GET"], "AllowedHeaders": ["*"],
            "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 77}
    try:
        s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [rule]})
    except ClientError as error:
        if error.response["Error"]["Code"] != "NotImplemented":
            raise
        pytest.skip("the server has no CORS rules")
    status, headers, _ = preflight(target, f"/{name}/k", ASKING)
    assert status == 200
    assert headers["access-control-allow-origin"] == "https://app.example"
    assert "PUT" in headers["access-control-allow-methods"]
    assert headers["access-control-max-age"] == "77"
    status, headers, _ = preflight(target, f"/{name}/k", {**ASKING, "Origin": "https://evil.example"})
    assert status == 403 and "access-control-allow-origin" not in headers
