"""s3fs (fsspec): what pandas, dask and friends use. Files, appends in parts, globs, moves, caches, folders."""

import urllib.request

import s3fs

import store

fs = s3fs.S3FileSystem(
    key=store.ACCESS_KEY, secret=store.SECRET_KEY, endpoint_url=store.ENDPOINT,
    client_kwargs={"region_name": store.REGION},
)
ROOT = f"{store.BUCKET}/s3fs"
DATA = bytes(range(251)) * 60_000  # 15 MB in 5 MiB blocks

with fs.open(f"{ROOT}/big.bin", "wb", block_size=5 << 20) as file:
    for at in range(0, len(DATA), 1_234_567):
        file.write(DATA[at:at + 1_234_567])
assert fs.info(f"{ROOT}/big.bin")["size"] == len(DATA)
with fs.open(f"{ROOT}/big.bin", "rb", block_size=1 << 20) as file:
    file.seek(7_000_000)
    assert file.read(100_000) == DATA[7_000_000:7_100_000]
assert fs.cat_file(f"{ROOT}/big.bin", start=-5) == DATA[-5:]

fs.pipe({f"{ROOT}/tree/{a}/{b}.txt": f"{a}{b}".encode() for a in "xyz" for b in "123"})
assert sorted(fs.glob(f"{ROOT}/tree/*/2.txt")) == [f"{ROOT}/tree/{a}/2.txt" for a in "xyz"]
assert fs.cat(fs.find(f"{ROOT}/tree"))[f"{ROOT}/tree/y/3.txt"] == b"y3"
assert len(fs.find(f"{ROOT}/tree")) == 9 and fs.isdir(f"{ROOT}/tree/x") and not fs.exists(f"{ROOT}/tree/w")
fs.copy(f"{ROOT}/tree/x", f"{ROOT}/moved", recursive=True)
fs.rm(f"{ROOT}/tree/x", recursive=True)
fs.mv(f"{ROOT}/moved/2.txt", f"{ROOT}/moved/4.txt")
assert {f: fs.cat_file(f) for f in fs.find(f"{ROOT}/moved")} == {
    f"{ROOT}/moved/{new}.txt": f"x{old}".encode() for new, old in (("1", "1"), ("3", "3"), ("4", "2"))}
assert not fs.exists(f"{ROOT}/tree/x/1.txt")
fs.copy(f"{ROOT}/big.bin", f"{ROOT}/copy of big.bin")
assert fs.checksum(f"{ROOT}/big.bin") and fs.cat_file(f"{ROOT}/copy of big.bin") == DATA
with fs.open(f"{ROOT}/tree/y/1.txt", "ab") as file:
    file.write(b" and more")
fs.invalidate_cache()
assert fs.cat_file(f"{ROOT}/tree/y/1.txt") == b"y1 and more"
fs.setxattr(f"{ROOT}/tree/y/2.txt", colour="blue")
assert fs.getxattr(f"{ROOT}/tree/y/2.txt", "colour") == "blue"
url = fs.sign(f"{ROOT}/tree/y/3.txt", expiration=60)
assert urllib.request.urlopen(url).read() == b"y3"
fs.rm(ROOT, recursive=True)
fs.invalidate_cache()
assert not fs.exists(ROOT) and fs.find(ROOT) == []
