"""`python -m madvae_tf.train --loss=cls`: trains one purifier; what it needs is made first, in the same workdir."""

from collections.abc import Sequence

from absl import flags

from pipeline import run

_LOSS = flags.DEFINE_string("loss", "combined", "The variant to train: vanilla, cls, pd, combined or robust.")


def main(argv: Sequence[str]) -> None:
    """The pipeline's stage "vae", for the variant that --loss names."""
    run.main(argv, target="vae", overrides=[f"vae.variants={_LOSS.value}"])


if __name__ == "__main__":
    run.run(main)
