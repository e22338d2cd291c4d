"""Server-side encryption: the four modes on every way an object is written and read, and AWS's refusals."""

import base64
import hashlib
import io
import json
import os
import secrets

import pytest
from boto3.s3.transfer import TransferConfig

MIB = 1024 * 1024
PART = 5 * MIB


def customer(seed, prefix=""):
    """boto3's arguments of an SSE-C key."""
    key = hashlib.sha256(seed.encode()).digest()
    return {
        f"{prefix}SSECustomerAlgorithm": "AES256",
        f"{prefix}SSECustomerKey": base64.b64encode(key).decode(),
        f"{prefix}SSECustomerKeyMD5": base64.b64encode(hashlib.md5(key).digest()).decode(),
    }


ONE, OTHER = customer("one"), customer("other")
OF_SOURCE = customer("one", "CopySource")
MODES = {
    "clear": ({}, {}),
    "s3": ({"ServerSideEncryption": "AES256"}, {}),
    "kms": ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "conformance"}, {}),
    "dual": ({"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": "conformance"}, {}),
    "customer": (ONE, ONE),
}
ENCRYPTED = ["s3", "kms", "dual", "customer"]


def said(answer):
    """What a response says of encryption."""
    names = ["ServerSideEncryption", "SSEKMSKeyId", "SSECustomerAlgorithm", "SSECustomerKeyMD5", "BucketKeyEnabled"]
    return {name: answer[name] for name in names if name in answer}


def expected(mode):
    return {name: value for name, value in MODES[mode][0].items() if name != "SSECustomerKey"}


def body_of(size, seed=0):
    return (hashlib.sha512(str(seed).encode()).digest() * (size // 64 + 1))[:size]


@pytest.mark.parametrize("size", [0, 1, 1000, 64 * 1024, 64 * 1024 + 1, 200_000, 9 * MIB + 5])
@pytest.mark.parametrize("mode", ENCRYPTED)
def test_put_get_head(s3, bucket, key, mode, size):
    write, read = MODES[mode]
    body = body_of(size)
    put = s3.put_object(Bucket=bucket, Key=key, Body=body, **write)
    assert said(put) == expected(mode)
    got = s3.get_object(Bucket=bucket, Key=key, **read)
    assert got["Body"].read() == body
    head = s3.head_object(Bucket=bucket, Key=key, **read)
    assert said(got) == said(head) == expected(mode)
    assert head["ContentLength"] == size
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"][0]
    assert put["ETag"] == got["ETag"] == head["ETag"] == listed["ETag"]
    assert listed["Size"] == size
    is_md5 = put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    assert is_md5 == (mode == "s3")


@pytest.mark.parametrize("mode", ENCRYPTED)
def test_ranges(s3, bucket, key, mode):
    write, read = MODES[mode]
    body = body_of(3 * 65536 + 17)
    s3.put_object(Bucket=bucket, Key=key, Body=body, **write)
    for border in (0, 1, 65535, 65536, 65537, 131072, 196608, len(body) - 1):
        for length in (1, 2, 65536, 65537):
            last = min(border + length, len(body)) - 1
            got = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={border}-{last}", **read)
            assert got["ContentRange"] == f"bytes {border}-{last}/{len(body)}"
            assert got["Body"].read() == body[border:last + 1]
    assert s3.get_object(Bucket=bucket, Key=key, Range="bytes=-20", **read)["Body"].read() == body[-20:]


@pytest.mark.parametrize("mode", ENCRYPTED)
def test_multipart(s3, bucket, key, mode, refused):
    write, read = MODES[mode]
    parts = [body_of(PART + 3, 1), body_of(PART, 2), body_of(70_000, 3)]
    created = s3.create_multipart_upload(Bucket=bucket, Key=key, **write)
    assert said(created) == expected(mode)
    upload = {"Bucket": bucket, "Key": key, "UploadId": created["UploadId"]}
    named = []
    for number, part in enumerate(parts, 1):
        answer = s3.upload_part(**upload, PartNumber=number, Body=part, **read)
        assert said(answer) == expected(mode)
        named.append({"PartNumber": number, "ETag": answer["ETag"]})
    listed = s3.list_parts(**upload)["Parts"]
    assert [(p["PartNumber"], p["ETag"], p["Size"]) for p in listed] == [
        (n["PartNumber"], n["ETag"], len(p)) for n, p in zip(named, parts)]
    if mode == "customer":
        refused(lambda: s3.upload_part(**upload, PartNumber=1, Body=b"x"), "InvalidRequest", 400)
        refused(lambda: s3.upload_part(**upload, PartNumber=1, Body=b"x", **OTHER), "InvalidRequest", 400)
        refused(lambda: s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": named}, **OTHER), "InvalidRequest", 400)
        # An upload that was created with a checksum algorithm needs the key to be completed.
        summed = upload | {"UploadId": s3.create_multipart_upload(
            Bucket=bucket, Key=key, ChecksumAlgorithm="CRC32", **write)["UploadId"]}
        only = s3.upload_part(**summed, PartNumber=1, Body=parts[2], ChecksumAlgorithm="CRC32", **read)
        only = {"Parts": [{"PartNumber": 1, "ETag": only["ETag"], "ChecksumCRC32": only["ChecksumCRC32"]}]}
        refused(lambda: s3.complete_multipart_upload(**summed, MultipartUpload=only), "InvalidRequest", 400)
        s3.abort_multipart_upload(**summed)
    else:
        refused(lambda: s3.upload_part(**upload, PartNumber=1, Body=b"x", **ONE), "InvalidRequest", 400)
    done = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": named}, **read)
    assert done["ETag"].endswith('-3"')
    whole = b"".join(parts)
    got = s3.get_object(Bucket=bucket, Key=key, **read)
    assert got["Body"].read() == whole and said(got) == expected(mode)
    for number, part in enumerate(parts, 1):
        got = s3.get_object(Bucket=bucket, Key=key, PartNumber=number, **read)
        assert (got["PartsCount"], got["Body"].read()) == (3, part)
    border = len(parts[0])
    for first, last in ((border - 1, border), (border, border + 65536), (2 * PART, 2 * PART + 10), (0, len(whole) - 1)):
        got = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={first}-{last}", **read)
        assert got["Body"].read() == whole[first:last + 1]


def test_an_upload_without_a_checksum_algorithm_is_completed_without_the_key(s3, wire, bucket, key):
    headers = {CUSTOMER + "algorithm": "AES256", CUSTOMER + "key": KEY, CUSTOMER + "key-md5": KEY_MD5}
    path = f"/{bucket}/{key}"
    created = wire.request("POST", path, [("uploads", "")], headers=headers).body.decode()
    upload = ("uploadId", created.split("<UploadId>")[1].split("<")[0])
    part = wire.request("PUT", path, [("partNumber", "1"), upload], headers=headers, body=b"sealed")
    assert part.status == 200, part
    etag = s3.list_parts(Bucket=bucket, Key=key, UploadId=upload[1])["Parts"][0]["ETag"]
    named = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    document = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()
    assert wire.request("POST", path, [upload], body=document).status == 200
    got = s3.get_object(Bucket=bucket, Key=key, SSECustomerAlgorithm="AES256", SSECustomerKey=b"k" * 32)
    assert got["Body"].read() == b"sealed"


@pytest.mark.parametrize("size", [0, 1000, 6 * MIB])
@pytest.mark.parametrize("to", list(MODES))
@pytest.mark.parametrize("of", list(MODES))
def test_copies(s3, bucket, key, of, to, size):
    body = body_of(size)
    s3.put_object(Bucket=bucket, Key=f"{key}-source", Body=body, Metadata={"a": "b"}, **MODES[of][0])
    source = {"Bucket": bucket, "Key": f"{key}-source"}
    more = OF_SOURCE if of == "customer" else {}
    copied = s3.copy_object(Bucket=bucket, Key=key, CopySource=source, **MODES[to][0], **more)
    if to == "clear":
        # Nobody asked for anything: what is encrypted stays so.
        want = {} if of == "clear" else {"ServerSideEncryption": "AES256"}
    else:
        want = expected(to)
    assert said(copied) == want
    got = s3.get_object(Bucket=bucket, Key=key, **MODES[to][1])
    assert (got["Body"].read(), got["Metadata"], said(got)) == (body, {"a": "b"}, want)
    assert got["ETag"] == copied["CopyObjectResult"]["ETag"]
    if want in ({}, {"ServerSideEncryption": "AES256"}):
        assert got["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    else:
        assert got["ETag"] != f'"{hashlib.md5(body).hexdigest()}"'


@pytest.mark.parametrize("to", list(MODES))
@pytest.mark.parametrize("of", list(MODES))
def test_part_copies(s3, bucket, key, of, to):
    body = body_of(PART + 70_000)
    s3.put_object(Bucket=bucket, Key=f"{key}-source", Body=body, **MODES[of][0])
    source = {"Bucket": bucket, "Key": f"{key}-source"}
    more = OF_SOURCE if of == "customer" else {}
    created = s3.create_multipart_upload(Bucket=bucket, Key=key, **MODES[to][0])
    upload = {"Bucket": bucket, "Key": key, "UploadId": created["UploadId"]}
    named = []
    for number, part_range in enumerate([f"bytes=1-{PART}", f"bytes=65530-{65530 + 100}"], 1):
        answer = s3.upload_part_copy(**upload, PartNumber=number, CopySource=source, CopySourceRange=part_range,
                                     **MODES[to][1], **more)
        assert said(answer) == expected(to)
        named.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": named}, **MODES[to][1])
    got = s3.get_object(Bucket=bucket, Key=key, **MODES[to][1])
    assert got["Body"].read() == body[1:PART + 1] + body[65530:65631]


def test_copy_of_a_multipart_object(s3, bucket, key):
    write, read = MODES["customer"]
    body = body_of(2 * PART + 9)
    config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    s3.upload_fileobj(io.BytesIO(body), bucket, f"{key}-source", ExtraArgs=write, Config=config)
    source = {"Bucket": bucket, "Key": f"{key}-source"}
    for mode in MODES:
        s3.copy_object(Bucket=bucket, Key=key, CopySource=source, **OF_SOURCE, **MODES[mode][0])
        got = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={PART - 1}-{PART + 5}", **MODES[mode][1])
        assert got["Body"].read() == body[PART - 1:PART + 6]
        assert s3.get_object(Bucket=bucket, Key=key, **MODES[mode][1])["Body"].read() == body


def test_rekeying_an_object_in_place(s3, bucket, key, refused):
    s3.put_object(Bucket=bucket, Key=key, Body=b"same bytes", **ONE)
    s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": key}, **OF_SOURCE, **OTHER)
    assert s3.get_object(Bucket=bucket, Key=key, **OTHER)["Body"].read() == b"same bytes"
    refused(lambda: s3.get_object(Bucket=bucket, Key=key, **ONE), "InvalidArgument", 400)


def test_reads_need_the_customers_key(s3, bucket, key, refused):
    s3.put_object(Bucket=bucket, Key=key, Body=b"secret", **ONE)
    s3.put_object(Bucket=bucket, Key=f"{key}-clear", Body=b"clear")
    here = {"Bucket": bucket, "Key": key}
    refused(lambda: s3.get_object(**here), "InvalidRequest", 400)
    refused(lambda: s3.get_object(**here, **OTHER), "InvalidArgument", 400)
    refused(lambda: s3.head_object(**here), "400", 400)
    refused(lambda: s3.head_object(**here, **OTHER), "400", 400)
    refused(lambda: s3.get_object(Bucket=bucket, Key=f"{key}-clear", **ONE), "InvalidRequest", 400)
    copy = {"Bucket": bucket, "Key": f"{key}-copy", "CopySource": here}
    refused(lambda: s3.copy_object(**copy), "InvalidRequest", 400)
    refused(lambda: s3.copy_object(**copy, **customer("other", "CopySource")), "InvalidArgument", 400)
    refused(lambda: s3.copy_object(**{**copy, "CopySource": {"Bucket": bucket, "Key": f"{key}-clear"}}, **OF_SOURCE),
            "InvalidRequest", 400)


KEY = base64.b64encode(b"k" * 32).decode()
KEY_MD5 = base64.b64encode(hashlib.md5(b"k" * 32).digest()).decode()
CUSTOMER = "x-amz-server-side-encryption-customer-"
METHOD = "x-amz-server-side-encryption"


@pytest.mark.parametrize("headers,code", [
    ({CUSTOMER + "algorithm": "AES256"}, "InvalidArgument"),
    ({CUSTOMER + "key": KEY, CUSTOMER + "key-md5": KEY_MD5}, "InvalidArgument"),
    ({CUSTOMER + "algorithm": "AES256", CUSTOMER + "key": KEY}, "InvalidArgument"),
    ({CUSTOMER + "algorithm": "AES256", CUSTOMER + "key": KEY, CUSTOMER + "key-md5": "AAAAAAAAAAAAAAAAAAAAAA=="},
     "InvalidArgument"),
    ({CUSTOMER + "algorithm": "AES256", CUSTOMER + "key": "c2hvcnQ=", CUSTOMER + "key-md5": KEY_MD5}, "InvalidArgument"),
    ({CUSTOMER + "algorithm": "AES128", CUSTOMER + "key": KEY, CUSTOMER + "key-md5": KEY_MD5},
     "InvalidEncryptionAlgorithmError"),
    ({CUSTOMER + "algorithm": "AES256", CUSTOMER + "key": KEY, CUSTOMER + "key-md5": KEY_MD5, METHOD: "AES256"},
     "InvalidArgument"),
    ({METHOD: "aes:kms"}, "InvalidArgument"),
    ({METHOD: "AES256", METHOD + "-aws-kms-key-id": "k"}, "InvalidArgument"),
    ({METHOD + "-aws-kms-key-id": "k"}, "InvalidArgument"),
    ({METHOD: "aws:kms", METHOD + "-context": "bm90IGpzb24="}, "InvalidArgument"),
    ({METHOD: "aws:kms", METHOD + "-aws-kms-key-id": "arn:aws:kms:mars-north-1:111122223333:key/k"},
     "KMS.NotFoundException"),
])
def test_contradicting_headers(wire, bucket, key, headers, code):
    for method, query in (("PUT", []), ("POST", [("uploads", "")])):
        answer = wire.request(method, f"/{bucket}/{key}", query, headers=headers)
        assert (answer.status, answer.code) == (400, code), (method, answer)
        assert KEY not in answer.body.decode()


def test_reads_name_no_method(wire, bucket, key):
    assert wire.request("PUT", f"/{bucket}/{key}", headers={METHOD: "AES256"}, body=b"x").status == 200
    for method in ("GET", "HEAD"):
        for value in ("AES256", "aws:kms"):
            assert wire.request(method, f"/{bucket}/{key}", headers={METHOD: value}).status == 400


def test_dual_layer_by_default_and_without_bucket_keys(s3, make_bucket, key):
    bucket = make_bucket()
    by_default = {"SSEAlgorithm": "aws:kms:dsse", "KMSMasterKeyID": "conformance"}
    rules = [{"ApplyServerSideEncryptionByDefault": by_default, "BucketKeyEnabled": True}]
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})
    shown = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert shown[0]["ApplyServerSideEncryptionByDefault"] == by_default
    context = base64.b64encode(json.dumps({"tenant": "7"}).encode()).decode()
    put = s3.put_object(Bucket=bucket, Key=key, Body=b"twice")
    assert said(put) == {"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": "conformance"}
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"twice"
    put = s3.put_object(Bucket=bucket, Key=key, Body=b"again", ServerSideEncryption="aws:kms:dsse",
                        SSEKMSEncryptionContext=context, BucketKeyEnabled=True)
    assert (put["SSEKMSEncryptionContext"], put["SSEKMSKeyId"].endswith("alias/aws/s3")) == (context, True)
    assert "BucketKeyEnabled" not in put
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"again"


def test_kms_keys_and_contexts(s3, bucket, key):
    context = base64.b64encode(json.dumps({"tenant": "7"}).encode()).decode()
    name = f"key-{secrets.token_hex(4)}"
    for named in (name, f"alias/{name}", f"arn:aws:kms:us-east-1:111122223333:key/{name}"):
        put = s3.put_object(Bucket=bucket, Key=key, Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=named,
                            SSEKMSEncryptionContext=context, BucketKeyEnabled=True)
        assert (put["SSEKMSKeyId"], put["SSEKMSEncryptionContext"], put["BucketKeyEnabled"]) == (named, context, True)
        got = s3.get_object(Bucket=bucket, Key=key)
        assert (got["SSEKMSKeyId"], got["BucketKeyEnabled"], got["Body"].read()) == (named, True, b"x")
    put = s3.put_object(Bucket=bucket, Key=key, Body=b"y", ServerSideEncryption="aws:kms")
    assert put["SSEKMSKeyId"].endswith("alias/aws/s3")
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"y"


@pytest.mark.parametrize("mode", ENCRYPTED)
def test_checksums_are_those_of_the_plaintext(s3, bucket, key, mode, refused):
    write, read = MODES[mode]
    body = os.urandom(100_000)
    sha = base64.b64encode(hashlib.sha256(body).digest()).decode()
    s3.put_object(Bucket=bucket, Key=key, Body=body, ChecksumSHA256=sha, **write)
    assert s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED", **read)["ChecksumSHA256"] == sha
    refused(lambda: s3.put_object(Bucket=bucket, Key=key, Body=body[1:], ChecksumSHA256=sha, **write), "BadDigest", 400)
    md5 = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    refused(lambda: s3.put_object(Bucket=bucket, Key=key, Body=body, ContentMD5=md5, **write), "BadDigest", 400)


@pytest.mark.parametrize("mode", ENCRYPTED)
def test_conditions(s3, bucket, key, mode, refused):
    write, read = MODES[mode]
    etag = s3.put_object(Bucket=bucket, Key=key, Body=b"1", IfNoneMatch="*", **write)["ETag"]
    refused(lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"2", IfNoneMatch="*", **write), "PreconditionFailed", 412)
    refused(lambda: s3.get_object(Bucket=bucket, Key=key, IfNoneMatch=etag, **read), "304", 304)
    etag = s3.put_object(Bucket=bucket, Key=key, Body=b"2", IfMatch=etag, **write)["ETag"]
    assert s3.get_object(Bucket=bucket, Key=key, IfMatch=etag, **read)["Body"].read() == b"2"
