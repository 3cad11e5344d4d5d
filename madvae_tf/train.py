"""`python -m madvae_tf.train --loss=cls`: trains one purifier; what it needs is made first, in the
same workdir.
"""

from collections.abc import Sequence

from absl import flags

from madvae_tf.utils.shipped import bind


def overrides_of(loss: str) -> list[str]:
    """What makes a configuration one of the variant `loss` alone: the defences that it attacks may
    be others.
    """
    return [f"vae.variants={loss}", "robustness.defenses="]


def main(argv: Sequence[str]) -> None:
    """The pipeline's stage "vae", for the variant that --loss names."""
    from pipeline import run as pipeline_run

    pipeline_run.main(argv, target="vae", overrides=overrides_of(flags.FLAGS.loss))


def run() -> None:
    """Entry point."""
    bind()
    from pipeline import run as pipeline_run

    flags.DEFINE_string(
        "loss", "combined", "The variant to train: vanilla, cls, pd, combined or robust."
    )
    pipeline_run.run(main, document=__doc__ or "")


if __name__ == "__main__":
    run()
