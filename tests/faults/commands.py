"""The command line of a folder of runs: a subcommand a module, which has `arguments(parser)` and `run(options)`."""

import argparse
import importlib
import sys


def main(program, description, modules):
    """Runs the module that the first argument names. What it complains of is printed and fails the process."""
    parser = argparse.ArgumentParser(prog=program, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    loaded = {}
    for command, module in modules.items():
        loaded[command] = importlib.import_module(module)
        sub = commands.add_parser(command, help=(loaded[command].__doc__ or "").strip().splitlines()[0])
        sub.add_argument("--seed", type=int, default=1, help="chooses victims, moments and contents")
        loaded[command].arguments(sub)
    options = parser.parse_args()
    complaints = loaded[options.command].run(options)
    for complaint in complaints[:50]:
        print(complaint, file=sys.stderr)
    sys.exit(1 if complaints else 0)
