"""Requests no SDK sends: forged, torn, lying, oversized. AWS's code and status, and nothing stored afterwards.

Every refused write is sent twice: to a key that does not exist, which must still not exist, and over an object,
which must still be the old one. Each family starts with a well-formed control, so that a refusal proves something.
"""

import base64
import datetime
import hashlib
import time

import pytest
from botocore.exceptions import ClientError

import s3wire
from s3wire import (
    STREAMING_SIGNED, STREAMING_SIGNED_TRAILER, STREAMING_UNSIGNED_TRAILER, UNSIGNED, amz_date, crc32_base64,
    http_chunked, now, object_path, signed_chunks, unsigned_chunks,
)

KIB = 1024
BODY = bytes(range(256)) * 800  # 200 KiB: four chunks of 64 KiB, the last one short
QUICK_S = 10.0
CHECKS_NO_SIGNATURES = pytest.mark.differs("moto", "checks no signatures")


class Refusal:
    """Sends a write to a free and to a taken key and holds the answer and the aftermath to what was asked."""

    def __init__(self, s3, wire, bucket, key):
        self.s3, self.wire, self.bucket, self.key = s3, wire, bucket, key

    def body(self, key):
        try:
            return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            assert error.response["Error"]["Code"] == "NoSuchKey"
            return None

    def check(self, send, codes, status, may_close=False):
        """send(path) -> Response. `status` None means any 4xx; `may_close` also accepts no answer at all."""
        taken = self.key + "-taken"
        self.s3.put_object(Bucket=self.bucket, Key=taken, Body=b"old")
        for key, before in ((self.key, None), (taken, b"old")):
            answer = send(object_path(self.bucket, key))
            if not (may_close and answer.status == 0):
                wanted = 400 <= answer.status < 500 if status is None else answer.status == status
                assert wanted and (not codes or answer.code in codes), answer
            assert self.body(key) == before, "something was stored"
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=self.key).get("Contents", [])
        assert [o["Key"] for o in listed] == [taken]


@pytest.fixture
def refusal(s3, wire, bucket, key):
    return Refusal(s3, wire, bucket, key)


# Signatures in the header

def test_control_signed_put(wire, s3, bucket, key):
    answer = wire.request("PUT", object_path(bucket, key), body=BODY)
    assert answer.status == 200, answer
    assert answer.headers["etag"] == f'"{hashlib.md5(BODY).hexdigest()}"'
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == BODY


def test_control_unsigned_payload(wire, s3, bucket, key):
    assert wire.request("PUT", object_path(bucket, key), body=BODY, payload_hash=UNSIGNED).status == 200
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == BODY


SIGNATURES = {
    "wrong-secret": (dict(signer=dict(secret_key="wrong")), {"SignatureDoesNotMatch"}, 403),
    "unknown-access-key": (dict(signer=dict(access_key="AKIANOSUCHKEY0000000")), {"InvalidAccessKeyId"}, 403),
    "no-credentials": (dict(sign=False), {"AccessDenied"}, 403),
    "header-changed-after-signing": (
        dict(headers={"x-amz-meta-a": "1"}, unsigned_headers={"x-amz-meta-a": "2"}), {"SignatureDoesNotMatch"}, 403),
    "x-amz-header-not-signed": (dict(unsigned_headers={"x-amz-meta-a": "2"}), {"AccessDenied", "SignatureDoesNotMatch"}, 403),
    "signed-header-missing": (
        dict(headers={"x-amz-meta-a": "1"}, unsigned_headers={"x-amz-meta-a": None}), {"SignatureDoesNotMatch", "AccessDenied"}, 403),
    "old-date": (dict(signer=dict(when=now() - datetime.timedelta(hours=9))), {"RequestTimeTooSkewed"}, 403),
    "future-date": (dict(signer=dict(when=now() + datetime.timedelta(hours=9))), {"RequestTimeTooSkewed"}, 403),
    "other-region": (dict(signer=dict(region="mars-north-1")), {"AuthorizationHeaderMalformed"}, 400),
    "other-service": (dict(signer=dict(service="ec2")), {"AuthorizationHeaderMalformed"}, 400),
    "other-terminator": (dict(signer=dict(terminator="aws5_request")), {"AuthorizationHeaderMalformed"}, 400),
    "not-an-algorithm": (dict(authorization="AWS5-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=0"), {"InvalidArgument", "AuthorizationHeaderMalformed"}, 400),
    "half-an-authorization": (dict(authorization="AWS4-HMAC-SHA256 Credential=a"), {"AuthorizationHeaderMalformed"}, 400),
    "empty-authorization": (dict(authorization=" "), None, None),
    "basic-authorization": (dict(authorization="Basic cm9vdDpyb290"), {"InvalidArgument", "AccessDenied"}, None),
    "no-date": (dict(unsigned_headers={"x-amz-date": None}), {"AccessDenied", "SignatureDoesNotMatch"}, 403),
    "payload-mode-not-signed": (dict(unsigned_headers={"x-amz-content-sha256": UNSIGNED}), {"SignatureDoesNotMatch"}, 403),
}
SEAWEED_SIGNATURES = {
    "x-amz-header-not-signed", "other-region", "other-service", "other-terminator", "half-an-authorization", "not-an-algorithm",
    "signed-header-missing", "basic-authorization", "no-date",
}


@CHECKS_NO_SIGNATURES
@pytest.mark.parametrize("name", [
    pytest.param(n, marks=[pytest.mark.differs("seaweedfs", "other codes, or lenient")] if n in SEAWEED_SIGNATURES else [])
    for n in SIGNATURES
])
def test_signature(refusal, wire, name):
    fault, codes, status = SIGNATURES[name]
    fault = dict(fault)
    if "signer" in fault:
        fault["signer"] = wire.signer(**fault["signer"])
    refusal.check(lambda path: wire.request("PUT", path, body=b"new", **fault), codes, status)


@CHECKS_NO_SIGNATURES
@pytest.mark.differs("seaweedfs", "answers MissingFields to an empty one")
@pytest.mark.parametrize("change", [str.upper, lambda s: s[:-1], lambda s: "0" * 64, lambda s: ""], ids=["upper-case", "short", "zeros", "empty"])
def test_forged_signature(refusal, wire, change):
    def send(path):
        signer = wire.signer()
        digest = hashlib.sha256(b"new").hexdigest()
        headers = {"host": wire.netloc, "x-amz-date": amz_date(signer.when), "x-amz-content-sha256": digest}
        value, seed = signer.authorization("PUT", path, (), headers, digest)
        return wire.request("PUT", path, body=b"new", signer=signer, authorization=value.replace(seed, change(seed)))

    refusal.check(send, {"SignatureDoesNotMatch", "AuthorizationHeaderMalformed"}, None)


@CHECKS_NO_SIGNATURES
@pytest.mark.differs("seaweedfs", "does not show them")
def test_a_mismatch_shows_what_the_server_signed(wire, bucket):
    """AWS returns the canonical request, which is how people find their mistake; never the secret."""
    answer = wire.request("GET", f"/{bucket}", [("list-type", "2")], signer=wire.signer(secret_key="wrong"))
    assert answer.code == "SignatureDoesNotMatch"
    assert b"<CanonicalRequest>GET" in answer.body and b"<StringToSign>AWS4-HMAC-SHA256" in answer.body
    assert wire.secret_key.encode() not in answer.body


@CHECKS_NO_SIGNATURES
@pytest.mark.parametrize("path,query", [
    ("/", ()), ("/{bucket}", (("list-type", "2"),)), ("/{bucket}/{key}", ()), ("/{bucket}/no-such-key", ())])
@pytest.mark.differs("seaweedfs", "tells 404 from 403")
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_stranger_learns_nothing(wire, s3, bucket, key, method, path, query):
    """Without credentials 403 whether it exists or not. Names of buckets are no secret: AWS tells everybody."""
    if method != "GET" and path == "/":
        pytest.skip("not an operation")
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    answer = wire.request(method, path.format(bucket=bucket, key=key), query, sign=False)
    assert answer.status == 403 and answer.code in ("AccessDenied", ""), answer
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"x"


@CHECKS_NO_SIGNATURES
@pytest.mark.differs("seaweedfs", "lets one of the two win")
def test_header_and_query_together(refusal, wire):
    def send(path):
        return wire.request("PUT", path, wire.signer().presign("PUT", path, wire.netloc), body=b"new")
    refusal.check(send, {"InvalidArgument"}, 400)


# The payload against its hash

@pytest.mark.differs("moto seaweedfs", "do not compare the body with its hash")
def test_wrong_sha256(refusal, wire):
    other = hashlib.sha256(b"other").hexdigest()
    refusal.check(lambda p: wire.request("PUT", p, body=b"new", payload_hash=other), {"XAmzContentSHA256Mismatch"}, 400)


@pytest.mark.differs("moto seaweedfs", "do not look at its shape")
@pytest.mark.parametrize("value", ["", "abc", "STREAMING-AWS4-HMAC-SHA512-PAYLOAD", "unsigned-payload"])
def test_malformed_sha256(refusal, wire, value):
    refusal.check(
        lambda p: wire.request("PUT", p, body=b"new", payload_hash=value),
        {"InvalidArgument", "InvalidRequest", "XAmzContentSHA256Mismatch"}, 400,
    )


@pytest.mark.differs("moto", "does not look at it")
def test_wrong_content_md5(refusal, wire):
    digest = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    refusal.check(lambda p: wire.request("PUT", p, body=b"new", headers={"content-md5": digest}), {"BadDigest"}, 400)


@pytest.mark.differs("moto", "does not look at it")
@pytest.mark.differs("seaweedfs", "answers BadDigest")
@pytest.mark.parametrize("value", ["not base64!", "AAAA", "=", base64.b64encode(bytes(17)).decode()])
def test_malformed_content_md5(refusal, wire, value):
    refusal.check(lambda p: wire.request("PUT", p, body=b"new", headers={"content-md5": value}), {"InvalidDigest"}, 400)


def test_right_content_md5(wire, bucket, key):
    digest = base64.b64encode(hashlib.md5(b"new").digest()).decode()
    assert wire.request("PUT", object_path(bucket, key), body=b"new", headers={"content-md5": digest}).status == 200


@pytest.mark.differs("moto", "stores what arrived, or waits")
@pytest.mark.differs("seaweedfs", "answers 499")
@pytest.mark.parametrize("mode", ["signed", UNSIGNED])
def test_short_body(refusal, wire, mode):
    """Fewer bytes than Content-Length, then the end: torn, never stored."""
    extra = {} if mode == "signed" else {"payload_hash": mode}
    refusal.check(
        lambda p: wire.request("PUT", p, body=BODY, length=len(BODY) + 1, half_close=True, **extra),
        {"IncompleteBody", "RequestTimeout"}, 400, may_close=True,
    )


# aws-chunked

def chunked_put(wire, path, mode, encode_body, decoded=len(BODY), trailer=None, over_http_chunks=False, **extra):
    headers = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(decoded)}
    if decoded is None:
        del headers["x-amz-decoded-content-length"]
    if trailer:
        headers["x-amz-trailer"] = trailer
    if over_http_chunks:
        inner = encode_body
        encode_body = lambda signer, seed: http_chunked(inner(signer, seed))  # noqa: E731
        extra["unsigned_headers"] = {"content-length": None, "transfer-encoding": "chunked"}
    return wire.request("PUT", path, headers=headers, payload_hash=mode, encode_body=encode_body, **extra)


CRC = "x-amz-checksum-crc32"
GOOD_TRAILER = {CRC: crc32_base64(BODY)}


def signed(**fault):
    return lambda signer, seed: signed_chunks(signer, seed, BODY, **fault)


def signed_with_trailer(**fault):
    return lambda signer, seed: signed_chunks(signer, seed, BODY, **{"trailers": GOOD_TRAILER, **fault})


def unsigned(**fault):
    return lambda signer, seed: unsigned_chunks(BODY, **{"trailers": GOOD_TRAILER, **fault})


@pytest.mark.differs("seaweedfs", "keeps aws-chunked as the content encoding")
@pytest.mark.parametrize("framing", ["content-length", "http-chunked"])
@pytest.mark.parametrize("mode,encode,trailer", [
    (STREAMING_SIGNED, signed(), None),
    (STREAMING_SIGNED, signed(chunk_bytes=8 * KIB), None),
    (STREAMING_SIGNED, signed(chunk_bytes=len(BODY)), None),
    (STREAMING_SIGNED_TRAILER, signed_with_trailer(), CRC),
    (STREAMING_UNSIGNED_TRAILER, unsigned(), CRC),
    (STREAMING_UNSIGNED_TRAILER, unsigned(chunk_bytes=len(BODY)), CRC),
], ids=["signed", "signed-8k", "signed-one-chunk", "signed-trailer", "unsigned-trailer", "unsigned-one-chunk"])
def test_control_aws_chunked(wire, s3, bucket, key, mode, encode, trailer, framing):
    path = object_path(bucket, key)
    answer = chunked_put(wire, path, mode, encode, trailer=trailer, over_http_chunks=framing == "http-chunked")
    assert answer.status == 200, answer
    got = s3.get_object(Bucket=bucket, Key=key)
    assert got["Body"].read() == BODY
    assert "ContentEncoding" not in got


def cut_last_bytes(encode, count):
    return lambda signer, seed: encode(signer, seed)[:-count]


def prepend(encode, data):
    return lambda signer, seed: data + encode(signer, seed)


HUGE = b"f" * 16
CHUNKED_FAULTS = {
    # name: (mode, body, decoded length, trailer names, codes, status)
    "tampered-first-chunk": (STREAMING_SIGNED, signed(tamper_chunk=0), None, None, {"SignatureDoesNotMatch"}, 403),
    "tampered-last-chunk": (STREAMING_SIGNED, signed(tamper_chunk=3), None, None, {"SignatureDoesNotMatch"}, 403),
    "tampered-chunk-with-trailer": (STREAMING_SIGNED_TRAILER, signed_with_trailer(tamper_chunk=1), None, CRC, {"SignatureDoesNotMatch"}, 403),
    "chunks-signed-with-another-seed": (
        STREAMING_SIGNED, lambda signer, seed: signed_chunks(signer, "0" * 64, BODY), None, None, {"SignatureDoesNotMatch"}, 403),
    "chunks-without-signatures": (
        STREAMING_SIGNED, lambda signer, seed: unsigned_chunks(BODY, {}), None, None, {"SignatureDoesNotMatch", "InvalidRequest", "IncompleteBody", "AccessDenied"}, None),
    "trailer-changed-after-signing": (
        STREAMING_SIGNED_TRAILER,
        lambda signer, seed: signed_with_trailer()(signer, seed).replace(GOOD_TRAILER[CRC].encode(), crc32_base64(b"").encode()),
        None, CRC, {"SignatureDoesNotMatch", "BadDigest"}, None),
    "wrong-trailer-checksum": (
        STREAMING_UNSIGNED_TRAILER, unsigned(trailers={CRC: crc32_base64(b"other")}), None, CRC, {"BadDigest"}, 400),
    "wrong-signed-trailer-checksum": (
        STREAMING_SIGNED_TRAILER, signed_with_trailer(trailers={CRC: crc32_base64(b"other")}), None, CRC, {"BadDigest"}, 400),
    "malformed-trailer-checksum": (
        STREAMING_UNSIGNED_TRAILER, unsigned(trailers={CRC: "nonsense"}), None, CRC, {"InvalidRequest", "MalformedTrailerError", "BadDigest"}, 400),
    "trailer-not-announced": (
        STREAMING_UNSIGNED_TRAILER, unsigned(trailers={"x-amz-checksum-sha1": "x"}), None, CRC, {"MalformedTrailerError", "InvalidRequest"}, 400),
    "signed-last-chunk-missing": (STREAMING_SIGNED, signed(final=False), None, None, {"IncompleteBody", "InvalidRequest"}, 400),
    "unsigned-last-chunk-missing": (STREAMING_UNSIGNED_TRAILER, unsigned(final=False), None, CRC, {"IncompleteBody", "MalformedTrailerError"}, 400),
    "decoded-length-too-long": (STREAMING_UNSIGNED_TRAILER, unsigned(), len(BODY) + 1, CRC, {"IncompleteBody"}, 400),
    "decoded-length-too-short": (STREAMING_UNSIGNED_TRAILER, unsigned(), len(BODY) - 1, CRC, {"IncompleteBody", "InvalidRequest"}, 400),
    "signed-decoded-length-too-long": (STREAMING_SIGNED, signed(), len(BODY) + 1, None, {"IncompleteBody"}, 400),
    "signed-decoded-length-too-short": (STREAMING_SIGNED, signed(), len(BODY) - 1, None, {"IncompleteBody", "InvalidRequest"}, 400),
    "decoded-length-zero": (STREAMING_UNSIGNED_TRAILER, unsigned(), 0, CRC, {"IncompleteBody", "InvalidRequest"}, 400),
    "cut-inside-the-trailer": (STREAMING_UNSIGNED_TRAILER, cut_last_bytes(unsigned(), 9), None, CRC, {"IncompleteBody", "MalformedTrailerError", "InvalidRequest", "BadDigest"}, 400),
    "cut-inside-a-chunk": (STREAMING_SIGNED, cut_last_bytes(signed(), 5000), None, None, {"IncompleteBody"}, 400),
    "chunk-size-not-hexadecimal": (STREAMING_UNSIGNED_TRAILER, prepend(unsigned(), b"xyz\r\n"), None, CRC, None, 400),
    "chunk-size-of-2-to-the-64": (STREAMING_UNSIGNED_TRAILER, prepend(unsigned(), HUGE + b"\r\n"), None, CRC, None, 400),
    "chunk-size-without-end": (STREAMING_UNSIGNED_TRAILER, prepend(unsigned(), b"0" * 100_000), None, CRC, None, 400),
    "chunk-extension-without-end": (STREAMING_SIGNED, prepend(signed(), b"1000;" + b"a" * 100_000), None, None, None, None),
    "signed-chunk-size-of-2-to-the-64": (STREAMING_SIGNED, prepend(signed(), HUGE + b";chunk-signature=" + b"0" * 64 + b"\r\n"), None, None, None, None),
    "plain-body-declared-as-chunks": (STREAMING_UNSIGNED_TRAILER, lambda signer, seed: BODY, None, CRC, None, 400),
}


@pytest.mark.differs("moto", "does not verify chunks")
@pytest.mark.parametrize("framing", ["content-length", "http-chunked"])
@pytest.mark.differs("seaweedfs", "refuses with 500, or is lenient")
@pytest.mark.parametrize("name", CHUNKED_FAULTS)
def test_aws_chunked(refusal, wire, name, framing):
    mode, encode, decoded, trailer, codes, status = CHUNKED_FAULTS[name]
    refusal.check(lambda path: chunked_put(
        wire, path, mode, encode, decoded=len(BODY) if decoded is None else decoded, trailer=trailer,
        over_http_chunks=framing == "http-chunked",
    ), codes, status)


@pytest.mark.differs("moto seaweedfs", "take what comes")
def test_aws_chunked_needs_its_decoded_length(refusal, wire):
    refusal.check(
        lambda path: chunked_put(wire, path, STREAMING_SIGNED, signed(), decoded=None),
        {"MissingContentLength", "InvalidArgument", "InvalidRequest"}, None,
    )


@CHECKS_NO_SIGNATURES
@pytest.mark.parametrize("mode,encode,trailer", [
    (STREAMING_SIGNED, signed(), None), (STREAMING_SIGNED_TRAILER, signed_with_trailer(), CRC),
    (STREAMING_UNSIGNED_TRAILER, unsigned(), CRC),
], ids=["signed", "signed-trailer", "unsigned-trailer"])
@pytest.mark.parametrize("fault", ["no-credentials", "wrong-secret", "unknown-key"])
def test_no_payload_mode_skips_the_signature(refusal, wire, mode, encode, trailer, fault):
    """The hole that keeps coming back: a streaming mode whose request signature nobody checks."""
    extra = {
        "no-credentials": {"sign": False}, "wrong-secret": {"signer": wire.signer(secret_key="wrong")},
        "unknown-key": {"signer": wire.signer(access_key="AKIANOSUCHKEY0000000")},
    }[fault]
    codes = {"no-credentials": {"AccessDenied"}, "wrong-secret": {"SignatureDoesNotMatch"}, "unknown-key": {"InvalidAccessKeyId"}}[fault]
    refusal.check(lambda path: chunked_put(wire, path, mode, encode, trailer=trailer, **extra), codes, 403)


# HTTP itself

def raw(wire, path, method="PUT", headers=(), body=b"", version="HTTP/1.1", signed_headers=None):
    """A correctly signed head with header lines of the caller's own added at the end, byte for byte."""
    signer = wire.signer()
    digest = hashlib.sha256(body).hexdigest()
    sign = {"host": wire.netloc, "x-amz-date": amz_date(signer.when), "x-amz-content-sha256": digest, **(signed_headers or {})}
    value, _ = signer.authorization(method, path, (), sign, digest)
    lines = [f"{method} {path} {version}".encode()]
    lines += [f"{n}: {v}".encode() for n, v in {**sign, "authorization": value}.items()]
    return b"\r\n".join([*lines, *headers, b"", b""]) + body


SMUGGLED = b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n"


@pytest.mark.differs("moto seaweedfs", "a lenient HTTP library")
@pytest.mark.parametrize("headers", [
    [b"content-length: 3", b"transfer-encoding: chunked"],
    [b"content-length: 3", b"content-length: 4"],
    [b"content-length: 3", b"content-length: 3, 4"],
    [b"content-length: -3"], [b"content-length: 0x3"], [b"content-length: +3"],
    [b"transfer-encoding: chunked, identity"], [b"transfer-encoding: xchunked"],
    [b"content-length: 3", b"x-folded: a\r\n b"],
    [b"content-length: 3", b"bad header: x"], [b"content-length: 3", b": x"], [b"content-length : 3"],
    [b"content-length: 3", b"x-null: a\0b"],
], ids=["length-and-chunked", "two-lengths", "listed-lengths", "negative-length", "hex-length", "plus-length",
        "chunked-not-last", "unknown-coding", "folded", "space-in-name", "no-name", "space-before-colon", "nul"])
def test_ambiguous_http(refusal, wire, headers):
    """Two readings of one request are how smuggling starts: refused, and the connection is not used again."""
    refusal.check(lambda path: wire.exchange(raw(wire, path, headers=headers, body=b"new") + SMUGGLED, "PUT"), None, None, may_close=True)


@pytest.mark.differs("moto seaweedfs", "a lenient HTTP library")
def test_length_and_chunked_close_the_connection(wire, bucket, key):
    connection = wire.connect()
    try:
        request = raw(wire, object_path(bucket, key), headers=[b"content-length: 5", b"transfer-encoding: chunked"], body=b"0\r\n\r\n")
        first = wire.exchange(request, "PUT", connection=connection)
        assert (first.status, first.closed) == (400, True), first
        again = wire.request("GET", f"/{bucket}", [("list-type", "2")], connection=connection)
        assert again.status == 0, "the connection was used again"
    finally:
        connection.close()


@pytest.mark.differs("moto", "accepts it as empty")
@pytest.mark.differs("seaweedfs", "accepts it as empty")
def test_put_without_a_length(refusal, wire):
    refusal.check(lambda path: wire.exchange(raw(wire, path), "PUT"), {"MissingContentLength"}, 411)


@pytest.mark.differs("moto", "has no limit")
@pytest.mark.differs("seaweedfs", "waits for the body")
def test_an_object_over_5_gib_is_refused_before_its_body(refusal, wire):
    def send(path):
        begin = time.monotonic()
        answer = wire.request(
            "PUT", path, payload_hash=UNSIGNED, length=5 * 1024 ** 3 + 1, unsigned_headers={"expect": "100-continue"},
        )
        assert time.monotonic() - begin < QUICK_S
        return answer
    refusal.check(send, {"EntityTooLarge"}, 400)


@pytest.mark.differs("moto", "does not know Expect")
@pytest.mark.differs("seaweedfs", "asks for the body before it checks the signature")
def test_expect_100_continue(wire, s3, bucket, key):
    """The body is asked for only when the head is acceptable."""
    path = object_path(bucket, key)
    digest = hashlib.sha256(b"new").hexdigest()
    for signer, expected in ((wire.signer(), b"HTTP/1.1 100"), (wire.signer(secret_key="wrong"), b"HTTP/1.1 403")):
        sign = {"host": wire.netloc, "x-amz-date": amz_date(signer.when), "x-amz-content-sha256": digest}
        value, _ = signer.authorization("PUT", path, (), sign, digest)
        head = wire.head("PUT", path, (), {**sign, "authorization": value, "content-length": "3", "expect": "100-continue"})
        connection = wire.connect()
        try:
            connection.sendall(head)
            assert connection.recv(12) == expected
            if expected.endswith(b"100"):
                rest = connection.recv(1000)
                assert rest.endswith(b"\r\n\r\n")
                assert wire.exchange(b"new", "PUT", connection=connection).status == 200
        finally:
            connection.close()
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"new"


@pytest.mark.differs("seaweedfs", "answers 417")
@pytest.mark.parametrize("expectation", ["200", "", "something"])
def test_an_expectation_that_is_none_is_ignored(wire, s3, bucket, key, expectation):
    """As AWS does, though RFC 9110 would allow 417."""
    path = object_path(bucket, key)
    assert wire.request("PUT", path, body=b"x", unsigned_headers={"expect": expectation}).status == 200
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"x"


@pytest.mark.differs("seaweedfs", "has a limit of 1 MiB")
@pytest.mark.parametrize("headers", [
    [b"x-filler: " + b"a" * 200_000], [b"x-filler-%d: a" % n for n in range(5000)],
], ids=["one-huge", "very-many"])
def test_oversize_headers(refusal, wire, headers):
    refusal.check(
        lambda path: wire.exchange(raw(wire, path, headers=[b"content-length: 3", *headers], body=b"new"), "PUT"),
        None, None, may_close=True,
    )


@pytest.mark.differs("seaweedfs", "a lenient HTTP library")
def test_an_oversize_request_line(wire, bucket):
    answer = wire.request("GET", f"/{bucket}/" + "a" * 100_000)
    assert answer.status in (0, 400, 414, 431), answer


@pytest.mark.differs("moto", "guesses a missing Host")
@pytest.mark.parametrize("start", [
    b"\r\n\r\n\x00\x01\x02garbage\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\nhost: x\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
], ids=["garbage", "no-target", "version-9", "no-host", "h2-torn"])
def test_what_is_not_http_does_no_harm(wire, bucket, start):
    answer = wire.exchange(start, half_close=True)
    assert answer.status == 0 or 400 <= answer.status < 600, answer
    assert wire.request("GET", f"/{bucket}", [("list-type", "2")]).status == 200


# Names

@pytest.mark.differs("moto seaweedfs", "accept some of these")
@pytest.mark.parametrize("name", [
    "ab", "a" * 64, "Upper", "under_score", "-dash", "dash-", "dot..dot", ".dot", "192.168.5.4", "xn--x", "sp%20ace",
    "a-s3alias", "sthree-x", "%C3%BCmlaut",
])
def test_bad_bucket_names(wire, s3, name):
    answer = wire.request("PUT", f"/{name}")
    assert (answer.status, answer.code) == (400, "InvalidBucketName"), answer


def test_dots_in_the_path_never_leave_the_bucket(wire, s3, bucket, make_bucket):
    """`/bucket/../other/key` is the key `../other/key` of bucket, encoded or not."""
    other = make_bucket()
    for path in (f"/{bucket}/../{other}/stray", f"/{bucket}/%2e%2e/{other}/stray", f"/{bucket}/..%2F{other}%2Fstray"):
        wire.request("PUT", path, body=b"x")
        assert s3.list_objects_v2(Bucket=other)["KeyCount"] == 0, path


@pytest.mark.differs("moto seaweedfs", "fail in other ways")
@pytest.mark.parametrize("source", [
    "", "/", "nobucketorkey", "/{bucket}", "/{bucket}/", "{bucket}/%zz", "{bucket}/../{bucket}/taken", "?versionId=1",
])
def test_bad_copy_sources(wire, s3, bucket, key, source):
    s3.put_object(Bucket=bucket, Key="taken", Body=b"x")
    answer = wire.request("PUT", object_path(bucket, key), headers={"x-amz-copy-source": source.format(bucket=bucket)})
    assert answer.status in (400, 404) and answer.code in {"InvalidArgument", "InvalidRequest", "NoSuchKey", "NoSuchBucket", "InvalidBucketName"}, answer
    assert s3.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"] == 0


# XML bodies

def delete_request(wire, bucket, body, **headers):
    digest = base64.b64encode(hashlib.md5(body).digest()).decode()
    return wire.request("POST", f"/{bucket}", [("delete", "")], headers={"content-md5": digest, **headers}, body=body)


def delete_xml(keys):
    return b"<Delete>" + b"".join(b"<Object><Key>%s</Key></Object>" % k for k in keys) + b"</Delete>"


def test_control_delete_objects(wire, s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    answer = delete_request(wire, bucket, delete_xml([key.encode()]))
    assert answer.status == 200 and f"<Key>{key}</Key>".encode() in answer.body, answer
    assert s3.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"] == 0


BOMB = b"""<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><Delete><Object><Key>&b;</Key></Object></Delete>"""
OUTSIDE = b"""<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]><Delete><Object><Key>&f;</Key></Object></Delete>"""


@pytest.mark.differs("moto seaweedfs", "lenient, or answers 500")
@pytest.mark.parametrize("body", [
    b"", b"not xml", b"<Delete>", b"<Delete><Object><Key>{key}</Key></Delete>", b"<Other/>", b"<Delete/>",
    b"<Delete><Object/></Delete>", BOMB, OUTSIDE, b"<Delete>\xff\xfe</Delete>", b"<a>" * 20_000,
    delete_xml([b"{key}"] + [b"k%d" % n for n in range(1000)]),
], ids=["empty", "text", "open", "crossed", "other-root", "no-objects", "no-key", "entities", "external-entity", "not-utf8", "deep", "1001-keys"])
def test_malformed_delete(wire, s3, bucket, key, body):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    answer = delete_request(wire, bucket, body.replace(b"{key}", key.encode()))
    assert answer.status == 400 and answer.code in {"MalformedXML", "MissingRequestBodyError"}, answer
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"x"


@pytest.mark.differs("moto seaweedfs", "read it all")
def test_oversize_xml(wire, s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    body = delete_xml([key.encode()]).replace(b"</Delete>", b"<!--" + b"a" * (4 * 1024 * 1024) + b"--></Delete>")
    answer = delete_request(wire, bucket, body)
    assert answer.status in (400, 413) and answer.code in {"MalformedXML", "MaxMessageLengthExceeded", "EntityTooLarge"}, answer
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"x"


@pytest.mark.differs("moto seaweedfs", "ask for none")
def test_delete_objects_needs_a_digest(wire, s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    answer = wire.request("POST", f"/{bucket}", [("delete", "")], body=delete_xml([key.encode()]))
    assert answer.status == 400 and answer.code in {"InvalidRequest", "MissingContentMD5"}, answer
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"x"


@pytest.mark.differs("moto seaweedfs", "do not compare")
def test_delete_objects_with_a_wrong_digest(wire, s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    answer = delete_request(wire, bucket, delete_xml([key.encode()]), **{"content-md5": wrong})
    assert (answer.status, answer.code) == (400, "BadDigest"), answer
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"x"


@pytest.mark.differs("moto seaweedfs", "lenient, or answers 500")
@pytest.mark.parametrize("body", [
    b"not xml", b"<CompleteMultipartUpload>", b"<CompleteMultipartUpload/>", b"<Other/>",
    b"<CompleteMultipartUpload><Part><PartNumber>one</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>",
    b"<CompleteMultipartUpload><Part><ETag>x</ETag></Part></CompleteMultipartUpload>",
    b"<CompleteMultipartUpload>" + b"".join(
        b"<Part><PartNumber>%d</PartNumber><ETag>x</ETag></Part>" % n for n in range(1, 10_002)) + b"</CompleteMultipartUpload>",
], ids=["text", "open", "empty", "other-root", "number-in-words", "no-number", "10001-parts"])
def test_malformed_complete(wire, s3, bucket, key, body):
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    s3.upload_part(Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=1, Body=b"x")
    answer = wire.request("POST", object_path(bucket, key), [("uploadId", upload_id)], body=body)
    assert answer.status == 400 and answer.code in {"MalformedXML", "InvalidRequest", "InvalidPart", "InvalidArgument"}, answer
    assert s3.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"] == 0
    assert len(s3.list_parts(Bucket=bucket, Key=key, UploadId=upload_id)["Parts"]) == 1


@pytest.mark.differs("moto seaweedfs", "answers another code")
@pytest.mark.parametrize("number", ["0", "10001", "-1", "x", "", "99999999999999999999", "1.5"])
def test_bad_part_numbers(wire, s3, bucket, key, number):
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    answer = wire.request("PUT", object_path(bucket, key), [("partNumber", number), ("uploadId", upload_id)], body=b"x")
    assert (answer.status, answer.code) == (400, "InvalidArgument"), answer
    assert not s3.list_parts(Bucket=bucket, Key=key, UploadId=upload_id).get("Parts")
    assert s3.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"] == 0


# What is not there

@pytest.mark.differs("moto seaweedfs", "implement some, ignore others")
@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("subresource", ["analytics", "metrics", "inventory", "intelligent-tiering", "metadataTable"])
def test_unimplemented_bucket_subresource(wire, bucket, method, subresource):
    begin = time.monotonic()
    answer = wire.request(method, f"/{bucket}", [(subresource, ""), ("id", "x")], body=b"<x/>" if method == "PUT" else b"")
    # There is no such configuration, and none can be made.
    refused = (501, "NotImplemented")
    assert (answer.status, answer.code) in ({refused} if method == "PUT" else {refused, (404, "NoSuchConfiguration")}), answer
    assert time.monotonic() - begin < QUICK_S


@pytest.mark.differs("moto seaweedfs", "ignore it")
def test_unimplemented_object_subresource(wire, s3, bucket, key):
    """Ignoring the subresource would serve the object, or overwrite it."""
    s3.put_object(Bucket=bucket, Key=key, Body=b"old")
    for method, body in (("GET", b""), ("PUT", b"<x/>")):
        answer = wire.request(method, object_path(bucket, key), [("torrent", "")], body=body)
        # No object has a torrent any more.
        refused = {(501, "NotImplemented"), (405, "MethodNotAllowed"), (404, "NoSuchKey")}
        assert (answer.status, answer.code) in refused, answer
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"old"


@pytest.mark.differs("moto", "answer 404 or 200")
@pytest.mark.parametrize("method,path", [("POST", "/"), ("PATCH", "/{bucket}"), ("PATCH", "/{bucket}/k"), ("TRACE", "/{bucket}"), ("PUT", "/")])
def test_methods_nobody_has(wire, bucket, method, path):
    answer = wire.request(method, path.format(bucket=bucket))
    assert answer.status in (400, 405, 501), answer


@CHECKS_NO_SIGNATURES
def test_control_plane_is_refused_to_strangers_first(wire, bucket):
    answer = wire.request("GET", f"/{bucket}", [("analytics", "")], sign=False)
    assert answer.status == 403, answer
