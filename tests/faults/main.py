"""Faults on purpose. Each command starts stores of its own, prints one line of figures, and fails if a promise was broken.

    tests/faults/run kill --cycles 100
    tests/faults/run --help
"""

import argparse
import importlib
import sys

COMMANDS = {
    "kill": "kill",
    "power-cut": "power_cut",
    "bit-flips": "bit_flips",
    "disk": "disk",
    "node-loss": "node_loss",
    "replace": "replace",
    "histories": "histories",
    "ageing": "ageing",
}


def main():
    parser = argparse.ArgumentParser(prog="tests/faults/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
