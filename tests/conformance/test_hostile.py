"""A hundred and more crafted requests of the kinds that have broken other stores, each sent by hand over a socket.

After every one: it was refused (a 4xx, or the connection closed where the request is not HTTP), the server answers, and
a full listing with the checksum, headers and upload of everything there is the same as before.
"""

import base64
import datetime
import hashlib
import json
import os

import pytest
from botocore.exceptions import ClientError

from s3wire import (
    STREAMING_SIGNED, STREAMING_SIGNED_TRAILER, STREAMING_UNSIGNED_TRAILER, UNSIGNED, amz_date, crc32_base64, encode,
    now, object_path, signed_chunks, unsigned_chunks, Wire,
)

CASES_MIN = 100
SETTINGS = ["policy", "acl", "cors", "tagging", "lifecycle", "versioning"]
SECRET = b"what nobody else may read"
NEW = b"planted"
CRC = "x-amz-checksum-crc32"
# Which case is which class, for the count at the end.
CASES = {}

pytestmark = pytest.mark.differs("moto seaweedfs", "not run against references")


def case(group, name):
    def register(send):
        assert (group, name) not in CASES
        CASES[group, name] = send
        return send
    return register


class Stage:
    """A bucket with something to lose, an upload in it, a second bucket, and the people who must not touch them."""

    def __init__(self, target, s3, victim, other):
        self.target, self.s3, self.victim, self.other = target, s3, victim, other
        self.wire = target.wire()
        self.path = object_path(victim, "secret")
        for bucket in (victim, other):
            s3.put_object(Bucket=bucket, Key="secret", Body=SECRET, Metadata={"kept": "yes"}, ContentType="text/x-secret")
            s3.put_object(Bucket=bucket, Key="user/own", Body=b"own")
        self.upload_id = s3.create_multipart_upload(Bucket=victim, Key="upload")["UploadId"]
        self.part_etag = s3.upload_part(Bucket=victim, Key="upload", UploadId=self.upload_id, PartNumber=1, Body=b"part")["ETag"]
        other_key = os.environ.get("S3_OTHER_ACCESS_KEY", "")
        self.stranger = Wire(
            target.url, other_key, os.environ.get("S3_OTHER_SECRET_KEY", ""), target.region, target.ca_file or None,
        ) if other_key else None

    def snapshot(self):
        """Everything there is, read back."""
        found = {"buckets": sorted(b["Name"] for b in self.s3.list_buckets()["Buckets"])}
        for bucket in (self.victim, self.other):
            for listed in self.s3.list_objects_v2(Bucket=bucket).get("Contents", []):
                got = self.s3.get_object(Bucket=bucket, Key=listed["Key"])
                found[bucket, listed["Key"]] = (
                    hashlib.sha256(got["Body"].read()).hexdigest(), got["ETag"], got["LastModified"], got["Metadata"], got["ContentType"])
            for upload in self.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
                parts = self.s3.list_parts(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]).get("Parts", [])
                found[bucket, upload["UploadId"]] = [(p["PartNumber"], p["ETag"], p["Size"]) for p in parts]
            for setting in SETTINGS:
                answer = self.wire.request("GET", f"/{bucket}", [(setting, "")])
                found[bucket, setting] = answer.code or answer.body
        return found


@pytest.fixture(scope="module")
def stage(target, s3, make_bucket):
    return Stage(target, s3, make_bucket(), make_bucket())


# A payload mode must never stand in for a signature.

MODES = {
    "unsigned": (UNSIGNED, lambda signer, seed: NEW),
    "signed-chunks": (STREAMING_SIGNED, lambda signer, seed: signed_chunks(signer, seed, NEW)),
    "signed-trailer": (STREAMING_SIGNED_TRAILER, lambda signer, seed: signed_chunks(signer, seed, NEW, trailers={CRC: crc32_base64(NEW)})),
    "unsigned-trailer": (STREAMING_UNSIGNED_TRAILER, lambda signer, seed: unsigned_chunks(NEW, {CRC: crc32_base64(NEW)})),
}


def chunked_headers(mode):
    headers = {"x-amz-decoded-content-length": str(len(NEW)), "content-encoding": "aws-chunked"} if mode != UNSIGNED else {}
    return {**headers, "x-amz-trailer": CRC} if "TRAILER" in mode else headers


def put_in_mode(stage, mode, encode_body, query=(), **fault):
    return stage.wire.request(
        "PUT", stage.path, query, headers=chunked_headers(mode), payload_hash=mode, encode_body=encode_body, **fault)


for mode_name, (mode, encode_body) in MODES.items():
    for fault_name, fault in {
        "no credentials": lambda stage: dict(sign=False),
        "wrong secret": lambda stage: dict(signer=stage.wire.signer(secret_key="wrong")),
        "unknown key": lambda stage: dict(signer=stage.wire.signer(access_key="AKIANOSUCHKEY0000000")),
        "credential in the query only": lambda stage: dict(sign=False, query=[
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"), ("X-Amz-Credential", stage.wire.signer().credential)]),
        "header and presigned query": lambda stage: dict(
            query=stage.wire.signer().presign("PUT", stage.path, stage.wire.netloc)),
        "header of another scheme": lambda stage: dict(authorization=f"AWS {stage.wire.access_key}:AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        "signature of another date": lambda stage: dict(signer=stage.wire.signer(when=now() - datetime.timedelta(days=1))),
    }.items():
        case("payload mode", f"{mode_name}, {fault_name}")(
            lambda stage, mode=mode, encode_body=encode_body, fault=fault: put_in_mode(stage, mode, encode_body, **fault(stage)))


@case("payload mode", "chunks after a presigned URL that did not sign them")
def _(stage):
    query = stage.wire.signer().presign("GET", stage.path, stage.wire.netloc)
    return put_in_mode(stage, STREAMING_UNSIGNED_TRAILER, MODES["unsigned-trailer"][1], query=query, sign=False)


# Chunks that are not what was signed.

for name, body in {
    "tampered": lambda signer, seed: signed_chunks(signer, seed, NEW, tamper_chunk=0),
    "no last chunk": lambda signer, seed: signed_chunks(signer, seed, NEW, final=False),
    "another seed": lambda signer, seed: signed_chunks(signer, "0" * 64, NEW),
    "no signatures": lambda signer, seed: unsigned_chunks(NEW, {}),
    "size of 2 to the 64": lambda signer, seed: b"f" * 16 + b";chunk-signature=" + b"0" * 64 + b"\r\n" + NEW,
    "negative size": lambda signer, seed: b"-7;chunk-signature=" + b"0" * 64 + b"\r\n" + NEW,
}.items():
    case("chunks", name)(lambda stage, body=body: put_in_mode(stage, STREAMING_SIGNED, body))


@case("chunks", "declared longer than sent")
def _(stage):
    return stage.wire.request(
        "PUT", stage.path, headers={**chunked_headers(STREAMING_SIGNED), "x-amz-decoded-content-length": "999"},
        payload_hash=STREAMING_SIGNED, encode_body=MODES["signed-chunks"][1])


@case("chunks", "trailer with a wrong checksum")
def _(stage):
    return put_in_mode(stage, STREAMING_UNSIGNED_TRAILER, lambda signer, seed: unsigned_chunks(NEW, {CRC: crc32_base64(b"x")}))


# Keys that try to leave their bucket, by every entry point. A key is bytes: these name nothing.

ESCAPES = ["../{other}/secret", "..%2f{other}%2fsecret", "%2e%2e/{other}/secret", "./../{other}/secret", "..\\{other}\\secret",
           "//{other}/secret", "user/../secret", "%2fetc%2fpasswd"]
for escape in ESCAPES:
    def read(stage, escape=escape, method="GET"):
        path = f"/{stage.victim}/" + encode(escape.format(other=stage.other), safe="-_.~/%")
        return stage.wire.request(method, path)

    def copy(stage, escape=escape):
        source = f"/{stage.victim}/" + encode(escape.format(other=stage.other), safe="-_.~/%")
        return stage.wire.request("PUT", f"/{stage.victim}/copied", headers={"x-amz-copy-source": source})

    def copy_part(stage, escape=escape):
        source = f"/{stage.victim}/" + encode(escape.format(other=stage.other), safe="-_.~/%")
        return stage.wire.request(
            "PUT", f"/{stage.victim}/upload", [("partNumber", "2"), ("uploadId", stage.upload_id)], headers={"x-amz-copy-source": source})

    case("traversal", f"GET {escape}")(read)
    case("traversal", f"CopyObject from {escape}")(copy)
    case("traversal", f"UploadPartCopy from {escape}")(copy_part)


@case("traversal", "bucket named ..")
def _(stage):
    return stage.wire.request("GET", f"/../{stage.victim}/secret")


@case("traversal", "uploadId that is a path")
def _(stage):
    return stage.wire.request("PUT", f"/{stage.victim}/upload", [("partNumber", "1"), ("uploadId", "../../../etc/passwd")], body=NEW)


@case("traversal", "versionId that is a path")
def _(stage):
    return stage.wire.request("GET", stage.path, [("versionId", "../../secret")])


# Presigned URLs, misused.

def presigned(stage, method="GET", sent=None, path=None, query=(), body=b"", headers=None, age_s=0, **overrides):
    signer = stage.wire.signer(when=now() - datetime.timedelta(seconds=age_s))
    pairs = signer.presign(method, stage.path, stage.wire.netloc, **overrides)
    return stage.wire.request(sent or method, path or stage.path, [*pairs, *query], headers=headers, body=body, sign=False,
                              unsigned_headers={"x-amz-date": None, "x-amz-content-sha256": None})


case("presigned", "a GET used to PUT")(lambda stage: presigned(stage, sent="PUT", body=NEW))
case("presigned", "a GET used to DELETE")(lambda stage: presigned(stage, sent="DELETE"))
case("presigned", "another key")(lambda stage: presigned(stage, path=object_path(stage.victim, "user/own")))
case("presigned", "another bucket")(lambda stage: presigned(stage, path=object_path(stage.other, "secret")))
case("presigned", "run out")(lambda stage: presigned(stage, age_s=400))
case("presigned", "from the future")(lambda stage: presigned(stage, age_s=-2000))
case("presigned", "longer than a week")(lambda stage: presigned(stage, expires_s="604801"))
case("presigned", "negative time")(lambda stage: presigned(stage, expires_s="-1"))
case("presigned", "an override added")(lambda stage: presigned(stage, query=[("response-content-type", "text/html")]))
case("presigned", "a version added")(lambda stage: presigned(stage, method="DELETE", query=[("versionId", "null")]))
case("presigned", "a subresource added")(lambda stage: presigned(stage, method="PUT", query=[("acl", "")]))
case("presigned", "an x-amz header that was not signed")(
    lambda stage: presigned(stage, method="PUT", body=NEW, headers={"x-amz-acl": "public-read"}))
case("presigned", "a copy source that was not signed")(
    lambda stage: presigned(stage, method="PUT", headers={"x-amz-copy-source": f"/{stage.other}/user/own"}))
case("presigned", "no signed host")(lambda stage: presigned(stage, X_Amz_SignedHeaders="x-amz-date"))


# Forms.

def form(stage, conditions, fields=(), key="user/form", bucket=None, expires_s=300, file=NEW, tamper=None, sign=True, url_bucket=None):
    """A multipart/form-data upload whose policy holds `conditions` and whose fields are the signed ones and `fields`."""
    signer = stage.wire.signer()
    policy = {
        "expiration": (signer.when + datetime.timedelta(seconds=expires_s)).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "conditions": [{"bucket": bucket or stage.victim}, {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
                       {"x-amz-credential": signer.credential}, {"x-amz-date": amz_date(signer.when)}, *conditions],
    }
    text = base64.b64encode(json.dumps(policy).encode()).decode()
    signature = signer.mac(text)
    if tamper:
        text = base64.b64encode(json.dumps(tamper(policy)).encode()).decode()
    parts = [("key", key), *fields]
    if sign:
        parts += [("policy", text), ("x-amz-algorithm", "AWS4-HMAC-SHA256"), ("x-amz-credential", signer.credential),
                  ("x-amz-date", amz_date(signer.when)), ("x-amz-signature", signature)]
    boundary = "----crafted"
    body = "".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in parts).encode()
    body += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'.encode() + file
    body += f"\r\n--{boundary}--\r\n".encode()
    head = {"host": stage.wire.netloc, "content-type": f"multipart/form-data; boundary={boundary}", "content-length": str(len(body))}
    return stage.wire.exchange(stage.wire.head("POST", f"/{url_bucket or stage.victim}", (), head) + body, "POST")


USER = ["starts-with", "$key", "user/"]
case("form", "key outside the policy")(lambda stage: form(stage, [USER], key="secret"))
case("form", "key above the policy's prefix")(lambda stage: form(stage, [["starts-with", "$key", "user/x"]], key="user/../secret"))
case("form", "policy of another bucket")(lambda stage: form(stage, [USER], bucket=stage.other))
case("form", "bucket field against the policy")(
    lambda stage: form(stage, [USER], fields=[("bucket", stage.other)], bucket=stage.other, url_bucket=stage.victim))
case("form", "run out")(lambda stage: form(stage, [USER], expires_s=-1))
case("form", "field the policy does not name")(lambda stage: form(stage, [USER], fields=[("x-amz-meta-extra", "1")]))
case("form", "acl the policy does not name")(lambda stage: form(stage, [USER], fields=[("acl", "public-read")]))
case("form", "redirect the policy does not name")(
    lambda stage: form(stage, [USER], fields=[("success_action_redirect", "https://evil.example/")]))
case("form", "too long")(lambda stage: form(stage, [USER, ["content-length-range", 0, 3]]))
case("form", "too short")(lambda stage: form(stage, [USER, ["content-length-range", 1000, 2000]]))
case("form", "policy changed after signing")(
    lambda stage: form(stage, [USER], key="secret", tamper=lambda policy: {**policy, "conditions": policy["conditions"][:-1]}))
case("form", "no policy")(lambda stage: form(stage, [USER], sign=False))
case("form", "two keys")(lambda stage: form(stage, [USER], fields=[("key", "secret")]))
case("form", "conditions that are no list")(lambda stage: form(stage, [], tamper=lambda policy: {**policy, "conditions": "all"}))
case("form", "unknown operator")(lambda stage: form(stage, [USER, ["matches", "$key", ".*"]]))


# Line ends in what becomes a response header, and in requests.

def override(stage, name, value):
    """Answered, but as one header: nothing of the value begins a line."""
    query = stage.wire.signer().presign("GET", stage.path, stage.wire.netloc, query=[(name, value)])
    answer = stage.wire.request("GET", stage.path, query, sign=False, unsigned_headers={"x-amz-date": None, "x-amz-content-sha256": None})
    assert "x-injected" not in answer.headers and b"x-injected" not in answer.body[:200].lower(), answer
    return answer


for name in ("content-type", "content-language", "expires", "cache-control", "content-disposition", "content-encoding"):
    case("header injection", f"response-{name}")(
        lambda stage, name=name: override(stage, f"response-{name}", "a\r\nx-injected: 1\r\n\r\n<script>"))


def raw_put(stage, *lines, body=NEW, end=b"\r\n", path=None, method=b"PUT"):
    """A signed head, and `lines` as they are."""
    signer = stage.wire.signer()
    digest = hashlib.sha256(body).hexdigest()
    sign = {"host": stage.wire.netloc, "x-amz-date": amz_date(signer.when), "x-amz-content-sha256": digest}
    value, _ = signer.authorization(method.decode(), path or stage.path, (), sign, digest)
    head = [method + b" " + (path or stage.path).encode() + b" HTTP/1.1"]
    head += [f"{n}: {v}".encode() for n, v in {**sign, "authorization": value}.items()]
    return stage.wire.exchange(end.join([*head, *lines, b"", b""]) + body, "PUT", half_close=True)


LENGTH = b"content-length: %d" % len(NEW)
case("header injection", "bare CR in metadata")(lambda stage: raw_put(stage, LENGTH, b"x-amz-meta-a: a\rx-injected: 1"))
case("header injection", "NUL in metadata")(lambda stage: raw_put(stage, LENGTH, b"x-amz-meta-a: a\0b"))
case("header injection", "folded metadata")(lambda stage: raw_put(stage, LENGTH, b"x-amz-meta-a: a\r\n x-injected: 1"))


# One stream, two readings.

HIDDEN = b"0\r\n\r\nDELETE /%s/secret HTTP/1.1\r\nhost: x\r\n\r\n"
for name, lines in {
    "length before chunked": [LENGTH, b"transfer-encoding: chunked"],
    "chunked before length": [b"transfer-encoding: chunked", LENGTH],
    "two lengths": [LENGTH, b"content-length: 0"],
    "the same length twice": [LENGTH, LENGTH],
    "listed lengths": [b"content-length: 7, 7"],
    "signed length": [b"content-length: +7"],
    "chunked twice": [b"transfer-encoding: chunked", b"transfer-encoding: chunked"],
    "chunked and identity": [b"transfer-encoding: chunked, identity"],
    "compressed chunks": [b"transfer-encoding: gzip, chunked"],
    "vertical tab before chunked": [b"transfer-encoding: \x0bchunked"],
    "space before the colon": [b"content-length : 7"],
    "folded length": [b"content-length:\r\n 7"],
    "two hosts": [b"host: other", LENGTH],
}.items():
    case("smuggling", name)(lambda stage, lines=lines: raw_put(stage, *lines, body=HIDDEN % stage.victim.encode()))
case("smuggling", "bare LF")(lambda stage: raw_put(stage, LENGTH, end=b"\n"))
case("smuggling", "one bare LF")(lambda stage: raw_put(stage, LENGTH, b"x-amz-meta-a: 1\nx-amz-meta-b: 2"))
case("smuggling", "chunk size overflow")(
    lambda stage: raw_put(stage, b"transfer-encoding: chunked", body=b"fffffffffffffffff\r\n" + HIDDEN % stage.victim.encode()))
case("smuggling", "chunk ended by a bare LF")(
    lambda stage: raw_put(stage, b"transfer-encoding: chunked", body=b"7\n" + NEW + b"\r\n0\r\n\r\n"))


# Oversized things.

case("oversized", "one header")(lambda stage: raw_put(stage, LENGTH, b"x-amz-meta-a: " + b"a" * 200_000))
case("oversized", "ten thousand headers")(lambda stage: raw_put(stage, LENGTH, *[b"x-f%d: a" % n for n in range(10_000)]))
case("oversized", "metadata beyond 2 KB")(lambda stage: stage.wire.request(
    "PUT", stage.path, headers={"x-amz-meta-a": "a" * 2100}, body=NEW))
case("oversized", "a key beyond 1024 bytes")(lambda stage: stage.wire.request("PUT", f"/{stage.victim}/" + "k" * 1025, body=NEW))
case("oversized", "an object beyond 5 GiB")(lambda stage: stage.wire.request(
    "PUT", stage.path, payload_hash=UNSIGNED, length=5 * 1024 ** 3 + 1, unsigned_headers={"expect": "100-continue"}))


# Documents.

def document(stage, method, path, query, body, **headers):
    digest = base64.b64encode(hashlib.md5(body).digest()).decode()
    return stage.wire.request(method, path, query, headers={"content-md5": digest, **headers}, body=body)


LAUGHS = b'<!DOCTYPE x [<!ENTITY a "secret"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
DEEP = b"<a>" * 50_000
DELETE = b"<Delete><Object><Key>&a;</Key></Object></Delete>"
DOCUMENTS = {
    "entities": LAUGHS, "external entity": OUTSIDE, "depth": DEEP,
    "5 MiB": b"<!--" + b"a" * (5 << 20) + b"-->", "not UTF-8": b"<\xff\xfe>",
}
for name, prefix in DOCUMENTS.items():
    case("document", f"DeleteObjects with {name}")(
        lambda stage, prefix=prefix: document(stage, "POST", f"/{stage.victim}", [("delete", "")], prefix + DELETE))
    case("document", f"CompleteMultipartUpload with {name}")(lambda stage, prefix=prefix: document(
        stage, "POST", f"/{stage.victim}/upload", [("uploadId", stage.upload_id)],
        prefix + b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&a;</ETag></Part></CompleteMultipartUpload>"))
    for subresource, root in (("versioning", b"VersioningConfiguration"), ("tagging", b"Tagging"), ("cors", b"CORSConfiguration"),
                              ("lifecycle", b"LifecycleConfiguration")):
        case("document", f"{subresource} with {name}")(lambda stage, prefix=prefix, root=root, subresource=subresource: document(
            stage, "PUT", f"/{stage.victim}", [(subresource, "")], prefix + b"<%s>&a;</%s>" % (root, root)))
case("document", "policy of 30 KB")(lambda stage: document(
    stage, "PUT", f"/{stage.victim}", [("policy", "")], b'{"Version":"2012-10-17","Statement":[' + b" " * 30_000 + b"]}"))
case("document", "policy of 100,000 brackets")(lambda stage: document(
    stage, "PUT", f"/{stage.victim}", [("policy", "")], b"[" * 100_000))


# Somebody else's key: every way to what is not theirs. Their own credentials are good.

def stranger(name):
    def register(send):
        def needing_the_stranger(stage):
            if stage.stranger is None:
                pytest.skip("NO SECOND USER: S3_OTHER_ACCESS_KEY is not set")
            return send(stage)
        case("second user", name)(needing_the_stranger)
    return register


stranger("GET")(lambda stage: stage.stranger.request("GET", stage.path))
stranger("HEAD")(lambda stage: stage.stranger.request("HEAD", stage.path))
stranger("PUT")(lambda stage: stage.stranger.request("PUT", stage.path, body=NEW))
stranger("DELETE")(lambda stage: stage.stranger.request("DELETE", stage.path))
stranger("list")(lambda stage: stage.stranger.request("GET", f"/{stage.victim}", [("list-type", "2")]))
stranger("list versions")(lambda stage: stage.stranger.request("GET", f"/{stage.victim}", [("versions", "")]))
stranger("list uploads")(lambda stage: stage.stranger.request("GET", f"/{stage.victim}", [("uploads", "")]))
stranger("list parts")(lambda stage: stage.stranger.request("GET", f"/{stage.victim}/upload", [("uploadId", stage.upload_id)]))
stranger("add a part")(lambda stage: stage.stranger.request(
    "PUT", f"/{stage.victim}/upload", [("partNumber", "1"), ("uploadId", stage.upload_id)], body=NEW))
stranger("complete")(lambda stage: document_of(stage.stranger, stage))
stranger("abort")(lambda stage: stage.stranger.request("DELETE", f"/{stage.victim}/upload", [("uploadId", stage.upload_id)]))
stranger("copy within the victim")(lambda stage: stage.stranger.request(
    "PUT", object_path(stage.victim, "copied"), headers={"x-amz-copy-source": f"/{stage.victim}/secret"}))
stranger("copy out")(lambda stage: stage.stranger.request(
    "PUT", f"/{own_bucket(stage)}/copied", headers={"x-amz-copy-source": f"/{stage.victim}/secret"}))
stranger("copy out, encoded source")(lambda stage: stage.stranger.request(
    "PUT", f"/{own_bucket(stage)}/copied", headers={"x-amz-copy-source": f"{stage.victim}%2Fsecret"}))
stranger("copy out by traversal")(lambda stage: stage.stranger.request(
    "PUT", f"/{own_bucket(stage)}/copied", headers={"x-amz-copy-source": f"/{own_bucket(stage)}/../{stage.victim}/secret"}))
stranger("copy out a version")(lambda stage: stage.stranger.request(
    "PUT", f"/{own_bucket(stage)}/copied", headers={"x-amz-copy-source": f"/{stage.victim}/secret?versionId=null"}))
stranger("policy")(lambda stage: stage.stranger.request("PUT", f"/{stage.victim}", [("policy", "")], body=json.dumps({
    "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{stage.victim}/*"}]}).encode()))
stranger("acl")(lambda stage: stage.stranger.request("PUT", f"/{stage.victim}", [("acl", "")], headers={"x-amz-acl": "public-read"}))
stranger("delete the bucket")(lambda stage: stage.stranger.request("DELETE", f"/{stage.victim}"))
stranger("the administrators' door")(lambda stage: stage.stranger.request("GET", "/-/granary/v1/status"))
stranger("forwarded for somebody")(lambda stage: stage.stranger.request(
    "GET", stage.path, headers={"x-forwarded-for": "127.0.0.1", "x-amz-meta-internal": "root"}))


def document_of(wire, stage):
    body = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{stage.part_etag}</ETag></Part></CompleteMultipartUpload>"
    return wire.request("POST", f"/{stage.victim}/upload", [("uploadId", stage.upload_id)], body=body.encode())


def own_bucket(stage):
    """The stranger's own bucket, made once and outside the snapshots."""
    name = "strangers-" + hashlib.sha256(stage.victim.encode()).hexdigest()[:12]
    answer = stage.stranger.request("PUT", f"/{name}")
    assert answer.status == 200, answer
    return name


# Answered although crafted: the value is put out in one piece, which `override` checks. S3 itself answers 400.
MAY_ANSWER = {"header injection": {200, 400}}


@pytest.mark.parametrize("group,name", CASES, ids=lambda value: value.replace("/", "|"))
def test_refused(stage, group, name):
    if name.startswith("copy out"):
        if stage.stranger is None:
            pytest.skip("NO SECOND USER: S3_OTHER_ACCESS_KEY is not set")
        own_bucket(stage)
    before = stage.snapshot()
    answer = CASES[group, name](stage)
    closed = answer.status == 0 and group in ("smuggling", "header injection", "oversized")
    assert closed or 400 <= answer.status < 500 or answer.status in MAY_ANSWER.get(group, ()) and name.startswith("response-"), answer
    assert SECRET not in answer.body or name.startswith("response-"), "it was given away"
    assert stage.wire.secret_key.encode() not in answer.body
    assert stage.snapshot() == before


def test_there_are_enough():
    assert len(CASES) >= CASES_MIN, len(CASES)


def test_the_snapshot_notices(stage):
    """Everything above is worth as much as this."""
    before = stage.snapshot()
    stage.s3.put_object(Bucket=stage.victim, Key="user/own", Body=b"own", Metadata={"changed": "1"})
    assert stage.snapshot() != before
    with pytest.raises(ClientError):
        stage.s3.get_object(Bucket=stage.victim, Key="copied")
