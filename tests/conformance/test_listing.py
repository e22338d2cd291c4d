"""Listing against a sorted model: byte order, prefixes, delimiters, pages, both versions, encoding.

The model is a sorted Python list of UTF-8 keys; whatever page sizes a server chooses below the asked one, the
pages joined must be the model's answer. The seed is printed on failure; S3_TEST_SEED replays it,
S3_TEST_LIST_KEYS sets the number of keys (1,500; 10,000 with --slow).
"""

import os
import random
import re
from urllib.parse import unquote_plus

import pytest

from s3wire import encode

WORDS = ["a", "b", "ab", "data", "2024-01-01", "x.txt", "é", "日本", "\U0001f600", "+", " ", "%2F", "?", "#", "&", "..", ".",
         "~", "\x01", "\x1f", "\x7f", "<", "\"", "'", "\\", "A", "Z", "0", "-", "_", "=", ";", ",", "!", "*", "(", "\uffff", "\U00010000"]
SEPARATORS = ["/"] * 12 + ["//", "|", ".", "-", "", ""]
MODEL_QUERIES = 60
DEFAULT_KEYS, SLOW_KEYS = 1500, 10_000


def byte_order(text):
    return text.encode()


def random_key(rng):
    key = rng.choice(["", "", "", "", "/", "//"]) + "".join(
        rng.choice(WORDS) + rng.choice(SEPARATORS) for _ in range(rng.randint(1, 7))
    )
    return key or "k"


def model(keys, prefix="", delimiter="", after=""):
    """What a complete listing holds: (contents, common prefixes), each in byte order."""
    contents, prefixes = [], []
    for key in keys:
        if not key.startswith(prefix):
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        if cut >= 0:
            group = key[:cut + len(delimiter)]
            # AWS leaves out a group only when `after` reached past it, not when it lies inside.
            if byte_order(key) > byte_order(after) and group not in prefixes:
                prefixes.append(group)
        elif byte_order(key) > byte_order(after):
            contents.append(key)
    return contents, prefixes


@pytest.fixture(scope="module")
def seed():
    return int(os.environ.get("S3_TEST_SEED") or random.SystemRandom().randrange(2**32))


@pytest.fixture(scope="module")
def forest(request, wire, make_bucket, seed):
    """A bucket of random keys and the keys in byte order."""
    count = int(os.environ.get("S3_TEST_LIST_KEYS") or (SLOW_KEYS if request.config.getoption("--slow") else DEFAULT_KEYS))
    rng = random.Random(seed)
    keys = set()
    while len(keys) < count:
        keys.add(random_key(rng))
    name = make_bucket()
    shuffled = sorted(keys)
    rng.shuffle(shuffled)
    wire.put_many(name, ((k, b"") for k in shuffled))
    return name, sorted(keys, key=byte_order)


@pytest.fixture(scope="module")
def grove(s3, make_bucket):
    """A small bucket whose listing is known by heart."""
    name = make_bucket()
    for k in ("a.txt", "a/b", "a/c/d", "a0", "b", "b/x", "c/", "ü/ü"):
        s3.put_object(Bucket=name, Key=k, Body=k.encode())
    return name


def pages_v2(s3, bucket, limit, **query):
    token = {}
    for _ in range(100_000):
        page = s3.list_objects_v2(Bucket=bucket, MaxKeys=limit, **query, **token)
        yield page
        if not page["IsTruncated"]:
            return
        assert page["KeyCount"] > 0, "a truncated page without entries"
        token = {"ContinuationToken": page["NextContinuationToken"]}
    pytest.fail("the listing does not end")


def pages_v1(s3, bucket, limit, **query):
    for _ in range(100_000):
        page = s3.list_objects(Bucket=bucket, MaxKeys=limit, **query)
        yield page
        if not page["IsTruncated"]:
            return
        names = [o["Key"] for o in page.get("Contents", [])] + [p["Prefix"] for p in page.get("CommonPrefixes", [])]
        assert names, "a truncated page without entries"
        # AWS gives NextMarker only with a delimiter; without, the last key is the marker.
        query["Marker"] = page.get("NextMarker") or max(names, key=byte_order)
    pytest.fail("the listing does not end")


def joined(pages, limit):
    contents, prefixes = [], []
    for page in pages:
        keys = [o["Key"] for o in page.get("Contents", [])]
        groups = [p["Prefix"] for p in page.get("CommonPrefixes", [])]
        assert len(keys) + len(groups) <= limit
        if "KeyCount" in page:
            assert page["KeyCount"] == len(keys) + len(groups)
        contents += keys
        prefixes += groups
    return contents, prefixes


@pytest.mark.timeout(600)
@pytest.mark.differs("seaweedfs", "folds slashes and dots; orders by folder")
@pytest.mark.differs("moto", "fails with 500 on a few of these keys in XML")
@pytest.mark.parametrize("version", [1, 2])
def test_random_queries_match_the_model(s3, forest, seed, version):
    bucket, keys = forest
    rng = random.Random(seed + version)
    pages = pages_v1 if version == 1 else pages_v2
    for _ in range(MODEL_QUERIES):
        base = rng.choice(keys)
        query = {"Prefix": rng.choice(["", "", base[:rng.randint(0, len(base))], "no such prefix"])}
        if rng.random() < 0.6:
            query["Delimiter"] = rng.choice(["/", "/", "/", "|", ".", "a", "//", "é", "%", "+"])
        limit = rng.choice([3, 7, 50, 999, 1000])
        if limit < 10 and len(model(keys, query["Prefix"], query.get("Delimiter", ""))[0]) > 200:
            limit = 100
        expected = model(keys, query["Prefix"], query.get("Delimiter", ""))
        assert joined(pages(s3, bucket, limit, **query), limit) == expected, f"seed {seed}: {query} by {limit}"


@pytest.mark.differs("seaweedfs", "folds slashes and dots; orders by folder")
@pytest.mark.differs("moto", "fails with 500 on a few of these keys in XML")
def test_start_after_random_keys(s3, forest, seed):
    bucket, keys = forest
    rng = random.Random(seed)
    for _ in range(20):
        after = rng.choice(keys)
        after = rng.choice([after, after[:-1], after + "\x01", after + "zz"]) or "k"
        found = joined(pages_v2(s3, bucket, 1000, StartAfter=after), 1000)
        assert found == model(keys, after=after), f"seed {seed}: after {after!r}"


@pytest.mark.differs("seaweedfs", "orders by folder")
def test_order_across_slashes(s3, grove):
    """`.` < `/` < `0`: the order of bytes, not of folders."""
    listed = [o["Key"] for o in s3.list_objects_v2(Bucket=grove)["Contents"]]
    assert listed == ["a.txt", "a/b", "a/c/d", "a0", "b", "b/x", "c/", "ü/ü"]


def test_entries_are_complete(s3, grove):
    [entry] = s3.list_objects_v2(Bucket=grove, Prefix="a.txt")["Contents"]
    head = s3.head_object(Bucket=grove, Key="a.txt")
    assert (entry["Size"], entry["ETag"], entry["StorageClass"]) == (5, head["ETag"], "STANDARD")
    assert "Owner" not in entry
    [entry] = s3.list_objects_v2(Bucket=grove, Prefix="a.txt", FetchOwner=True)["Contents"]
    assert entry["Owner"]["ID"]
    [entry] = s3.list_objects(Bucket=grove, Prefix="a.txt")["Contents"]
    assert entry["Owner"]["ID"]


def test_delimiter(s3, grove):
    top = s3.list_objects_v2(Bucket=grove, Delimiter="/")
    assert [o["Key"] for o in top["Contents"]] == ["a.txt", "a0", "b"]
    assert [p["Prefix"] for p in top["CommonPrefixes"]] == ["a/", "b/", "c/", "ü/"]
    assert (top["KeyCount"], top["Delimiter"], top["Prefix"]) == (7, "/", "")
    below = s3.list_objects_v2(Bucket=grove, Prefix="a/", Delimiter="/")
    assert [o["Key"] for o in below["Contents"]] == ["a/b"]
    assert [p["Prefix"] for p in below["CommonPrefixes"]] == ["a/c/"]
    folder = s3.list_objects_v2(Bucket=grove, Prefix="c/", Delimiter="/")
    assert [o["Key"] for o in folder["Contents"]] == ["c/"] and "CommonPrefixes" not in folder


def test_empty_parameters_are_missing_parameters(wire, grove):
    plain = wire.request("GET", f"/{grove}", [("list-type", "2")])
    empty = wire.request("GET", f"/{grove}", [("list-type", "2"), ("prefix", ""), ("delimiter", ""), ("start-after", "")])
    keys = re.compile(rb"<Key>[^<]*</Key>")
    assert plain.status == empty.status == 200
    assert keys.findall(plain.body) == keys.findall(empty.body) != []
    assert b"CommonPrefixes" not in empty.body


def test_max_keys_0(s3, grove):
    answer = s3.list_objects_v2(Bucket=grove, MaxKeys=0)
    assert (answer["KeyCount"], answer["IsTruncated"]) == (0, False)
    assert "Contents" not in answer


@pytest.mark.differs("moto", "answers another code")
@pytest.mark.parametrize("value", ["-1", "ten", "99999999999999999999"])
def test_bad_max_keys(wire, grove, value):
    answer = wire.request("GET", f"/{grove}", [("list-type", "2"), ("max-keys", value)])
    assert (answer.status, answer.code) == (400, "InvalidArgument"), answer


@pytest.mark.differs("moto seaweedfs", "give 5,000 when asked")
def test_max_keys_is_capped_at_1000(s3, wire, make_bucket):
    name = make_bucket()
    wire.put_many(name, ((f"k{n:04}", b"") for n in range(1001)))
    first = s3.list_objects_v2(Bucket=name, MaxKeys=5000)
    assert first["KeyCount"] == 1000 and first["IsTruncated"]
    rest = s3.list_objects_v2(Bucket=name, ContinuationToken=first["NextContinuationToken"])
    assert [o["Key"] for o in rest["Contents"]] == ["k1000"]


@pytest.mark.differs("moto seaweedfs", "accepts any token")
def test_a_forged_continuation_token(wire, grove):
    answer = wire.request("GET", f"/{grove}", [("list-type", "2"), ("continuation-token", "not a token of yours\x00")])
    assert (answer.status, answer.code) == (400, "InvalidArgument"), answer


@pytest.mark.differs("seaweedfs moto", "orders by folder; forgets StartAfter")
def test_the_token_wins_over_start_after(s3, grove):
    first = s3.list_objects_v2(Bucket=grove, MaxKeys=2, StartAfter="a.txt")
    second = s3.list_objects_v2(
        Bucket=grove, MaxKeys=2, StartAfter="a.txt", ContinuationToken=first["NextContinuationToken"],
    )
    seen = [o["Key"] for page in (first, second) for o in page["Contents"]]
    assert seen == ["a/b", "a/c/d", "a0", "b"]
    assert second["ContinuationToken"] == first["NextContinuationToken"]
    assert second["StartAfter"] == "a.txt"


def test_keys_stored_between_pages_appear_in_place(s3, make_bucket):
    """A listing in progress is not a snapshot, but it never skips or repeats what was there all along."""
    name = make_bucket()
    for k in "bdfh":
        s3.put_object(Bucket=name, Key=k, Body=b"")
    first = s3.list_objects_v2(Bucket=name, MaxKeys=2)
    s3.put_object(Bucket=name, Key="a", Body=b"")
    s3.put_object(Bucket=name, Key="e", Body=b"")
    s3.delete_object(Bucket=name, Key="d")
    rest = s3.list_objects_v2(Bucket=name, ContinuationToken=first["NextContinuationToken"])
    assert [o["Key"] for o in rest["Contents"]] == ["e", "f", "h"]


@pytest.mark.differs("moto seaweedfs", "list it again")
def test_a_marker_inside_a_common_prefix_has_passed_it(s3, make_bucket):
    name = make_bucket()
    for k in ["d/e/1", "d/e/2", "d/f"]:
        s3.put_object(Bucket=name, Key=k, Body=b"")
    listed = s3.list_objects(Bucket=name, Prefix="d/", Delimiter="/", Marker="d/e/1")
    assert "CommonPrefixes" not in listed and [o["Key"] for o in listed["Contents"]] == ["d/f"]
    versions = s3.list_object_versions(Bucket=name, Prefix="d/", Delimiter="/", KeyMarker="d/e/1")
    assert "CommonPrefixes" not in versions and [v["Key"] for v in versions["Versions"]] == ["d/f"]
    after = s3.list_objects_v2(Bucket=name, Prefix="d/", Delimiter="/", StartAfter="d/e/1")
    assert [p["Prefix"] for p in after["CommonPrefixes"]] == ["d/e/"]


@pytest.mark.differs("seaweedfs", "drops control characters, folds slashes")
@pytest.mark.differs("moto", "leaves prefixes and some characters as they are")
@pytest.mark.parametrize("list_type", ["1", "2"])
def test_encoding_type_url_on_the_wire(wire, s3, make_bucket, list_type):
    """What XML cannot carry comes percent-encoded; `/` stays, a space is `+` or `%20`, a plus is `%2B`."""
    name = make_bucket()
    keys = ["a+b c/\x01\x1f", "a+b c/é&<%2F", "plain/x"]
    for k in keys:
        s3.put_object(Bucket=name, Key=k, Body=b"")
    query = [("encoding-type", "url"), ("prefix", "a+b "), ("max-keys", "10"), ("delimiter", "%")]
    query += [("list-type", "2"), ("start-after", "a+")] if list_type == "2" else [("marker", "a+")]
    answer = wire.request("GET", f"/{name}", query)
    assert answer.status == 200, answer
    text = answer.body.decode("ascii")
    assert "<EncodingType>url</EncodingType>" in text
    found = re.findall("<Key>([^<]*)</Key>", text)
    assert [unquote_plus(k) for k in found] == [keys[0]]
    assert all("/" in k and "%2B" in k and " " not in k for k in found)
    asked, common = re.findall("<Prefix>([^<]*)</Prefix>", text)
    # The first version repeats the prefix as it was asked for.
    assert (asked if list_type == "1" else unquote_plus(asked)) == "a+b "
    assert unquote_plus(common) == "a+b c/é&<%"
    assert unquote_plus(re.search("<Delimiter>([^<]*)<", text).group(1)) == "%"


@pytest.mark.differs("moto seaweedfs", "ignores it")
def test_unknown_encoding_type(wire, grove):
    answer = wire.request("GET", f"/{grove}", [("list-type", "2"), ("encoding-type", "base64")])
    assert (answer.status, answer.code) == (400, "InvalidArgument"), answer


def test_xml_is_escaped_without_encoding_type(wire, s3, make_bucket):
    name = make_bucket()
    s3.put_object(Bucket=name, Key="a&b<c>\"d'", Body=b"")
    answer = wire.request("GET", f"/{name}", [("list-type", "2")])
    assert b"<Key>a&amp;b&lt;c" in answer.body
    assert encode("a&b").encode() not in answer.body


def test_a_slash_after_the_bucket_is_still_the_bucket(wire, grove):
    answer = wire.request("GET", f"/{grove}/", [("list-type", "2")])
    assert answer.status == 200 and b"<Key>a.txt</Key>" in answer.body
