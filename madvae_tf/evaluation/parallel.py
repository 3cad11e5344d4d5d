"""Batches side by side: while one waits for its small operations, another one has the cores."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import tensorflow as tf

Item = TypeVar("Item")
Result = TypeVar("Result")


def at_once() -> int:
    """How many batches share the cores; a GPU's memory is not shared."""
    return 1 if tf.config.list_physical_devices("GPU") else 2


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Generator[Result, None, None]:
    """`function` of each item, up to `workers` at a time in threads; results in the order of the
    items.

    TensorFlow computes outside Python's lock. Where the caller stops, or an item fails, what has
    not begun is left out.
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
