"""Where the shards of adversarial sets are made: in this process, or by the workers of an Apache
Beam runner.

    python -m pipeline.run --stage=attack --engine=beam --runner=DirectRunner --workers=4
    python -m pipeline.run --stage=attack --engine=beam --runner=FlinkRunner --beam=flink_master=host:8081 ...

Whichever engine, the shards have the same bytes: a shard depends on its number and the stage's
settings alone. Workers load TensorFlow and the classifier once each and write into the artifact's
folder, which they must see under the same path, or, with
--store=gs://bucket/folder, take the inputs from there and leave the shards there. What an engine is
changes no key, so a set begun by one is finished by another.
"""  # noqa: E501

import contextlib
import contextvars
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from madvae_tf.utils.errors import UserError, unknown_name

ENGINES = ("local", "beam")


class Engine(Protocol):
    """Makes shards."""

    def make(
        self, context: Any, work: Any, shards: list[int], progress: Callable[[int], object]
    ) -> None:
        """Makes the shards of `work`, the `SetWork` of the stage's `context`; tells `progress` of
        images as they are done.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Local:
    """In this process, one after the other."""

    def make(
        self, context: Any, work: Any, shards: list[int], progress: Callable[[int], object]
    ) -> None:
        work.make(shards, progress)


@dataclasses.dataclass(frozen=True)
class Beam:
    """By a Beam runner.

    Attributes:
        runner: DirectRunner (processes on this machine), FlinkRunner, SparkRunner, DataflowRunner,
            ... or a class's full name.
        workers: processes of the DirectRunner; other runners have options of their own.
        options: more of Beam's options, `name=value`.
        store: a folder that `tf.io.gfile` opens, for workers which do not see the workdir; "": they
            do.
    """

    runner: str = "DirectRunner"
    workers: int = 1
    options: tuple[str, ...] = ()
    store: str = ""

    def make(
        self, context: Any, work: Any, shards: list[int], progress: Callable[[int], object]
    ) -> None:
        """See `Engine`; images are counted at the end, since workers do not report.

        Raises:
            UserError: Beam is not installed, or the runner gave up; shards that are done stay.
        """
        from pipeline.steps.beam import run_shards

        if shards:
            run_shards(self, context, shards)
            progress(work.images_in(shards))


_CURRENT: contextvars.ContextVar[Engine] = contextvars.ContextVar("engine")
_LOCAL = Local()


def current() -> Engine:
    """The engine of this run; the local one unless `using` says otherwise."""
    return _CURRENT.get(_LOCAL)


@contextlib.contextmanager
def using(engine: Engine) -> Iterator[None]:
    """`engine` is the current one within."""
    token = _CURRENT.set(engine)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def named(name: str, runner: str, workers: int, options: Sequence[str], store: str = "") -> Engine:
    """The engine that flags name. Raises `UserError` for an unknown one, or options that it does
    not have.
    """
    if name not in ENGINES:
        raise unknown_name("engine", name, ENGINES)
    if name == "local":
        if store:
            raise UserError(
                f"Invalid --store={store}: the local engine needs none; remove it, or use"
                " --engine=beam."
            )
        return Local()
    if workers < 1:
        raise UserError(f"Invalid --workers: received {workers}, expected at least 1.")
    for option in options:
        if "=" not in option:
            raise UserError(
                f"Invalid --beam={option}: expected an option of Beam's, like"
                " flink_master=host:8081."
            )
    return Beam(runner, workers, tuple(options), store)
