"""pyarrow's S3 file system (the C++ SDK): streams, partitioned datasets, copies, moves and folders."""

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

import store

s3 = store.arrow_filesystem()
ROOT = f"{store.BUCKET}/arrow"
DATA = bytes(range(256)) * 50_000  # 12.8 MB: several parts of the stream's 10 MB buffer

with s3.open_output_stream(f"{ROOT}/stream.bin", metadata={"Content-Type": "application/x-arrow"}) as out:
    for at in range(0, len(DATA), 700_001):
        out.write(DATA[at:at + 700_001])
with s3.open_input_file(f"{ROOT}/stream.bin") as file:
    assert file.size() == len(DATA)
    file.seek(10_000_000)
    assert file.read(1000) == DATA[10_000_000:10_001_000]
    file.seek(0)
    assert file.readall() == DATA
with s3.open_input_stream(f"{ROOT}/stream.bin") as stream:
    assert stream.metadata()["Content-Type"] == b"application/x-arrow"

table = pa.table({"year": [2024, 2025, 2026] * 1000, "n": list(range(3000))})
ds.write_dataset(table, f"{ROOT}/dataset", filesystem=s3, format="parquet", partitioning=["year"], partitioning_flavor="hive")
read = ds.dataset(f"{ROOT}/dataset", filesystem=s3, format="parquet", partitioning="hive")
assert read.count_rows() == 3000
assert sorted(read.to_table(filter=ds.field("year") == 2025)["n"].to_pylist()) == list(range(1, 3000, 3))
ds.write_dataset(table.slice(0, 30), f"{ROOT}/dataset", filesystem=s3, format="parquet", partitioning=["year"],
                 partitioning_flavor="hive", existing_data_behavior="delete_matching")
assert ds.dataset(f"{ROOT}/dataset", filesystem=s3, partitioning="hive").count_rows() == 30

pq.write_table(table, f"{ROOT}/a b+c/ü.parquet", filesystem=s3)
s3.copy_file(f"{ROOT}/a b+c/ü.parquet", f"{ROOT}/copied.parquet")
s3.move(f"{ROOT}/copied.parquet", f"{ROOT}/moved.parquet")
assert pq.read_table(f"{ROOT}/moved.parquet", filesystem=s3).equals(table)
kinds = {i.path.rsplit("/", 1)[1]: i.type for i in s3.get_file_info(fs.FileSelector(ROOT))}
assert kinds == {
    "stream.bin": fs.FileType.File, "moved.parquet": fs.FileType.File,
    "dataset": fs.FileType.Directory, "a b+c": fs.FileType.Directory,
}, kinds
assert s3.get_file_info(f"{ROOT}/none").type == fs.FileType.NotFound

s3.create_dir(f"{ROOT}/empty/inner", recursive=True)
assert s3.get_file_info(f"{ROOT}/empty/inner").type == fs.FileType.Directory
s3.delete_dir_contents(ROOT)
assert s3.get_file_info(fs.FileSelector(ROOT, recursive=True, allow_not_found=True)) == []
