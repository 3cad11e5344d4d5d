"""The variants against attackers who know of them, `robust` with the trained weights of docs/weights; hours, in parts.

    python -m pipeline.run --config=configs/published.py --workdir=runs/published --stage=robustness
    python -m pipeline.run --config=configs/published.py --workdir=runs/published --stage=report

The paper's variants are trained as quick.py trains them, on the published classifier. A transfer attack has a surrogate with another
seed: of `robust` one as quick.py trains it, in some minutes. The attacks are those of robustness.py, all of them for `robust`. Needs a checkout: a wheel
has no docs/. BUILD.md has the command that trained the weights.
"""

import dataclasses
from pathlib import Path

from configs import quick, robustness
from madvae_tf.config import Config

_WEIGHTS = Path(__file__).resolve().parents[1] / "docs" / "weights" / "mnist-robust"


def get_config() -> Config:
    """See the module's docstring."""
    base = robustness.get_config()
    surrogate = quick.get_config().robust
    # What the published weights are validated with stays what they were trained with.
    measured = {name: getattr(base.robust, name) for name in ("validation_images", "validation_steps")}
    return dataclasses.replace(
        base,
        name="published",
        classifier=dataclasses.replace(base.classifier, path=str(_WEIGHTS / "classifier.keras")),
        robust=dataclasses.replace(surrogate, path=str(_WEIGHTS / "purifier.keras"), **measured),
        # The weights were trained for L-infinity: there they meet everything, elsewhere what breaks defences, on 200 images. AutoAttack has
        # the exact gradient; the suites of BPDA go around a faint one (the squash), `crossing` across its threshold. What is not `robust` meets what breaks it: it has an
        # exact gradient that is not faint. Binarization has none, and would need BPDA: robustness.py has it, with all its suites.
        robustness=dataclasses.replace(
            base.robustness,
            defenses=tuple(name for name in base.robustness.defenses if name not in base.baselines.names),
            l2_suites=("bpda", "bpda_squash", "crossing", "overpowered", "autoattack"),
            l2_threat_models=("end_to_end",),
            l2_images=200,
            overpowered_images=0,
            brief=("none", *(name for name in base.vae.variants if name != "robust")),
            brief_suites=("gradient", "overpowered", "autoattack"),
            brief_transfer_images=200,
        ),
    )
