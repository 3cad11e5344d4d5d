"""The commands `madvae-run` and `madvae-train`: `python -m pipeline.run` and `python -m
madvae_tf.train`, wherever one is.
"""

from madvae_tf.utils.shipped import bind


def run() -> None:
    """Entry point of `madvae-run`."""
    bind()
    from pipeline import run as pipeline_run

    pipeline_run.define_stage()
    pipeline_run.run(document=pipeline_run.__doc__ or "")


def train() -> None:
    """Entry point of `madvae-train`."""
    from madvae_tf import train as command

    command.run()
