"""Word count, sort, a job over one small object and Streaming, against Spark and against a shell pipeline, on this machine."""

import hashlib
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

from store import Failed, Server
from work import Jobs, dice_of, open_folder, put, seconds_since

HERE = pathlib.Path(__file__).resolve().parent
OBJECTS = 12
# The words of a text are drawn from so many.
WORDS = 100_000
RECORD_FILES, RECORDS_AT_ONCE = 8, 1_000
SPARK = "spark_figures.py"


def arguments(parser):
    parser.add_argument("--mib", type=int, default=1000, help="of text, and of records to sort")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--without-spark", action="store_true")
    parser.add_argument("--require", action="store_true", help="fail unless the ratios are what is promised")
    parser.add_argument("--folder", type=pathlib.Path, help="where all data is (default: the system's temporary directory)")


def run(options):
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", flush=True)
    with open_folder() as folder:
        if options.folder:
            folder = options.folder / folder.name
            folder.mkdir(mode=0o755)
        try:
            figures = measured(options, folder)
        finally:
            if options.folder:
                shutil.rmtree(folder, ignore_errors=True)
    complaints = []
    print(f"{'seconds':28} {'granary':>9} {'other':>9} {'ratio':>7} {'promised':>9}")
    for name, (ours, other, promised) in figures.items():
        ratio = ours / other if other else None
        kept = promised is None or (ours if ratio is None else ratio) <= promised
        print(
            f"{name:28} {ours:9.2f} {f'{other:9.2f}' if other else '':>9} {f'{ratio:7.3f}' if ratio else '':>7} "
            f"{promised if promised is not None else '':>9}"
        )
        if options.require and not kept:
            complaints.append(f"{name}: {ours:.2f} s")
    print(f"load after: {os.getloadavg()[0]:.1f}")
    return complaints


def measured(options, folder):
    files = texts(options, folder)
    with Server([folder / "data"], slots=options.slots) as server:
        jobs, s3 = Jobs(server), server.client()
        for bucket in ("inp", "outp"):
            s3.create_bucket(bucket)
        for file in files:
            put(s3, "inp", f"text/{file.name}", file.read_bytes())
        put(s3, "inp", "small", b"one small object\n")
        for file in records(options, folder):
            put(s3, "inp", f"records/{file.name}", file.read_bytes())
        mapper, reducer = compiled(folder)
        streaming = ["-mapper", "./map", "-reducer", "./reduce", "-files", f"{mapper}#map,{reducer}#reduce"]
        works = {
            "word count": ["wordcount", "-input", "s3://inp/text"],
            "sort of records": ["sort", "-input", "s3://inp/records", "-numReduceTasks", 2],
            "one small object": ["wordcount", "-input", "s3://inp/small"],
            "streaming word count": [*streaming, "-input", "s3://inp/text"],
        }
        ours = {}
        for name, words in works.items():
            rounds = range(options.rounds)
            output = name.replace(" ", "-")
            ours[name] = statistics.median(timed(jobs, [*words, "-output", f"s3://outp/{output}-{turn}"]) for turn in rounds)
    others = {name: None for name in ours}
    others["streaming word count"] = statistics.median(pipeline(folder, files, mapper, reducer) for _ in range(options.rounds))
    if not options.without_spark:
        session, *spark = in_spark(folder)
        print(f"an empty Spark session: {session:.1f} s, not counted below", flush=True)
        others["word count"], others["sort of records"] = spark
    promised = {"word count": 0.1, "sort of records": 0.2, "one small object": 0.5, "streaming word count": 1.0}
    return {name: (ours[name], others[name], promised[name]) for name in ours}


def timed(jobs, words):
    """Wall time of the command, from its start to its end."""
    began = time.monotonic()
    jobs.command("run", *words, timeout=24 * 3600)
    return seconds_since(began)


def texts(options, folder):
    """Twelve files of mixed sizes, of words that come as often as words do (Zipf)."""
    dice, made = dice_of(options.seed), []
    words = [hashlib.md5(str(number).encode()).hexdigest()[: 3 + number % 8] for number in range(WORDS)]
    weights = [1 / (rank + 1) for rank in range(WORDS)]
    drawn = dice.choices(words, weights, k=200_000)
    (folder / "text").mkdir()
    shares = [1 + number % 4 for number in range(OBJECTS)]
    for number, share in enumerate(shares):
        file, wanted = folder / "text" / f"{number:02}.txt", (options.mib << 20) * share // sum(shares)
        with file.open("w") as out:
            while (written := out.tell()) < wanted:
                at = dice.randrange(len(drawn) - 12_000)
                lines = [" ".join(drawn[begin : begin + 12]) for begin in range(at, at + 12_000, 12)]
                out.write("\n".join(lines)[: wanted - written - 1] + "\n")
        made.append(file)
    return made


def records(options, folder):
    """Files of lines of 100 bytes, in no order."""
    dice, made = dice_of(options.seed, "records"), []
    (folder / "records").mkdir()
    for number in range(RECORD_FILES):
        file = folder / "records" / f"{number:02}.txt"
        with file.open("w") as out:
            for _ in range((options.mib << 20) // 100 // RECORD_FILES // RECORDS_AT_ONCE):
                digits = dice.randbytes(RECORDS_AT_ONCE * 99 // 2).hex()
                out.write("".join(f"{digits[at : at + 99]}\n" for at in range(0, len(digits), 99)))
        made.append(file)
    return made


def compiled(folder):
    """The mapper and the reducer, in C."""
    made = []
    for name in ("map", "reduce"):
        out = folder / name
        subprocess.run(["gcc", "-O2", "-o", out, HERE / f"words_{name}.c"], check=True)
        made.append(out)
    return made


def pipeline(folder, files, mapper, reducer):
    """The same programs in a shell, with `sort` between them."""
    began = time.monotonic()
    script = f"cat {' '.join(map(str, files))} | {mapper} | LC_ALL=C sort | {reducer} > {folder}/counted"
    subprocess.run(["bash", "-o", "pipefail", "-c", script], check=True)
    return seconds_since(began)


def in_spark(folder):
    """Seconds of an empty session, of word count and of sort under Spark local[2], from local files to local files."""
    sys.path.append(str(HERE.parent / "hadoop"))
    import install

    python, _ = install.python()
    argv = [str(python), str(HERE / SPARK), str(folder / "text"), str(folder / "records"), str(folder / "spark")]
    environment = {**os.environ, "PYSPARK_PYTHON": str(python), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=24 * 3600, env=environment, cwd=folder)
    if done.returncode != 0:
        raise Failed(f"Spark did not run to its end:\n{done.stderr[-4000:]}")
    return [float(word) for word in done.stdout.split()[-3:]]
