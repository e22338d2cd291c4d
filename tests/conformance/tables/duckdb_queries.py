"""DuckDB with httpfs: Parquet, CSV and hive partitions written with COPY and queried back, and a glob."""

from pathlib import Path

import duckdb
import duckdb_extension_httpfs

import store

ROOT = f"s3://{store.BUCKET}/duckdb"
ROWS = 300_000


def connect():
    db = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    package = Path(duckdb_extension_httpfs.__file__).parent
    [extension] = package.glob(f"extensions/v{duckdb.__version__}/httpfs.duckdb_extension")
    db.execute(f"LOAD '{extension}'")
    host = store.ENDPOINT.split("://", 1)[1]
    db.execute(f"""
        CREATE SECRET (TYPE s3, KEY_ID '{store.ACCESS_KEY}', SECRET '{store.SECRET_KEY}', REGION '{store.REGION}',
                       ENDPOINT '{host}', URL_STYLE 'path', USE_SSL false)""")
    return db


def run(db):
    def one(sql):
        return db.execute(sql).fetchone()

    db.execute(f"CREATE TABLE t AS SELECT range AS id, range % 5 AS bucket, 'r ' || range AS text FROM range({ROWS})")
    db.execute(f"COPY t TO '{ROOT}/t.parquet' (FORMAT parquet, ROW_GROUP_SIZE 20000)")
    wanted = (ROWS, ROWS * (ROWS - 1) // 2)
    assert one(f"SELECT count(*), sum(id) FROM '{ROOT}/t.parquet'") == wanted
    assert one(f"SELECT text FROM '{ROOT}/t.parquet' WHERE id = 271828") == ("r 271828",)
    db.execute(f"COPY t TO '{ROOT}/hive' (FORMAT parquet, PARTITION_BY (bucket))")
    assert one(f"SELECT count(*), sum(id) FROM read_parquet('{ROOT}/hive/**/*.parquet', hive_partitioning = true)") == wanted
    assert one(f"SELECT count(*) FROM read_parquet('{ROOT}/hive/*/*.parquet', hive_partitioning = true) WHERE bucket = 3") == (ROWS // 5,)
    # 20 MB of text goes up as a multipart upload.
    db.execute(f"COPY (SELECT id, text, repeat('x', 60) AS pad FROM t) TO '{ROOT}/t.csv' (HEADER)")
    assert one(f"SELECT count(*), sum(id) FROM read_csv('{ROOT}/t.csv')") == wanted
    files = [f for (f,) in db.execute(f"SELECT file FROM glob('{ROOT}/**')").fetchall()]
    assert len(files) >= 7 and f"{ROOT}/t.csv" in files, files
    try:
        one(f"SELECT * FROM '{ROOT}/none.parquet'")
    except duckdb.Error as error:
        assert "404" in str(error) or "No files found" in str(error), error
    else:
        raise AssertionError("a missing file was read")


run(connect())
