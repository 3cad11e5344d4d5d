"""Initial weights from a seed, without a trace in the program around.

Keras draws the seeds of its initializers from Python's `random`, for every layer that is made, one
that is loaded or copied too. These seeds alone decide on the weights: NumPy's and TensorFlow's
generators have no part in it.
"""

import contextlib
import logging
import random
from collections.abc import Iterator


def _is_no_retracing(record: logging.LogRecord) -> bool:
    """TensorFlow warns where one function is compiled for several models, as is meant here."""
    return "triggered tf.function retracing" not in record.getMessage()


@contextlib.contextmanager
def process_as_found() -> Iterator[None]:
    """What is drawn from Python's `random` within is undone at the end. Also a decorator.

    So is the handler that absl gives to a root logger without one, with its first message.
    TensorFlow's warnings of retracing do not reach the log within.
    """
    drawn, silent = random.getstate(), not logging.root.handlers
    tensorflow = logging.getLogger("tensorflow")
    outermost = _is_no_retracing not in tensorflow.filters
    tensorflow.addFilter(_is_no_retracing)
    try:
        yield
    finally:
        if outermost:
            tensorflow.removeFilter(_is_no_retracing)
        random.setstate(drawn)
        for handler in list(logging.root.handlers) if silent else []:
            logging.root.removeHandler(handler)


@contextlib.contextmanager
def initial_weights(seed: int) -> Iterator[None]:
    """The weights of Keras layers that are made within follow from `seed`; `process_as_found`."""
    with process_as_found():
        random.seed(seed)
        yield
