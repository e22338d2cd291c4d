"""WebHDFS as curl, HdfsCLI and fsspec speak it."""

import hashlib
import json
import os
import random
import subprocess
import time
from pathlib import Path

import fsspec
import hdfs
import pytest
import requests

CHUNK = 512


def data(length, seed=1):
    return random.Random(seed).randbytes(length)


def test_a_file_is_written_and_read_in_two_steps(web, directory):
    path = f"{directory}/a b+c/f"
    created = web.create(path, b"hello\n", permission="640")
    assert created.headers["location"].startswith("hdfs://") and created.headers["location"].endswith(path)
    assert web.read(path) == b"hello\n"
    status = web.json("GET", path, "GETFILESTATUS")["FileStatus"]
    assert (status["length"], status["type"], status["permission"], status["owner"]) == (6, "FILE", "640", "hdfs")
    assert (status["pathSuffix"], status["childrenNum"]) == ("", 0)
    located = web.json("GET", path, "OPEN", noredirect="true")["Location"]
    assert requests.get(located, timeout=60).content == b"hello\n"


@pytest.mark.parametrize("length", [0, 1, 511, 512, 513, 65_536, 1 << 20, (1 << 20) + 1, 5 * (1 << 20) + 7])
def test_windows_at_every_border(web, directory, length):
    body = data(length, length)
    path = f"{directory}/f{length}"
    web.create(path, body, blocksize=1 << 20)
    assert web.read(path) == body
    for offset in {0, 1, CHUNK - 1, CHUNK, length // 2, max(length - 1, 0), length}:
        if offset <= length:
            assert web.read(path, offset=offset) == body[offset:]
            assert web.read(path, offset=offset, length=700) == body[offset:offset + 700]


def test_a_body_without_a_length_and_one_in_many_pieces(web, directory):
    pieces = [data(100_000, seed) for seed in range(30)]
    web.create(f"{directory}/f", iter(pieces), blocksize=1 << 20)
    assert web.read(f"{directory}/f") == b"".join(pieces)


def test_append_truncate_concat(web, directory):
    path = f"{directory}/f"
    web.create(path, b"a" * 1000)
    assert web.send("POST", path, "APPEND", b"b" * 1000).status_code == 200
    assert web.read(path) == b"a" * 1000 + b"b" * 1000
    assert web.json("POST", path, "TRUNCATE", newlength=1500) == {"boolean": True}
    assert web.read(path) == b"a" * 1000 + b"b" * 500
    web.create(f"{directory}/g", b"c" * 10)
    assert web.ask("POST", path, "CONCAT", sources=f"{directory}/g").status_code == 200
    assert web.read(path) == b"a" * 1000 + b"b" * 500 + b"c" * 10
    assert web.ask("GET", f"{directory}/g", "GETFILESTATUS").status_code == 404


def test_names_are_made_moved_listed_and_removed(web, directory):
    assert web.json("PUT", f"{directory}/d/e", "MKDIRS", permission="711") == {"boolean": True}
    for name in ("x", "y", "z"):
        web.create(f"{directory}/d/{name}", name.encode())
    listed = web.json("GET", f"{directory}/d", "LISTSTATUS")["FileStatuses"]["FileStatus"]
    assert [entry["pathSuffix"] for entry in listed] == ["e", "x", "y", "z"]
    page = web.json("GET", f"{directory}/d", "LISTSTATUS_BATCH", startAfter="x")["DirectoryListing"]
    names = [entry["pathSuffix"] for entry in page["partialListing"]["FileStatuses"]["FileStatus"]]
    assert (names, page["remainingEntries"]) == (["y", "z"], 0)
    assert web.json("PUT", f"{directory}/d/x", "RENAME", destination=f"{directory}/d/e") == {"boolean": True}
    assert web.read(f"{directory}/d/e/x") == b"x"
    assert web.json("PUT", f"{directory}/d/none", "RENAME", destination=f"{directory}/d/q") == {"boolean": False}
    assert web.ask("PUT", f"{directory}/d/y", "RENAME", destination=f"{directory}/d/z", renameoptions="OVERWRITE").status_code == 200
    assert web.read(f"{directory}/d/z") == b"y"
    refused = web.ask("DELETE", f"{directory}/d", "DELETE")
    assert (refused.status_code, exception(refused)) == (403, "PathIsNotEmptyDirectoryException")
    assert web.json("DELETE", f"{directory}/d", "DELETE", recursive="true") == {"boolean": True}
    assert web.json("DELETE", f"{directory}/d", "DELETE", recursive="true") == {"boolean": False}


def exception(reply):
    remote = reply.json()["RemoteException"]
    assert remote["javaClassName"].endswith(remote["exception"]) and "\n" not in remote["message"]
    return remote["exception"]


def test_refusals_have_hadoops_status_and_class(web, directory):
    web.create(f"{directory}/f", b"x")
    cases = [
        (web.ask("GET", f"{directory}/none", "GETFILESTATUS"), 404, "FileNotFoundException"),
        (web.ask("GET", f"{directory}/none", "OPEN"), 404, "FileNotFoundException"),
        (web.ask("PUT", f"{directory}/f", "BOGUS"), 400, "IllegalArgumentException"),
        (web.ask("GET", f"{directory}/f", "MKDIRS"), 400, "IllegalArgumentException"),
        (web.ask("PUT", f"{directory}/f", "SETPERMISSION", permission="9"), 400, "IllegalArgumentException"),
        (web.ask("PUT", f"{directory}/f/g", "MKDIRS"), 403, "ParentNotDirectoryException"),
        (web.ask("PUT", f"{directory}/l", "CREATESYMLINK", destination="/x"), 400, "UnsupportedOperationException"),
        (web.ask("PUT", directory, "CREATESNAPSHOT"), 403, "SnapshotException"),
    ]
    for reply, status, name in cases:
        assert (reply.status_code, exception(reply)) == (status, name)
    bogus = cases[2][0].json()["RemoteException"]["message"]
    assert bogus == 'Invalid value for webhdfs parameter "op": BOGUS is not a valid PUT operation.'
    # The namenode sends on; the datanode finds the file.
    exists = web.send("PUT", f"{directory}/f", "CREATE", b"y")
    assert (exists.status_code, exception(exists)) == (403, "FileAlreadyExistsException")
    assert web.read(f"{directory}/f") == b"x"
    web.create(f"{directory}/f", b"y", overwrite="true")
    assert web.read(f"{directory}/f") == b"y"


def test_a_stranger_may_not_what_the_bits_forbid(web, directory):
    web.create(f"{directory}/f", b"secret", permission="600")
    stranger = type(web)(os.environ["NAMENODE_HTTP"], user="nobody-special")
    refused = stranger.ask("GET", f"{directory}/f", "OPEN")
    assert (refused.status_code, exception(refused)) == (403, "AccessControlException")
    # Nor may it go to the datanode directly.
    direct = web.ask("GET", f"{directory}/f", "OPEN").headers["location"].replace("user.name=hdfs", "user.name=nobody-special")
    assert requests.get(direct, timeout=60).status_code == 403
    proxied = web.ask("GET", f"{directory}/f", "GETFILESTATUS", doas="ann")
    assert proxied.status_code == 403


def test_attributes(web, directory):
    path = f"{directory}/f"
    web.create(path, b"x")
    for op, parameters in [
        ("SETPERMISSION", {"permission": "1770"}), ("SETOWNER", {"owner": "ann", "group": "users"}),
        ("SETTIMES", {"modificationtime": 1_234_000, "accesstime": -1}),
        ("SETXATTR", {"xattr_name": "user.a", "xattr_value": "0x6162", "flag": "CREATE"}),
        ("MODIFYACLENTRIES", {"aclspec": "user:bob:r--"}), ("SETSTORAGEPOLICY", {"storagepolicy": "HOT"}),
    ]:
        reply = web.ask("PUT", path, op, **parameters)
        assert (reply.status_code, reply.content) == (200, b""), (op, reply.text)
    assert web.json("PUT", path, "SETREPLICATION", replication=2) == {"boolean": True}
    status = web.json("GET", path, "GETFILESTATUS")["FileStatus"]
    assert (status["owner"], status["group"], status["modificationTime"]) == ("ann", "users", 1_234_000)
    assert status["aclBit"] is True
    assert web.json("GET", path, "GETXATTRS", encoding="HEX") == {"XAttrs": [{"name": "user.a", "value": "0x6162"}]}
    assert json.loads(web.json("GET", path, "LISTXATTRS")["XAttrNames"]) == ["user.a"]
    acl = web.json("GET", path, "GETACLSTATUS")["AclStatus"]
    assert "user:bob:r--" in acl["entries"]
    assert web.json("GET", path, "GETSTORAGEPOLICY")["BlockStoragePolicy"]["name"] == "HOT"
    assert web.ask("GET", path, "CHECKACCESS", fsaction="r--").status_code == 200


def test_figures_and_places(web, directory):
    web.create(f"{directory}/f", data(3 << 20), blocksize=1 << 20)
    places = web.json("GET", f"{directory}/f", "GETFILEBLOCKLOCATIONS")["BlockLocations"]["BlockLocation"]
    assert [(place["offset"], place["length"]) for place in places] == [(n << 20, 1 << 20) for n in range(3)]
    assert all(place["hosts"] and place["names"] and place["topologyPaths"] for place in places)
    older = web.json("GET", f"{directory}/f", "GET_BLOCK_LOCATIONS")["LocatedBlocks"]
    assert older["fileLength"] == 3 << 20 and len(older["locatedBlocks"]) == 3
    summary = web.json("GET", directory, "GETCONTENTSUMMARY")["ContentSummary"]
    assert (summary["fileCount"], summary["length"], summary["quota"]) == (1, 3 << 20, -1)
    assert web.json("GET", directory, "GETQUOTAUSAGE")["QuotaUsage"]["fileAndDirectoryCount"] == 2
    status = web.json("GET", "/", "GETSTATUS")["FsStatus"]
    assert status["capacity"] > status["remaining"] > 0
    assert web.json("GET", "/", "GETSERVERDEFAULTS")["FsServerDefaults"]["checksumType"] == 2
    assert web.json("GET", "/", "GETHOMEDIRECTORY") == {"Path": "/user/hdfs"}
    assert web.json("GET", "/", "GETDELEGATIONTOKEN") == {"Token": None}


def test_checksums_are_apaches(web, directory):
    def checksum(path, **parameters):
        reply = web.send("GET", path, "GETFILECHECKSUM", None, **parameters)
        assert reply.status_code == 200, reply.text
        return reply.json()["FileChecksum"]

    web.create(f"{directory}/small", b"hello\n")
    assert checksum(f"{directory}/small") == {
        "algorithm": "MD5-of-0MD5-of-512CRC32C",
        "bytes": "0000020000000000000000002b559725e23eb93541b0675b41e25ab300000000",
        "length": 28,
    }
    web.create(f"{directory}/blocks", data(3 << 20), blocksize=1 << 20)
    assert checksum(f"{directory}/blocks")["algorithm"] == "MD5-of-2048MD5-of-512CRC32C"
    # However a file is cut into blocks, the composite is the same.
    web.create(f"{directory}/whole", data(3 << 20))
    composite = [checksum(f"{directory}/{name}", combinemode="COMPOSITE_CRC") for name in ("blocks", "whole")]
    assert composite[0] == composite[1] and composite[0]["algorithm"] == "COMPOSITE-CRC32C"


def test_hdfscli_does_everything_it_offers(directory, web):
    client = hdfs.InsecureClient(f"http://{os.environ['NAMENODE_HTTP']}", user="hdfs", root=directory)
    body = data(2_500_000)
    client.makedirs("d", permission="755")
    client.write("d/f", body, blocksize=1 << 20)
    with client.read("d/f") as reader:
        assert reader.read() == body
    with client.read("d/f", offset=1_000_000, length=1000) as reader:
        assert reader.read() == body[1_000_000:1_001_000]
    client.write("d/f", b"more", append=True)
    assert client.status("d/f")["length"] == len(body) + 4
    client.write("d/g", data=(str(n).encode() for n in range(100)), overwrite=True)
    assert client.list("d") == ["f", "g"]
    assert client.content("d")["fileCount"] == 2
    assert client.checksum("d/f")["algorithm"].startswith("MD5-of-")
    client.rename("d/g", "d/h")
    client.set_permission("d/h", "600")
    client.set_replication("d/h", 1)
    client.set_times("d/h", modification_time=5000)
    assert client.acl_status("d/h")["owner"] == "hdfs"
    assert [path for path, _, _ in client.walk("")][1].endswith("/d")
    assert client.delete("d", recursive=True) and not client.status("d", strict=False)


def test_fsspec_does_everything_it_offers(directory):
    host, port = os.environ["NAMENODE_HTTP"].split(":")
    files = fsspec.filesystem("webhdfs", host=host, port=int(port), user="hdfs")
    body = data(12_000_000)
    with files.open(f"{directory}/d/f", "wb", block_size=5 * 2**20) as writer:
        writer.write(body)
    with files.open(f"{directory}/d/f", "rb") as reader:
        reader.seek(7_000_000)
        assert reader.read(1000) == body[7_000_000:7_001_000]
    assert hashlib.md5(files.cat(f"{directory}/d/f")).digest() == hashlib.md5(body).digest()
    assert files.ls(f"{directory}/d", detail=False) == [f"{directory}/d/f"]
    assert files.info(f"{directory}/d/f")["size"] == len(body)
    assert files.content_summary(f"{directory}/d")["fileCount"] == 1
    assert files.ukey(f"{directory}/d/f")["algorithm"].startswith("MD5-of-")
    files.chmod(f"{directory}/d/f", "600")
    files.mv(f"{directory}/d/f", f"{directory}/d/g")
    assert files.exists(f"{directory}/d/g") and not files.exists(f"{directory}/d/f")
    files.rm(f"{directory}/d", recursive=True)
    assert not files.exists(f"{directory}/d")


def test_under_tls_a_client_is_sent_to_https_only(web, directory):
    web.create(f"{directory}/f", b"sealed on its way")
    url = f"https://{os.environ['NAMENODE_HTTPS']}/webhdfs/v1{directory}/f"
    reply = requests.get(url, params={"op": "OPEN", "user.name": "hdfs"}, verify=os.environ["CA_FILE"], timeout=60)
    assert reply.content == b"sealed on its way"
    assert reply.url.startswith("https://") and reply.history[0].status_code == 307


def test_keys_and_tokens_that_open_nothing(web, directory):
    base = f"http://{os.environ['NAMENODE_HTTP']}/webhdfs/v1{directory}"
    for options in ({"auth": ("nobody", "secret")}, {"params": {"delegation": "AAAAAA"}}):
        params = {"op": "LISTSTATUS", **options.pop("params", {})}
        refused = requests.get(base, params=params, timeout=60, **options)
        assert (refused.status_code, exception(refused)) == (401, "SecurityException")


def test_a_token_is_renewed_by_its_renewer_and_cancelled():
    root = json.loads(Path(os.environ["ROOT_CREDENTIALS"]).read_text())
    environment = {**os.environ, "GRANARY_ROOT_ACCESS_KEY": root["access_key"], "GRANARY_ROOT_SECRET_KEY": root["secret_key"]}
    key = ("TOKENTESTKEY", "a-secret-for-tests-of-tokens-only")
    argv = [os.environ["GRANARY"], "admin", "--endpoint", f"https://{os.environ['S3']}", "--ca-file", os.environ["CA_FILE"]]
    argv += ["user", "add", "tokens", "--access-key", key[0], "--secret-key", key[1]]
    added = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120)
    assert added.returncode == 0, added.stderr
    base = f"http://{os.environ['NAMENODE_HTTP']}/webhdfs/v1"

    def ask(method, path, op, **parameters):
        return requests.request(method, base + path, params={"op": op, **parameters}, timeout=60)

    asked = {"op": "GETDELEGATIONTOKEN", "renewer": "yarn"}
    token = requests.get(base + "/", params=asked, auth=key, timeout=60).json()["Token"]["urlString"]
    renewed = ask("PUT", "/", "RENEWDELEGATIONTOKEN", token=token, **{"user.name": "yarn"})
    assert renewed.status_code == 200 and renewed.json()["long"] > time.time() * 1000
    refused = ask("PUT", "/", "RENEWDELEGATIONTOKEN", token=token, **{"user.name": "somebody"})
    assert (refused.status_code, exception(refused)) == (403, "AccessControlException")
    assert ask("GET", "/", "GETHOMEDIRECTORY", delegation=token).json() == {"Path": "/user/tokens"}
    assert ask("PUT", "/", "CANCELDELEGATIONTOKEN", token=token, **{"user.name": "yarn"}).status_code == 200
    deadline = time.monotonic() + 60
    while ask("GET", "/", "GETHOMEDIRECTORY", delegation=token).status_code != 401:
        assert time.monotonic() < deadline, "a cancelled token goes on counting"
