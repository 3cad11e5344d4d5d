"""The Beam pipeline of one adversarial set: shard numbers in, shards on disk. Only the engine
"beam" loads this module.

Without a store, workers write into the artifact's folder. With one (`Beam.store`) they share
nothing but it: they copy the stage's inputs from there, once, and leave shards there; at the end
the launching process takes these into the folder. A shard that a store has (its manifest, that is)
is not made again.
"""

import contextlib
import dataclasses
import importlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from madvae_tf.utils.errors import UserError
from pipeline.engine import artifacts
from pipeline.engine.plan import Context
from pipeline.engine.store import Store
from pipeline.steps.engines import Beam

try:
    import apache_beam as beam  # pyright: ignore[reportMissingImports]
    from apache_beam.options.pipeline_options import (  # pyright: ignore[reportMissingImports]
        PipelineOptions,
    )
except ImportError as missing:
    raise UserError(
        f"Cannot use --engine=beam: {missing}; install the extra with pip install -e '.[beam]', or"
        " use --engine=local."
    ) from missing

# Named by its class: DirectRunner itself would first look for a runner to download.
_RUNNERS = {"DirectRunner": "apache_beam.runners.portability.fn_api_runner.FnApiRunner"}


class MakeShard(beam.DoFn):
    """Shard number -> the same number, after that shard is there for all. A worker loads data and
    model once.
    """

    def __init__(self, context: Context, store: str = ""):
        self._context, self._store = context, store

    def setup(self) -> None:
        from pipeline.steps.data import set_work

        context = self._context
        if self._store:
            self._own = tempfile.TemporaryDirectory(prefix="madvae-worker-")
            context = _from_store(context, self._store, Path(self._own.name))
        self._folder, self._work = context.folder, set_work(context)

    def process(self, element: int) -> Iterator[int]:
        # Another attempt may have made it.
        if not self._store:
            if element in self._work.missing():
                self._work.make([element])
        elif not (shards := _shards(self._store, self._context)).has(_manifest(element)):
            self._work.make([element])
            shards.put(
                self._folder, [path.name for path in self._files(element)], _manifest(element)
            )
            for path in self._files(element):
                path.unlink()
        yield element

    def _files(self, shard: int) -> list[Path]:
        return sorted(self._folder.glob(f"shard-{shard:05d}-*.npy"))

    def teardown(self) -> None:
        if self._store:
            self._own.cleanup()


def _manifest(shard: int) -> str:
    return f"shard-{shard:05d}.json"


def _shards(store: str, context: Context) -> Store:
    """Where the shards of this set are; the folder's name holds the key."""
    return Store(f"{store.rstrip('/')}/attack/{context.folder.name.removesuffix('.partial')}")


def _inputs(store: str, context: Context) -> dict[str, Store]:
    """Where the stage's inputs are, by the folders' names, which hold their keys."""
    return {
        name: Store(f"{store.rstrip('/')}/{folder.parent.name}/{folder.name}")
        for name, folder in context.inputs.items()
    }


def _from_store(context: Context, store: str, own: Path) -> Context:
    """The same context on a machine that has only the store: inputs are copied below `own`, shards
    go there too.
    """
    inputs = {}
    for name, place in _inputs(store, context).items():
        inputs[name] = own / "inputs" / name
        place.get(inputs[name], artifacts.MANIFEST)
    (own / "set").mkdir()
    return dataclasses.replace(
        context, folder=own / "set", scratch=own / "set" / ".scratch", inputs=inputs
    )


def run_shards(engine: Beam, context: Context, shards: list[int]) -> None:
    """Makes the shards and returns when all are there.

    Raises:
        UserError: the runner gave up, a worker was lost say; the shards that are done stay.
    """
    if engine.store:
        for name, place in _inputs(engine.store, context).items():
            if not place.has(artifacts.MANIFEST):
                files = artifacts.content_files(context.inputs[name])
                place.put(context.inputs[name], files, artifacts.MANIFEST)
    quiet = contextlib.nullcontext()
    flags = [
        f"--direct_num_workers={engine.workers}",
        *(f"--{option}" for option in engine.options),
    ]
    if engine.runner == "DirectRunner" and engine.workers > 1:
        flags.append("--direct_running_mode=multi_processing")
        quiet = importlib.import_module("pipeline.steps.beam_workers").without_tracebacks()
    plain = dataclasses.replace(context, config=dict(context.config))
    try:
        pipeline = beam.Pipeline(_RUNNERS.get(engine.runner, engine.runner), PipelineOptions(flags))
        steps: Any = (
            pipeline
            | beam.Create(shards, reshuffle=False)
            | beam.Reshuffle()
            | beam.ParDo(MakeShard(plain, engine.store))
        )
        del steps
        with quiet:
            pipeline.run().wait_until_finish()
        if engine.store:
            for shard in shards:
                _shards(engine.store, context).get(context.folder, _manifest(shard))
    except UserError:
        raise
    except (RuntimeError, ValueError, ImportError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"The runner {engine.runner} gave up: {lines[-1].strip()[:300]}; run again: it goes on"
            " from the shards that are done."
        ) from error
