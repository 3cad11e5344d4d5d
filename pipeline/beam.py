"""The Beam pipeline of one adversarial set: shard numbers in, shards on disk. Only the engine "beam" loads this module."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from madvae_tf.errors import UserError
from pipeline.engines import Beam
from pipeline.runner import Context

try:
    import apache_beam as beam  # pyright: ignore[reportMissingImports]
    from apache_beam.options.pipeline_options import PipelineOptions  # pyright: ignore[reportMissingImports]
except ImportError as missing:
    raise UserError(
        f"Cannot use --engine=beam: {missing}; install the extra with pip install -e '.[beam]', or use --engine=local."
    ) from missing

# Named by its class: DirectRunner itself would first look for a runner to download.
_RUNNERS = {"DirectRunner": "apache_beam.runners.portability.fn_api_runner.FnApiRunner"}


class MakeShard(beam.DoFn):
    """Shard number -> the same number, after that shard is on disk. A worker loads data and model once."""

    def __init__(self, context: Context):
        self._context = context

    def setup(self) -> None:
        from pipeline.steps.data import set_work

        self._work = set_work(self._context)

    def process(self, element: int) -> Iterator[int]:
        # Another attempt may have made it.
        if element in self._work.missing():
            self._work.make([element])
        yield element


def run_shards(engine: Beam, context: Context, shards: list[int]) -> None:
    """Makes the shards and returns when all are there.

    Raises:
        UserError: the runner gave up, a worker was lost say; the shards that are done stay.
    """
    flags = [f"--direct_num_workers={engine.workers}", *(f"--{option}" for option in engine.options)]
    if engine.runner == "DirectRunner" and engine.workers > 1:
        flags.append("--direct_running_mode=multi_processing")
    plain = dataclasses.replace(context, config=dict(context.config))
    try:
        pipeline = beam.Pipeline(_RUNNERS.get(engine.runner, engine.runner), PipelineOptions(flags))
        steps: Any = (
            pipeline | beam.Create(shards, reshuffle=False) | beam.Reshuffle() | beam.ParDo(MakeShard(plain))
        )
        del steps
        pipeline.run().wait_until_finish()
    except (RuntimeError, ValueError, ImportError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"The runner {engine.runner} gave up: {lines[-1].strip()[:300]}; run again: it goes on from the shards that are done."
        ) from error
