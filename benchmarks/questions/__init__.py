"""The questions, one a module: `measure(session) -> rows`. QUESTIONS names them in the order of a
run, the short ones first.
"""

from collections.abc import Callable

from benchmarks.questions import (
    attacks,
    carlini_wagner,
    floor,
    growth,
    input_pipeline,
    latency,
    startup,
    training,
)
from benchmarks.rows import Row
from benchmarks.session import Session

QUESTIONS: dict[str, Callable[[Session], list[Row]]] = {
    "floor": floor.measure,
    "startup": startup.measure,
    "latency": latency.measure,
    "input_pipeline": input_pipeline.measure,
    "attacks": attacks.measure,
    "training": training.measure,
    "growth": growth.measure,
    "carlini_wagner": carlini_wagner.measure,
}
