"""Multipart uploads through boto3: the seven operations, their rules and their errors."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from boto3.s3.transfer import TransferConfig

MIB = 1024 * 1024
PART = 5 * MIB


def part_body(number, size=PART):
    return (hashlib.sha512(bytes([number])).digest() * (size // 64 + 1))[:size]


def multipart_etag(parts):
    digests = b"".join(hashlib.md5(p).digest() for p in parts)
    return f'"{hashlib.md5(digests).hexdigest()}-{len(parts)}"'


@pytest.fixture
def upload(s3, bucket, key):
    """An open upload: (id, put) where put(number, body) stores a part and gives its Complete entry."""
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]

    def put(number, body):
        etag = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body)["ETag"]
        assert etag == f'"{hashlib.md5(body).hexdigest()}"'
        return {"PartNumber": number, "ETag": etag}

    return upload_id, put


@pytest.fixture
def complete(s3, bucket, key):
    def call(upload_id, parts, **extra):
        return s3.complete_multipart_upload(
            Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}, **extra,
        )
    return call


def test_life_of_an_upload(s3, bucket, key, upload, complete, refused):
    upload_id, put = upload
    bodies = [part_body(1), part_body(2), b"tail"]
    entries = [put(3, bodies[2]), put(1, bodies[0]), put(2, bodies[1])]
    refused(lambda: s3.get_object(Bucket=bucket, Key=key), "NoSuchKey", 404)
    assert s3.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"] == 0
    done = complete(upload_id, sorted(entries, key=lambda e: e["PartNumber"]))
    assert done["ETag"] == multipart_etag(bodies)
    assert (done["Bucket"], done["Key"]) == (bucket, key)
    assert key in done["Location"]
    got = s3.get_object(Bucket=bucket, Key=key)
    assert got["Body"].read() == b"".join(bodies)
    assert got["ETag"] == done["ETag"]
    assert key not in [u["Key"] for u in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]


def test_one_small_part(s3, bucket, key, upload, complete):
    upload_id, put = upload
    done = complete(upload_id, [put(1, b"x")])
    assert done["ETag"] == multipart_etag([b"x"])
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"x"


def test_metadata_given_at_creation_is_kept(s3, bucket, key):
    upload_id = s3.create_multipart_upload(
        Bucket=bucket, Key=key, Metadata={"a": "1"}, ContentType="text/plain", CacheControl="no-cache",
    )["UploadId"]
    etag = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=1, Body=b"x")["ETag"]
    s3.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]},
    )
    head = s3.head_object(Bucket=bucket, Key=key)
    assert (head["Metadata"], head["ContentType"], head["CacheControl"]) == ({"a": "1"}, "text/plain", "no-cache")


def test_numbers_may_have_gaps(s3, bucket, key, upload, complete):
    upload_id, put = upload
    bodies = [part_body(7), b"end"]
    complete(upload_id, [put(7, bodies[0]), put(10000, bodies[1])])
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"".join(bodies)


@pytest.mark.differs("seaweedfs", "completes with the replaced part")
def test_a_part_sent_twice_counts_once_and_the_last_wins(s3, bucket, key, upload, complete, refused):
    upload_id, put = upload
    old = put(1, b"old")
    new = put(1, b"newer")
    refused(lambda: complete(upload_id, [old]), "InvalidPart", 400)
    complete(upload_id, [new])
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"newer"


def test_parts_left_out_are_dropped(s3, bucket, key, upload, complete):
    upload_id, put = upload
    keep = put(2, b"keep")
    put(1, part_body(1))
    complete(upload_id, [keep])
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"keep"


@pytest.mark.differs("moto", "sort them or answer another code")
def test_parts_out_of_order(s3, bucket, key, upload, complete, refused):
    upload_id, put = upload
    one, two = put(1, part_body(1)), put(2, b"x")
    refused(lambda: complete(upload_id, [two, one]), "InvalidPartOrder", 400)
    refused(lambda: s3.head_object(Bucket=bucket, Key=key), "404", 404)


def test_a_part_never_uploaded(s3, bucket, key, upload, complete, refused):
    upload_id, put = upload
    one = put(1, part_body(1))
    refused(lambda: complete(upload_id, [one, {"PartNumber": 2, "ETag": one["ETag"]}]), "InvalidPart", 400)
    refused(lambda: s3.head_object(Bucket=bucket, Key=key), "404", 404)


def test_a_wrong_etag(s3, bucket, key, upload, complete, refused):
    upload_id, put = upload
    put(1, b"x")
    refused(lambda: complete(upload_id, [{"PartNumber": 1, "ETag": '"' + "0" * 32 + '"'}]), "InvalidPart", 400)
    refused(lambda: s3.head_object(Bucket=bucket, Key=key), "404", 404)


def test_etags_may_come_without_quotes(complete, upload):
    upload_id, put = upload
    entry = put(1, b"x")
    assert complete(upload_id, [{"PartNumber": 1, "ETag": entry["ETag"].strip('"')}])["ETag"] == multipart_etag([b"x"])


def test_a_part_under_5_mib_must_be_the_last(s3, bucket, key, upload, complete, refused):
    upload_id, put = upload
    entries = [put(1, part_body(1, PART - 1)), put(2, b"x")]
    refused(lambda: complete(upload_id, entries), "EntityTooSmall", 400)
    refused(lambda: s3.head_object(Bucket=bucket, Key=key), "404", 404)
    entries[0] = put(1, part_body(1, PART))
    complete(upload_id, entries)


@pytest.mark.differs("seaweedfs", "answers NoSuchUpload")
def test_no_parts_at_all(s3, bucket, key, upload, complete, refused):
    upload_id, _ = upload
    refused(lambda: complete(upload_id, []), {"MalformedXML", "InvalidRequest"}, 400)
    refused(lambda: s3.head_object(Bucket=bucket, Key=key), "404", 404)


@pytest.mark.differs("moto seaweedfs", "answer another code, or accept 0")
@pytest.mark.parametrize("number", [0, -1, 10001])
def test_part_numbers_out_of_range(s3, bucket, key, upload, refused, number):
    upload_id, _ = upload
    refused(
        lambda: s3.upload_part(Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=b"x"),
        "InvalidArgument", 400,
    )
    assert not s3.list_parts(Bucket=bucket, Key=key, UploadId=upload_id).get("Parts")


def test_completing_replaces_the_object_at_once(s3, bucket, key, upload, complete):
    s3.put_object(Bucket=bucket, Key=key, Body=b"old")
    upload_id, put = upload
    entry = put(1, b"new")
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"old"
    complete(upload_id, [entry])
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"new"


def test_completing_again_is_answered_alike(upload, complete):
    """A client whose first answer was lost retries; AWS gives the same success."""
    upload_id, put = upload
    entries = [put(1, b"x")]
    assert complete(upload_id, entries)["ETag"] == complete(upload_id, entries)["ETag"]


def test_abort(s3, bucket, key, upload, refused):
    upload_id, put = upload
    put(1, b"x")
    answer = s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    refused(lambda: s3.list_parts(Bucket=bucket, Key=key, UploadId=upload_id), "NoSuchUpload", 404)
    refused(lambda: s3.head_object(Bucket=bucket, Key=key), "404", 404)


@pytest.mark.differs("moto", "another code, or aborting succeeds")
def test_unknown_upload(s3, bucket, key, complete, refused):
    ids = dict(Bucket=bucket, Key=key, UploadId="bm8tc3VjaC11cGxvYWQ")
    etag = '"' + "0" * 32 + '"'
    refused(lambda: s3.upload_part(**ids, PartNumber=1, Body=b"x"), "NoSuchUpload", 404)
    refused(lambda: s3.list_parts(**ids), "NoSuchUpload", 404)
    refused(lambda: complete(ids["UploadId"], [{"PartNumber": 1, "ETag": etag}]), "NoSuchUpload", 404)
    refused(lambda: s3.abort_multipart_upload(**ids), "NoSuchUpload", 404)


@pytest.mark.differs("moto", "look the upload up by its id alone")
def test_an_upload_belongs_to_its_key(s3, bucket, key, upload, refused):
    upload_id, put = upload
    put(1, b"x")
    other = dict(Bucket=bucket, Key=key + "-other", UploadId=upload_id)
    refused(lambda: s3.upload_part(**other, PartNumber=1, Body=b"x"), "NoSuchUpload", 404)
    refused(lambda: s3.list_parts(**other), "NoSuchUpload", 404)


# Listing

@pytest.mark.differs("moto", "orders parts by arrival")
def test_list_parts_in_pages(s3, bucket, key, upload):
    upload_id, put = upload
    numbers = [1, 2, 3, 5, 9, 1000]
    for number in reversed(numbers):
        put(number, bytes(number))
    first = s3.list_parts(Bucket=bucket, Key=key, UploadId=upload_id, MaxParts=4)
    assert [(p["PartNumber"], p["Size"]) for p in first["Parts"]] == [(n, n) for n in numbers[:4]]
    assert first["IsTruncated"] and first["NextPartNumberMarker"] == 5 and first["MaxParts"] == 4
    assert first["Parts"][0]["ETag"] == f'"{hashlib.md5(bytes(1)).hexdigest()}"'
    assert first["StorageClass"] == "STANDARD"
    rest = s3.list_parts(Bucket=bucket, Key=key, UploadId=upload_id, PartNumberMarker=5)
    assert [p["PartNumber"] for p in rest["Parts"]] == numbers[4:]
    assert not rest["IsTruncated"]


@pytest.mark.differs("moto seaweedfs", "orders by folder, or takes no prefix into account")
def test_list_uploads_in_pages(s3, make_bucket):
    name = make_bucket()
    keys = ["a/1", "a/1", "a/2", "b", "c/d/e", "ü"]
    made = [(k, s3.create_multipart_upload(Bucket=name, Key=k)["UploadId"]) for k in keys]
    seen = []
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=name, PaginationConfig={"PageSize": 2}):
        assert len(page.get("Uploads", [])) <= 2
        seen += [(u["Key"], u["UploadId"]) for u in page.get("Uploads", [])]
    assert sorted(seen) == sorted(made)
    assert [k for k, _ in seen] == sorted(keys, key=str.encode)
    below = s3.list_multipart_uploads(Bucket=name, Prefix="a/")
    assert [u["Key"] for u in below["Uploads"]] == ["a/1", "a/1", "a/2"]


@pytest.mark.differs("moto seaweedfs", "no common prefixes for uploads")
def test_list_uploads_with_delimiter(s3, make_bucket):
    name = make_bucket()
    for k in ("a/1", "a/2", "b", "c/d/e"):
        s3.create_multipart_upload(Bucket=name, Key=k)
    answer = s3.list_multipart_uploads(Bucket=name, Delimiter="/")
    assert [p["Prefix"] for p in answer["CommonPrefixes"]] == ["a/", "c/"]
    assert [u["Key"] for u in answer["Uploads"]] == ["b"]


# Copying parts

@pytest.mark.differs("seaweedfs", "gives a copied part another ETag, without quotes")
def test_upload_part_copy(s3, bucket, key, upload, complete):
    upload_id, put = upload
    source = part_body(9, PART + 1000)
    s3.put_object(Bucket=bucket, Key=key + "-source", Body=source)
    ids = dict(Bucket=bucket, Key=key, UploadId=upload_id, CopySource={"Bucket": bucket, "Key": key + "-source"})
    whole = s3.upload_part_copy(**ids, PartNumber=1)["CopyPartResult"]
    assert whole["ETag"] == f'"{hashlib.md5(source).hexdigest()}"' and whole["LastModified"].year > 2000
    ranged = s3.upload_part_copy(**ids, PartNumber=2, CopySourceRange="bytes=10-1009")["CopyPartResult"]
    complete(upload_id, [{"PartNumber": 1, "ETag": whole["ETag"]}, {"PartNumber": 2, "ETag": ranged["ETag"]}])
    s3.delete_object(Bucket=bucket, Key=key + "-source")
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == source + source[10:1010]


@pytest.mark.differs("moto seaweedfs", "clip the range")
@pytest.mark.parametrize("asked,code,status", [
    ("bytes=0-100", {"InvalidRange", "InvalidArgument"}, None), ("bytes=5-", {"InvalidArgument"}, 400),
    ("0-3", {"InvalidArgument"}, 400), ("bytes=3-1", {"InvalidArgument"}, 400),
])
def test_upload_part_copy_range_must_lie_inside(wire, s3, bucket, key, upload, asked, code, status):
    """Unlike GET, a copy range is never clipped. AWS's code past the end is InvalidArgument (400) or InvalidRange (416)."""
    upload_id, _ = upload
    s3.put_object(Bucket=bucket, Key=key + "-source", Body=b"0123456789")
    answer = wire.request(
        "PUT", f"/{bucket}/{key}", [("partNumber", "1"), ("uploadId", upload_id)],
        headers={"x-amz-copy-source": f"/{bucket}/{key}-source", "x-amz-copy-source-range": asked},
    )
    assert answer.code in code and answer.status in ({status} if status else {400, 416}), answer
    assert not s3.list_parts(Bucket=bucket, Key=key, UploadId=upload_id).get("Parts")


@pytest.mark.differs("moto", "answers another code")
def test_upload_part_copy_of_nothing(s3, bucket, key, upload, refused):
    upload_id, _ = upload
    ids = dict(Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=1)
    refused(lambda: s3.upload_part_copy(**ids, CopySource={"Bucket": bucket, "Key": "no/such"}), "NoSuchKey", 404)


# Reading by part

@pytest.fixture(scope="module")
def three_parts(s3, bucket):
    """A stored object of three parts: (key, bodies)."""
    bodies = [part_body(1), part_body(2, PART + 1), b"tail"]
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key="three-parts")["UploadId"]
    ids = dict(Bucket=bucket, Key="three-parts", UploadId=upload_id)
    entries = [
        {"PartNumber": n, "ETag": s3.upload_part(**ids, PartNumber=n, Body=b)["ETag"]}
        for n, b in enumerate(bodies, 1)
    ]
    s3.complete_multipart_upload(**ids, MultipartUpload={"Parts": entries})
    return "three-parts", bodies


@pytest.mark.differs("moto", "ignores partNumber on GET")
@pytest.mark.parametrize("number", [1, 2, 3])
def test_get_one_part(s3, bucket, three_parts, number):
    name, bodies = three_parts
    start = sum(map(len, bodies[:number - 1]))
    body = bodies[number - 1]
    got = s3.get_object(Bucket=bucket, Key=name, PartNumber=number)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert got["ContentRange"] == f"bytes {start}-{start + len(body) - 1}/{sum(map(len, bodies))}"
    assert got["PartsCount"] == 3
    assert got["Body"].read() == body
    head = s3.head_object(Bucket=bucket, Key=name, PartNumber=number)
    assert head["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert (head["ContentLength"], head["PartsCount"]) == (len(body), 3)


@pytest.mark.differs("moto", "ignores partNumber on GET")
def test_get_a_part_that_is_not_there(s3, bucket, three_parts, refused):
    refused(lambda: s3.get_object(Bucket=bucket, Key=three_parts[0], PartNumber=4), {"InvalidPart"}, 400)


def test_part_1_of_a_single_put_is_all_of_it(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=b"0123456789")
    got = s3.get_object(Bucket=bucket, Key=key, PartNumber=1)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert got["Body"].read() == b"0123456789"


@pytest.mark.differs("seaweedfs moto", "let one of the two win")
def test_range_and_part_number_exclude_each_other(s3, bucket, three_parts, refused):
    refused(
        lambda: s3.get_object(Bucket=bucket, Key=three_parts[0], PartNumber=1, Range="bytes=0-1"), "InvalidRequest", 400,
    )


# Managed transfers

def test_managed_upload_and_download(s3, bucket, key):
    body = part_body(5, 26 * MIB + 11)
    config = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB, max_concurrency=4)
    s3.upload_fileobj(io.BytesIO(body), bucket, key, Config=config)
    assert s3.head_object(Bucket=bucket, Key=key)["ETag"].endswith('-4"')
    out = io.BytesIO()
    s3.download_fileobj(bucket, key, out, Config=config)
    assert hashlib.md5(out.getvalue()).digest() == hashlib.md5(body).digest()


def test_managed_copy_in_parts(s3, bucket, key):
    body = part_body(6, 17 * MIB)
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    config = TransferConfig(multipart_threshold=6 * MIB, multipart_chunksize=6 * MIB)
    s3.copy({"Bucket": bucket, "Key": key}, bucket, key + "-copy", Config=config)
    got = s3.get_object(Bucket=bucket, Key=key + "-copy")
    assert got["ETag"].endswith('-3"') and got["Body"].read() == body


def test_parts_in_parallel(s3, bucket, key, upload, complete):
    upload_id, put = upload
    with ThreadPoolExecutor(4) as pool:
        entries = list(pool.map(lambda n: put(n, part_body(n)), range(1, 7)))
    complete(upload_id, entries)
    whole = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    assert whole == b"".join(part_body(n) for n in range(1, 7))


def test_two_completions_at_once_leave_one_whole_object(s3, bucket, key):
    """Two uploads of one key completing together: the object is one of them, whole."""
    bodies = [part_body(1, PART + 1), part_body(2, PART + 2)]
    jobs = []
    for body in bodies:
        ids = dict(Bucket=bucket, Key=key, UploadId=s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"])
        etag = s3.upload_part(**ids, PartNumber=1, Body=body)["ETag"]
        jobs.append(dict(**ids, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda job: s3.complete_multipart_upload(**job), jobs))
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() in bodies


def test_an_open_upload_does_not_keep_its_bucket_alive(s3, make_bucket, refused):
    """AWS deletes a bucket that holds only incomplete uploads; what comes later to that upload is refused."""
    name = make_bucket()
    upload_id = s3.create_multipart_upload(Bucket=name, Key="k")["UploadId"]
    s3.upload_part(Bucket=name, Key="k", UploadId=upload_id, PartNumber=1, Body=b"x")
    s3.delete_bucket(Bucket=name)
    refused(
        lambda: s3.upload_part(Bucket=name, Key="k", UploadId=upload_id, PartNumber=2, Body=b"x"), "NoSuchBucket", 404,
    )
