"""Inputs of every kind: gzip, bzip2, zstd, empty, without a last line end, and a line that is too long."""

import bz2
import gzip
import struct

from store import Server
from work import Jobs, counted, counted_in, dice_of, keys, open_folder, parts, put, text, uploads

# A frame's magic number, its descriptor (a content size of four bytes, one segment), a block's most bytes.
ZSTD_MAGIC, ZSTD_DESCRIPTOR, ZSTD_BLOCK = 0xFD2FB528, 0xA0, 128 << 10


def arguments(parser):
    parser.add_argument("--lines", type=int, default=20_000, help="of each text")
    parser.add_argument("--long-mb", type=int, default=200, help="the line that is too long")
    parser.add_argument("--split-bytes", type=int, default=40_000)


def zstd(content):
    """A frame whose blocks are stored as they are."""
    frame = struct.pack("<IBI", ZSTD_MAGIC, ZSTD_DESCRIPTOR, len(content))
    pieces = [content[at : at + ZSTD_BLOCK] for at in range(0, len(content), ZSTD_BLOCK)] or [b""]
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        frame += (last | len(piece) << 3).to_bytes(3, "little") + piece
    return frame


def run(options):
    dice, complaints = dice_of(options.seed), []
    with open_folder() as folder, Server([folder / "data"]) as server:
        jobs, s3 = Jobs(server), server.client()
        s3.create_bucket("inp")
        s3.create_bucket("outp")
        texts = [text(dice, options.lines) for _ in range(6)]
        bodies = {
            "plain.txt": texts[0].encode(),
            "no-end.txt": texts[1].rstrip("\n").encode(),
            "one.gz": gzip.compress(texts[2].encode()),
            "two.gz": b"".join(gzip.compress(half.encode()) for half in halves(texts[3])),
            "blocks.bz2": bz2.compress(texts[4].encode(), 1),
            "frame.zst": zstd(texts[5].encode()),
            "empty.txt": b"",
            "empty.gz": gzip.compress(b""),
            "empty.bz2": bz2.compress(b""),
            "nothing.gz": b"",
        }
        for name, body in bodies.items():
            put(s3, "inp", f"all/{name}", body)
        for program in ("wordcount", "streaming"):
            complaints += same_words(jobs, s3, program, texts, options)
        complaints += too_long(jobs, s3, options)
        if left := uploads(s3, "outp"):
            complaints.append(f"{left} uploads are left")
    print(f"inputs objects={len(bodies)} words={sum(counted(texts).values())} complaints={len(complaints)}")
    return complaints


def halves(whole):
    middle = whole.index("\n", len(whole) // 2) + 1
    return whole[:middle], whole[middle:]


def same_words(jobs, s3, program, texts, options):
    mapper = ["-mapper", "awk '{ for (i = 1; i <= NF; i++) print \"LongValueSum:\" $i \"\\t\" 1 }'", "-reducer", "aggregate"]
    words = [program] if program == "wordcount" else mapper
    status = jobs.run(
        *words, "-input", "s3://inp/all", "-output", f"s3://outp/{program}", "--split-bytes", options.split_bytes,
        "-numReduceTasks", 2,
    )  # fmt: skip
    if status["state"] != "SUCCEEDED":
        return [f"{program}: {status['state']} {status['reason']}"]
    found, wanted = counted_in(parts(s3, "outp", f"{program}/")), counted(texts)
    if found != wanted:
        return [f"{program}: {len(found)} words instead of {len(wanted)}, or other counts"]
    return []


def too_long(jobs, s3, options):
    """A line beyond the limit fails the job, and says where it is."""
    complaints = []
    put(s3, "inp", "long.txt", b"a line\n" + b"x" * (options.long_mb * 1_000_000) + b"\nanother\n")
    for words in (["sort"], ["wordcount"], ["-mapper", "cat", "-reducer", "NONE"]):
        output = f"long-{words[0].strip('-')}"
        status = jobs.run(*words, "-input", "s3://inp/long.txt", "-output", f"s3://outp/{output}")
        said = status["reason"]
        if status["state"] != "FAILED" or "s3://inp/long.txt" not in said or "byte 7 is longer than" not in said:
            complaints.append(f"a line of {options.long_mb} MB: {status['state']} {said}")
        if keys(s3, "outp", output):
            complaints.append(f"a line of {options.long_mb} MB leaves output")
    return complaints
