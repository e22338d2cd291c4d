"""Jobs through the real service. Each command starts a store of its own, prints one line of figures, and fails if a promise
was broken.

    tests/jobs/run faults --jobs 30
    tests/jobs/run fairness --tasks 10000 --task-seconds 5
    tests/jobs/run sort --mib 8192 --budget-mib 1024
    tests/jobs/run figures --mib 1000
    tests/jobs/run --help
"""

import argparse
import importlib
import pathlib
import sys

# Stores and the S3 client are those of the faults.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "faults"))

COMMANDS = {
    "faults": "job_faults",
    "fairness": "fairness",
    "sandbox": "sandbox",
    "inputs": "inputs",
    "sort": "sorting",
    "figures": "figures",
}


def main():
    parser = argparse.ArgumentParser(prog="tests/jobs/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    modules = {}
    for command, module in COMMANDS.items():
        modules[command] = importlib.import_module(module)
        sub = commands.add_parser(command, help=(modules[command].__doc__ or "").strip().splitlines()[0])
        sub.add_argument("--seed", type=int, default=1, help="chooses victims, moments and contents")
        modules[command].arguments(sub)
    options = parser.parse_args()
    complaints = modules[options.command].run(options)
    for complaint in complaints[:50]:
        print(complaint, file=sys.stderr)
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
