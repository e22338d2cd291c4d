"""Delta Lake: writers in several processes append to one table at once, and no commit is lost.

Each commit is a PUT with If-None-Match of the next log entry: two winners would lose rows, which the counts show.
"""

import multiprocessing
import sys

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

import store

WRITERS, COMMITS, ROWS = 4, 5, 100
TABLE = f"s3://{store.BUCKET}/delta/events"
OPTIONS = store.object_store_options()
ATTEMPTS_MAX = 20


def batch(writer, commit):
    return pa.table({
        "writer": pa.array([writer] * ROWS, pa.int64()),
        "commit": pa.array([commit] * ROWS, pa.int64()),
        "row": pa.array(range(ROWS), pa.int64()),
    })


def write(writer):
    for commit in range(COMMITS):
        for attempt in range(ATTEMPTS_MAX):
            try:
                write_deltalake(TABLE, batch(writer, commit), mode="append", storage_options=OPTIONS)
                break
            except CommitFailedError:
                # The library gives up after some lost races in a row; a lost race has written nothing.
                if attempt == ATTEMPTS_MAX - 1:
                    raise


def concurrent_writers():
    write_deltalake(TABLE, batch(-1, 0), storage_options=OPTIONS)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write, args=(n,)) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [w.exitcode for w in writers] == [0] * WRITERS

    table = DeltaTable(TABLE, storage_options=OPTIONS)
    assert table.version() == WRITERS * COMMITS, table.version()
    rows = table.to_pyarrow_table()
    wanted = {(w, c, r) for w in range(WRITERS) for c in range(COMMITS) for r in range(ROWS)}
    wanted |= {(-1, 0, r) for r in range(ROWS)}
    found = list(zip(*(rows[name].to_pylist() for name in ("writer", "commit", "row"))))
    assert len(found) == len(wanted) and set(found) == wanted
    return table


def change_and_travel(table):
    before = table.version()
    table.delete("writer = 0")
    assert table.to_pyarrow_table().num_rows == ROWS * (1 + (WRITERS - 1) * COMMITS)
    table.create_checkpoint()
    table.optimize.compact()
    assert table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert DeltaTable(TABLE, storage_options=OPTIONS).to_pyarrow_table().num_rows == ROWS * (1 + (WRITERS - 1) * COMMITS)
    assert DeltaTable(TABLE, version=before, storage_options=OPTIONS).version() == before


if __name__ == "__main__":
    change_and_travel(concurrent_writers())
    sys.exit(0)
