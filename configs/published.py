"""The trained weights of docs/weights against attackers who know of the defence: nothing is trained.

    python -m pipeline.run --config=configs/published.py --workdir=runs/published --stage=robustness

Needs a checkout: a wheel has no docs/. AutoAttack and the other attacks of robustness.py, 1,000 test images, L-infinity 0.3; hours, in
parts. BUILD.md has the command that trained the weights.
"""

import dataclasses
from pathlib import Path

from configs import robustness
from madvae_tf.config import Config

_WEIGHTS = Path(__file__).resolve().parents[1] / "docs" / "weights" / "mnist-robust"


def get_config() -> Config:
    """See the module's docstring."""
    base = robustness.get_config()
    return dataclasses.replace(
        base,
        name="published",
        classifier=dataclasses.replace(base.classifier, path=str(_WEIGHTS / "classifier.keras")),
        vae=dataclasses.replace(base.vae, variants=("robust",)),
        robust=dataclasses.replace(base.robust, path=str(_WEIGHTS / "purifier.keras")),
        robustness=dataclasses.replace(
            base.robustness,
            defenses=("none", "robust"),
            threat_models=("end_to_end",),
            l2=(),
            detection_images=0,
        ),
    )
