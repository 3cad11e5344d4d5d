"""Batches side by side: what comes back, in which order, and what is left out."""

import threading

import pytest

from madvae_tf.evaluation.parallel import at_once, in_order


def test_in_the_order_of_the_items_however_long_each_takes():
    second_is_done = threading.Event()

    def square(item):
        if item == 0:
            # The first can only end after the second, so they do run side by side.
            assert second_is_done.wait(30)
        if item == 1:
            second_is_done.set()
        return item * item

    assert list(in_order(square, range(7), 2)) == [item * item for item in range(7)]
    assert list(in_order(square, [], 2)) == []


def test_what_fails_ends_it_and_what_has_not_begun_never_does():
    begun = []

    def fail(item):
        begun.append(item)
        if item == 1:
            raise ValueError("one")
        return item

    found = in_order(fail, range(100), 2)
    assert next(found) == 0
    with pytest.raises(ValueError, match="one"):
        next(found)
    assert len(begun) < 6


def test_a_caller_that_stops_waits_for_no_more_than_what_has_begun():
    begun = []
    found = in_order(lambda item: begun.append(item), range(100), 2)
    next(found)
    found.close()
    assert len(begun) < 6
    assert at_once() in (1, 2)
