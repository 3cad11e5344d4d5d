"""Initial weights from a seed, without a trace in the program around.

Keras draws the seeds of its initializers from Python's `random`, for every layer that is made, one
that is loaded or copied too. These seeds alone decide on the weights: NumPy's and TensorFlow's
generators have no part in it.
"""

import contextlib
import logging
import random
from collections.abc import Iterator


@contextlib.contextmanager
def process_as_found() -> Iterator[None]:
    """What is drawn from Python's `random` within is undone at the end. Also a decorator.

    So is the handler that absl gives to a root logger without one, with its first message.
    """
    drawn, silent = random.getstate(), not logging.root.handlers
    try:
        yield
    finally:
        random.setstate(drawn)
        for handler in list(logging.root.handlers) if silent else []:
            logging.root.removeHandler(handler)


@contextlib.contextmanager
def initial_weights(seed: int) -> Iterator[None]:
    """The weights of Keras layers that are made within follow from `seed`; `process_as_found`."""
    with process_as_found():
        random.seed(seed)
        yield
