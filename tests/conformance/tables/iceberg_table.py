"""Apache Iceberg by pyiceberg: the catalog in SQLite, metadata and data in the bucket."""

import tempfile
from pathlib import Path

import pyarrow as pa
from pyarrow.fs import FileSelector
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import EqualTo, GreaterThanOrEqual
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import DoubleType, LongType, NestedField, StringType

import store

SCHEMA = Schema(
    NestedField(1, "id", LongType(), required=False),
    NestedField(2, "city", StringType(), required=False),
    NestedField(3, "amount", DoubleType(), required=False),
)
BY_CITY = PartitionSpec(PartitionField(source_id=2, field_id=1000, transform=IdentityTransform(), name="city"))
CITIES = ["Köln", "São Paulo", "a+b c/d%"]  # each becomes part of a key


def rows(first, count):
    ids = range(first, first + count)
    return pa.table({
        "id": pa.array(ids, pa.int64()),
        "city": pa.array([CITIES[i % len(CITIES)] for i in ids], pa.string()),
        "amount": pa.array([i / 2 for i in ids], pa.float64()),
    })


with tempfile.TemporaryDirectory() as folder:
    catalog = SqlCatalog("conformance", **{
        "uri": f"sqlite:///{Path(folder) / 'catalog.db'}",
        "warehouse": f"s3://{store.BUCKET}/iceberg",
        "s3.endpoint": store.ENDPOINT, "s3.region": store.REGION,
        "s3.access-key-id": store.ACCESS_KEY, "s3.secret-access-key": store.SECRET_KEY,
    })
    catalog.create_namespace("shop")
    table = catalog.create_table("shop.orders", SCHEMA, partition_spec=BY_CITY)
    for first in (0, 300, 600):
        table.append(rows(first, 300))
    assert table.scan().to_arrow().num_rows == 900
    assert sorted(table.scan(row_filter=EqualTo("city", CITIES[2])).to_arrow()["id"].to_pylist()) == list(range(2, 900, 3))

    first_snapshot = table.history()[0].snapshot_id
    table.delete(GreaterThanOrEqual("id", 450))
    assert sorted(table.scan().to_arrow()["id"].to_pylist()) == list(range(450))
    assert table.scan(snapshot_id=first_snapshot).to_arrow().num_rows == 300

    with table.update_schema() as update:
        update.add_column("note", StringType())
    table.overwrite(rows(0, 10).append_column("note", pa.array(["n"] * 10)))
    # Read through the catalog anew: everything must come from the bucket.
    again = catalog.load_table("shop.orders")
    assert again.scan().to_arrow()["note"].to_pylist() == ["n"] * 10
    catalog.purge_table("shop.orders")
    left = store.arrow_filesystem().get_file_info(
        FileSelector(f"{store.BUCKET}/iceberg/shop/orders", recursive=True, allow_not_found=True))
    assert not [f.path for f in left if f.is_file and f.path.endswith(".parquet")], left
