"""The checker itself: it accepts histories that are right, and refuses each way of being wrong."""

import itertools
import random
import unittest

from linearizability import CREATE, READ, WRITE, Operation, is_linearizable, step


def read(value, began, ended):
    return Operation(READ, value, began, ended)


def write(value, began, ended=float("inf")):
    return Operation(WRITE, value, began, ended)


def create(value, began, ended, succeeded=True):
    return Operation(CREATE, value, began, ended, succeeded)


class Right(unittest.TestCase):
    def test_one_after_the_other(self):
        self.assertTrue(is_linearizable([write(1, 0, 1), read(1, 2, 3), write(None, 4, 5), read(None, 6, 7)]))

    def test_during_a_write_both_are_seen(self):
        self.assertTrue(is_linearizable([write(1, 0, 1), write(2, 2, 9), read(1, 3, 4), read(2, 5, 6)]))

    def test_a_write_of_unknown_fate_may_take_effect_late_or_never(self):
        self.assertTrue(is_linearizable([write(1, 0, 1), write(2, 2), read(1, 3, 4), read(2, 5, 6)]))
        self.assertTrue(is_linearizable([write(1, 0, 1), write(2, 2), read(1, 3, 4), write(3, 5, 6), read(3, 7, 8)]))

    def test_of_two_creates_one_succeeds(self):
        self.assertTrue(is_linearizable([create(1, 0, 5), create(2, 1, 4, succeeded=False), read(1, 6, 7)]))

    def test_what_a_register_does_is_accepted(self):
        dice = random.Random(7)
        for _ in range(200):
            self.assertTrue(is_linearizable(simulated(dice)))


class Wrong(unittest.TestCase):
    def test_a_stale_read(self):
        self.assertFalse(is_linearizable([write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)]))

    def test_a_lost_write(self):
        self.assertFalse(is_linearizable([write(1, 0, 1), read(None, 2, 3)]))

    def test_a_value_nobody_wrote(self):
        self.assertFalse(is_linearizable([write(1, 0, 1), read(9, 2, 3)]))

    def test_reads_that_go_back(self):
        self.assertFalse(is_linearizable([write(1, 0, 1), write(2, 2, 9), read(2, 3, 4), read(1, 5, 6)]))

    def test_a_delete_that_is_undone(self):
        self.assertFalse(is_linearizable([write(1, 0, 1), write(None, 2, 3), read(1, 4, 5)]))

    def test_two_creates_that_both_succeed(self):
        self.assertFalse(is_linearizable([create(1, 0, 5), create(2, 1, 4)]))

    def test_a_create_that_overwrites(self):
        self.assertFalse(is_linearizable([write(1, 0, 1), create(2, 2, 3), read(2, 4, 5)]))

    def test_a_write_of_unknown_fate_that_comes_and_goes(self):
        history = [write(1, 0, 1), write(2, 2), read(2, 3, 4), read(1, 5, 6)]
        self.assertFalse(is_linearizable(history))

    def test_every_wrong_answer_in_a_right_history_is_found(self):
        """As an exhaustive search of all orders finds it."""
        dice = random.Random(11)
        wrong = 0
        for _ in range(300):
            history = simulated(dice, 5)
            reads = [at for at, o in enumerate(history) if o.kind == READ]
            if not reads:
                continue
            at = dice.choice(reads)
            history[at] = read(dice.randrange(6), history[at].began, history[at].ended)
            expected = exhaustive(history)
            wrong += not expected
            self.assertEqual(is_linearizable(history), expected, history)
        self.assertGreater(wrong, 50)


def simulated(dice, count=12):
    """What clients of a real register see: each operation takes effect somewhere between its ends."""
    moments = sorted((dice.random() * 20, at) for at in range(count))
    state, history = None, []
    for moment, at in moments:
        began, ended = moment - dice.random() * 3, moment + dice.random() * 3
        kind = dice.choice([READ, READ, WRITE, CREATE])
        if kind == READ:
            history.append(read(state, began, ended))
        elif kind == WRITE:
            state = dice.choice([None, at])
            history.append(write(state, began, ended))
        else:
            succeeded = state is None
            history.append(create(at, began, ended, succeeded))
            state = at if succeeded else state
    return history


def exhaustive(history):
    for order in itertools.permutations(history):
        if any(later.ended < earlier.began for at, earlier in enumerate(order) for later in order[at + 1 :]):
            continue
        state, good = None, True
        for operation in order:
            possible, state = step(operation, state)
            if not possible:
                good = False
                break
        if good:
            return True
    return False


if __name__ == "__main__":
    unittest.main()
