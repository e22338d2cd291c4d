"""Polars: Parquet and CSV written and scanned, hive partitions, a predicate that reads parts of a file only."""

import polars as pl

import store

OPTIONS = store.object_store_options()
ROOT = f"s3://{store.BUCKET}/polars"
ROWS = 200_000

frame = pl.DataFrame({"id": range(ROWS)}).with_columns(
    group=pl.col("id") % 7, text=pl.lit("värde ") + pl.col("id").cast(pl.String),
)
frame.write_parquet(f"{ROOT}/one.parquet", storage_options=OPTIONS, row_group_size=20_000)
scanned = pl.scan_parquet(f"{ROOT}/one.parquet", storage_options=OPTIONS)
assert scanned.collect().equals(frame)
assert scanned.filter(pl.col("id").is_between(123_456, 123_460)).select("text").collect()["text"].to_list() == [
    f"värde {n}" for n in range(123_456, 123_461)]

# Streamed out, in several parts.
frame.lazy().sink_parquet(f"{ROOT}/streamed.parquet", storage_options=OPTIONS, compression="uncompressed")
assert pl.read_parquet(f"{ROOT}/streamed.parquet", storage_options=OPTIONS).equals(frame)

for group in range(7):
    part = frame.filter(pl.col("group") == group).drop("group")
    part.write_parquet(f"{ROOT}/hive/group={group}/part.parquet", storage_options=OPTIONS)
hive = pl.scan_parquet(f"{ROOT}/hive/**/*.parquet", storage_options=OPTIONS, hive_partitioning=True)
sums = dict(hive.group_by("group").agg(pl.col("id").sum()).collect().iter_rows())
assert sums == {g: sum(range(g, ROWS, 7)) for g in range(7)}, sums

frame.head(5000).lazy().sink_csv(f"{ROOT}/rows.csv", storage_options=OPTIONS)
assert pl.scan_csv(f"{ROOT}/rows.csv", storage_options=OPTIONS).collect().equals(frame.head(5000))

try:
    pl.scan_parquet(f"{ROOT}/none.parquet", storage_options=OPTIONS).collect()
except Exception as error:  # what it raises depends on the version; that it raises does not
    assert "none.parquet" in str(error) or "NoSuchKey" in str(error) or "404" in str(error), error
else:
    raise AssertionError("a missing file was read")
