"""Object checksums: every algorithm, as header and as trailer, verified, stored and returned; whole and composite.

The five algorithms of S3's "Checking object integrity". Values are computed here (zlib, hashlib, awscrt), never
taken from an answer of the server.
"""

import base64
import hashlib
import zlib

import pytest
from awscrt import checksums as crt

import s3wire
from s3wire import STREAMING_SIGNED_TRAILER, STREAMING_UNSIGNED_TRAILER, object_path

MIB = 1024 * 1024
PART = 5 * MIB
ALGORITHMS = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]
FULL_OBJECT = ["CRC32", "CRC32C", "CRC64NVME"]
COMPOSITE = ["CRC32", "CRC32C", "SHA1", "SHA256"]


def raw_checksum(algorithm, data):
    return {
        "CRC32": lambda: zlib.crc32(data).to_bytes(4, "big"),
        "CRC32C": lambda: crt.crc32c(data).to_bytes(4, "big"),
        "CRC64NVME": lambda: crt.crc64nvme(data).to_bytes(8, "big"),
        "SHA1": lambda: hashlib.sha1(data).digest(),
        "SHA256": lambda: hashlib.sha256(data).digest(),
    }[algorithm]()


def checksum(algorithm, data):
    return base64.b64encode(raw_checksum(algorithm, data)).decode()


def composite(algorithm, parts):
    whole = raw_checksum(algorithm, b"".join(raw_checksum(algorithm, p) for p in parts))
    return f"{base64.b64encode(whole).decode()}-{len(parts)}"


def field(algorithm):
    return f"Checksum{algorithm}"


def header(algorithm):
    return f"x-amz-checksum-{algorithm.lower()}"


def body_of(number, size):
    return (hashlib.sha512(bytes([number])).digest() * (size // 64 + 1))[:size]


def test_the_yardstick_itself():
    """The published check values of "123456789"."""
    assert raw_checksum("CRC32", b"123456789").hex() == "cbf43926"
    assert raw_checksum("CRC32C", b"123456789").hex() == "e3069283"
    assert raw_checksum("CRC64NVME", b"123456789").hex() == "ae8b14860a799888"


@pytest.mark.differs("seaweedfs", "does not tell the checksum type")
@pytest.mark.differs("moto", "knows no CRC64NVME; returns a checksum for a part of the object")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", [0, 1, 70_000, MIB + 1])
def test_given_value_is_stored_and_returned(s3, bucket, key, algorithm, size):
    body = body_of(1, size)
    value = checksum(algorithm, body)
    put = s3.put_object(Bucket=bucket, Key=key, Body=body, **{field(algorithm): value})
    assert put[field(algorithm)] == value
    assert put.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
    for answer in (
        s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED"),
        s3.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED"),
    ):
        assert answer[field(algorithm)] == value
        assert answer["ChecksumType"] == "FULL_OBJECT"


@pytest.mark.differs("seaweedfs", "over TLS keeps aws-chunked as the content encoding")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_computed_by_the_sdk(s3, bucket, key, algorithm):
    """Over http botocore sends a header; over TLS a trailer behind an aws-chunked body without Content-Length."""
    body = body_of(2, 200_000)
    put = s3.put_object(Bucket=bucket, Key=key, Body=body, ChecksumAlgorithm=algorithm)
    assert put[field(algorithm)] == checksum(algorithm, body)
    got = s3.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert got[field(algorithm)] == checksum(algorithm, body)
    assert "ContentEncoding" not in got


def test_not_returned_unless_asked(wire, s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x", ChecksumAlgorithm="SHA256")
    answer = wire.request("HEAD", f"/{bucket}/{key}")
    assert not [n for n in answer.headers if n.startswith("x-amz-checksum")]


def test_a_range_carries_no_checksum_of_the_whole(wire, s3, bucket, key):
    """A client would check the range against it and fail."""
    s3.put_object(Bucket=bucket, Key=key, Body=b"0123456789", ChecksumAlgorithm="CRC32")
    answer = wire.request("GET", f"/{bucket}/{key}", headers={"range": "bytes=0-3", "x-amz-checksum-mode": "ENABLED"})
    assert (answer.status, answer.body) == (206, b"0123")
    assert "x-amz-checksum-crc32" not in answer.headers


@pytest.mark.differs("moto seaweedfs", "do not say")
@pytest.mark.parametrize("asked", ["bytes=0-9", "bytes=0-100", "bytes=-15", "bytes=0-"])
def test_a_range_of_everything_carries_it(wire, s3, bucket, key, asked):
    s3.put_object(Bucket=bucket, Key=key, Body=b"0123456789", ChecksumAlgorithm="CRC32")
    answer = wire.request("GET", f"/{bucket}/{key}", headers={"range": asked, "x-amz-checksum-mode": "ENABLED"})
    assert (answer.status, answer.body) == (206, b"0123456789")
    assert answer.headers["x-amz-checksum-crc32"] and answer.headers["x-amz-checksum-type"] == "FULL_OBJECT"


@pytest.mark.differs("moto", "does not verify")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_wrong_header(s3, bucket, key, refused, algorithm):
    s3.put_object(Bucket=bucket, Key=key, Body=b"old")
    wrong = {field(algorithm): checksum(algorithm, b"something else")}
    refused(lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"new", **wrong), "BadDigest", 400)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"old"


@pytest.mark.differs("moto", "does not verify")
@pytest.mark.differs("seaweedfs", "answers BadDigest or accepts it")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("value", ["AAAA", "not base64!"])
def test_malformed_header(s3, bucket, key, refused, algorithm, value):
    refused(lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"new", **{field(algorithm): value}), "BadDigest", 400)
    refused(lambda: s3.head_object(Bucket=bucket, Key=key), "404", 404)


@pytest.mark.differs("moto seaweedfs", "take one of the two")
def test_two_checksums_are_one_too_many(wire, s3, bucket, key, refused):
    headers = {header(a): checksum(a, b"new") for a in ("CRC32", "SHA256")}
    answer = wire.request("PUT", f"/{bucket}/{key}", body=b"new", headers=headers)
    assert (answer.status, answer.code) == (400, "InvalidRequest"), answer
    refused(lambda: s3.head_object(Bucket=bucket, Key=key), "404", 404)


# Trailers, by hand: every SDK sends only one of these forms.

def put_with_trailer(wire, bucket, key, body, trailers, mode, announced=None):
    signer = wire.signer()
    headers = {
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(len(body)),
        "x-amz-trailer": announced or ",".join(trailers),
    }

    def encode_body(signer, seed):
        if mode == STREAMING_UNSIGNED_TRAILER:
            return s3wire.unsigned_chunks(body, trailers)
        return s3wire.signed_chunks(signer, seed, body, trailers=trailers)

    return wire.request(
        "PUT", object_path(bucket, key), headers=headers, payload_hash=mode, signer=signer, encode_body=encode_body,
    )


MODES = pytest.mark.parametrize(
    "mode", [STREAMING_UNSIGNED_TRAILER, STREAMING_SIGNED_TRAILER], ids=["unsigned", "signed"],
)


@MODES
@pytest.mark.differs("moto", "mistakes some trailers for data")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", [0, 1, 65536, 200_001])
def test_trailer(wire, s3, bucket, key, algorithm, mode, size):
    body = body_of(3, size)
    value = checksum(algorithm, body)
    answer = put_with_trailer(wire, bucket, key, body, {header(algorithm): value}, mode)
    assert answer.status == 200, answer
    assert answer.headers[header(algorithm)] == value
    got = s3.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert (got["ContentLength"], got[field(algorithm)]) == (size, value)
    assert got["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'


@MODES
@pytest.mark.differs("moto", "does not verify")
@pytest.mark.differs("seaweedfs", "answers InvalidDigest")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_wrong_trailer(wire, s3, bucket, key, algorithm, mode):
    s3.put_object(Bucket=bucket, Key=key, Body=b"old")
    wrong = {header(algorithm): checksum(algorithm, b"something else")}
    answer = put_with_trailer(wire, bucket, key, body_of(4, 100_000), wrong, mode)
    assert (answer.status, answer.code) == (400, "BadDigest"), answer
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"old"


@MODES
@pytest.mark.differs("moto seaweedfs", "do not hold the trailer to its announcement")
def test_a_trailer_that_was_announced_must_come(wire, s3, bucket, key, refused, mode):
    answer = put_with_trailer(wire, bucket, key, b"new", {}, mode, announced="x-amz-checksum-crc32")
    assert answer.status == 400 and answer.code in {"MalformedTrailerError", "InvalidRequest"}, answer
    refused(lambda: s3.head_object(Bucket=bucket, Key=key), "404", 404)


# Multipart

def uploaded(s3, bucket, key, algorithm, kind, parts, **complete):
    ids = dict(Bucket=bucket, Key=key)
    created = s3.create_multipart_upload(**ids, ChecksumAlgorithm=algorithm, ChecksumType=kind)
    ids["UploadId"] = created["UploadId"]
    entries = []
    for number, body in enumerate(parts, 1):
        answer = s3.upload_part(**ids, PartNumber=number, Body=body, ChecksumAlgorithm=algorithm)
        assert answer[field(algorithm)] == checksum(algorithm, body)
        entries.append({"PartNumber": number, "ETag": answer["ETag"], field(algorithm): answer[field(algorithm)]})
    return s3.complete_multipart_upload(**ids, MultipartUpload={"Parts": entries}, **complete)


@pytest.mark.differs("moto", "knows no CRC64NVME, no checksum type")
@pytest.mark.parametrize("algorithm", COMPOSITE)
def test_multipart_composite(s3, bucket, key, algorithm):
    parts = [body_of(5, PART), body_of(6, 1000)]
    done = uploaded(s3, bucket, key, algorithm, "COMPOSITE", parts)
    expected = composite(algorithm, parts)
    assert (done[field(algorithm)], done["ChecksumType"]) == (expected, "COMPOSITE")
    head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    assert (head[field(algorithm)], head["ChecksumType"]) == (expected, "COMPOSITE")


@pytest.mark.differs("moto", "knows no CRC64NVME, no checksum type")
@pytest.mark.parametrize("algorithm", FULL_OBJECT)
def test_multipart_full_object(s3, bucket, key, algorithm):
    parts = [body_of(7, PART), body_of(8, PART + 1), body_of(9, 1000)]
    whole = checksum(algorithm, b"".join(parts))
    done = uploaded(s3, bucket, key, algorithm, "FULL_OBJECT", parts, **{field(algorithm): whole})
    assert (done[field(algorithm)], done["ChecksumType"]) == (whole, "FULL_OBJECT")
    got = s3.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    assert (got[field(algorithm)], got["ChecksumType"]) == (whole, "FULL_OBJECT")
    assert got["Body"].read() == b"".join(parts)


@pytest.mark.differs("moto", "do not compare")
@pytest.mark.parametrize("algorithm", FULL_OBJECT)
def test_completing_with_a_wrong_full_object_checksum(s3, bucket, key, refused, algorithm):
    wrong = {field(algorithm): checksum(algorithm, b"something else")}
    refused(
        lambda: uploaded(s3, bucket, key, algorithm, "FULL_OBJECT", [body_of(5, PART), b"x"], **wrong), "BadDigest", 400,
    )
    refused(lambda: s3.head_object(Bucket=bucket, Key=key), "404", 404)


@pytest.mark.differs("moto seaweedfs", "do not compare")
def test_completing_with_a_wrong_part_checksum(s3, bucket, key, refused):
    ids = dict(Bucket=bucket, Key=key)
    ids["UploadId"] = s3.create_multipart_upload(**ids, ChecksumAlgorithm="SHA256")["UploadId"]
    etag = s3.upload_part(**ids, PartNumber=1, Body=b"x", ChecksumAlgorithm="SHA256")["ETag"]
    entry = {"PartNumber": 1, "ETag": etag, "ChecksumSHA256": checksum("SHA256", b"y")}
    refused(lambda: s3.complete_multipart_upload(**ids, MultipartUpload={"Parts": [entry]}), "InvalidPart", 400)
    refused(lambda: s3.head_object(Bucket=bucket, Key=key), "404", 404)


@pytest.mark.differs("moto", "does not verify")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_part_with_a_wrong_checksum(s3, bucket, key, refused, algorithm):
    ids = dict(Bucket=bucket, Key=key)
    ids["UploadId"] = s3.create_multipart_upload(**ids, ChecksumAlgorithm=algorithm)["UploadId"]
    wrong = {field(algorithm): checksum(algorithm, b"something else")}
    refused(lambda: s3.upload_part(**ids, PartNumber=1, Body=b"x", **wrong), "BadDigest", 400)
    assert not s3.list_parts(**ids).get("Parts")


@pytest.mark.differs("moto", "do not check the pair")
@pytest.mark.parametrize("algorithm,kind", [("SHA1", "FULL_OBJECT"), ("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE")])
def test_pairs_that_do_not_exist(s3, bucket, key, refused, algorithm, kind):
    create = lambda: s3.create_multipart_upload(  # noqa: E731
        Bucket=bucket, Key=key, ChecksumAlgorithm=algorithm, ChecksumType=kind,
    )
    refused(create, "InvalidRequest", 400)


@pytest.mark.differs("moto seaweedfs", "lose the checksum")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_copy_keeps_or_computes(s3, bucket, key, algorithm):
    s3.put_object(Bucket=bucket, Key=key, Body=b"body", ChecksumAlgorithm="CRC32")
    source = {"Bucket": bucket, "Key": key}
    kept = s3.copy_object(Bucket=bucket, Key=key + "-kept", CopySource=source)
    assert kept["CopyObjectResult"]["ChecksumCRC32"] == checksum("CRC32", b"body")
    other = s3.copy_object(Bucket=bucket, Key=key + "-other", CopySource=source, ChecksumAlgorithm=algorithm)
    assert other["CopyObjectResult"][field(algorithm)] == checksum(algorithm, b"body")
    head = s3.head_object(Bucket=bucket, Key=key + "-other", ChecksumMode="ENABLED")
    assert head[field(algorithm)] == checksum(algorithm, b"body")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_delete_objects_takes_any_checksum(s3, bucket, key, algorithm):
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]}, ChecksumAlgorithm=algorithm)
    assert s3.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"] == 0
