"""Jobs through the real service. Each command starts a store of its own, prints one line of figures, and fails if a promise
was broken.

    tests/jobs/run faults --jobs 30
    tests/jobs/run fairness --tasks 10000 --task-seconds 5
    tests/jobs/run sort --mib 8192 --budget-mib 1024
    tests/jobs/run figures --mib 1000
    tests/jobs/run --help
"""

import pathlib
import sys

# Stores and the S3 client are those of the faults.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "faults"))
import commands  # noqa: E402

COMMANDS = {
    "faults": "job_faults",
    "fairness": "fairness",
    "sandbox": "sandbox",
    "inputs": "inputs",
    "sort": "sorting",
    "figures": "figures",
}


if __name__ == "__main__":
    commands.main("tests/jobs/run", __doc__, COMMANDS)
