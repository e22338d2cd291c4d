"""Transcripts of HdfsScript: reading, normalising, comparing."""

import base64
import json
import re

# Of a usage text that follows an error only the beginning is compared.
LINES_MAX = 60


def read(text):
    """The steps of a report: line, exit code, standard output, standard error."""
    steps = []
    for row in text.splitlines():
        code, out, err, _ms, line = row.split("\t", 4)
        steps.append({"line": line, "code": int(code), "out": _text(out), "err": _text(err)})
    return steps


def _text(encoded):
    return base64.b64decode(encoded).decode("utf-8", "replace")


def normalised(step, folder):
    """A step without what differs from run to run: addresses, times, the local folder, log lines."""
    result = {"line": step["line"].replace(folder, "LOCAL"), "code": step["code"]}
    for stream in ("out", "err"):
        text = step[stream].replace(folder, "LOCAL")
        text = re.sub(r"hdfs://[\w.:-]+", "hdfs://HOST", text)
        text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?", "DATE", text)
        lines = [line.rstrip() for line in text.splitlines() if not re.match(r"(DATE,\d+ |log4j:|SLF4J|\d\d/\d\d/\d\d )", line)]
        if any(line.startswith("Usage: hadoop fs") for line in lines):
            lines = lines[: next(i for i, line in enumerate(lines) if line.startswith("Usage: hadoop fs"))]
        result[stream] = lines[:LINES_MAX]
    return result


def load(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def store(path, steps):
    path.write_text("".join(json.dumps(step, ensure_ascii=False) + "\n" for step in steps))


def justified(path):
    """Lines of the script whose results may differ, each with the reason before it."""
    reasons, reason = {}, ""
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            reason = line[1:].strip()
        elif line.strip():
            reasons[line.strip()] = reason
    return reasons


def differences(expected, found):
    """Steps that differ: (line, expected, found)."""
    lines = [step["line"] for step in expected]
    if lines != [step["line"] for step in found]:
        raise SystemExit("the reference is of another script: run with --reference")
    return [(one["line"], one, other) for one, other in zip(expected, found) if one != other]
