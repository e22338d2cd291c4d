"""Faults on purpose. Each command starts stores of its own, prints one line of figures, and fails if a promise was broken.

    tests/faults/run kill --cycles 100
    tests/faults/run --help
"""

import commands

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


if __name__ == "__main__":
    commands.main("tests/faults/run", __doc__, COMMANDS)
