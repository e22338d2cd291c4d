"""Is a history of one key linearizable? The algorithm of Wing and Gong with Lowe's memory of what was tried.

A history is what clients saw: each operation with the moments it began and ended. It is linearizable when every operation can
be given a moment between the two at which it took effect at once, such that all results come out. An operation whose fate is
not known has no end, and may also never have taken effect.
"""

import dataclasses
import math

READ, WRITE, CREATE = "read", "write", "create"


@dataclasses.dataclass(frozen=True)
class Operation:
    """`value`: what was read or written; None is absence, so that writing None deletes. `succeeded`: of a create, whether it
    was done (False: refused because something was there); None where the fate is not known."""

    kind: str
    value: object
    began: float
    ended: float = math.inf
    succeeded: object = True


def step(operation, state):
    """Whether the operation may take effect in this state, and the state after it."""
    if operation.kind == READ:
        return state == operation.value, state
    if operation.kind == WRITE:
        return True, operation.value
    if operation.succeeded is False:
        return state is not None, state
    return state is None, operation.value


def is_linearizable(history, initial=None):
    """Whether some order of the operations explains every result."""
    # A read that ended without an answer, and a create of unknown fate that found something, explain themselves.
    operations = sorted((o for o in history if not (o.kind == READ and o.ended == math.inf)), key=lambda o: o.began)
    must = sum(1 << at for at, o in enumerate(operations) if o.ended != math.inf)
    tried, waiting = set(), [(0, initial)]
    while waiting:
        done, state = waiting.pop()
        if done & must == must:
            return True
        if (done, state) in tried:
            continue
        tried.add((done, state))
        # Nothing takes effect before something else that had ended when it began.
        first_end = min((o.ended for at, o in enumerate(operations) if not done >> at & 1), default=math.inf)
        for at, operation in enumerate(operations):
            if operation.began > first_end:
                break
            if not done >> at & 1:
                possible, after = step(operation, state)
                if possible:
                    waiting.append((done | 1 << at, after))
    return False
