"""The variants against attackers who know of them, `robust` with the trained weights of
docs/weights; hours, in parts.

    python -m pipeline.run --config=configs/published.py --workdir=runs/published --stage=robustness
    python -m pipeline.run --config=configs/published.py --workdir=runs/published --stage=report

The paper's variants are trained as quick.py trains them, on the published classifier. A transfer
attack has a surrogate with another seed: of `robust` one as quick.py trains it, in some minutes.
The attacks are those of robustness.py, all of them for `robust`. Needs a checkout: a wheel has no
docs/. docs/weights/mnist-robust/README.md has the command that trained the weights.
"""

import dataclasses
from pathlib import Path

from configs import quick, robustness
from madvae_tf.config import Config, RobustnessConfig

_WEIGHTS = Path(__file__).resolve().parents[1] / "docs" / "weights"


def with_weights(base: Config, classifier: str, purifier: str) -> Config:
    """`base` with the models of two folders of docs/weights in the place of trained ones.

    The purifier's training is left out of the keys, but for what it is validated with.
    """
    return dataclasses.replace(
        base,
        classifier=dataclasses.replace(base.classifier, path=_path(classifier, "classifier.keras")),
        robust=dataclasses.replace(base.robust, path=_path(purifier, "purifier.keras")),
    )


def _path(folder: str, file: str) -> str:
    """The file's path; in the checkout the short one, as pages show it."""
    path = _WEIGHTS / folder / file
    here = Path.cwd().resolve()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def end_to_end(name: str, base: Config, linf: tuple[float, ...], l2: tuple[float, ...]) -> Config:
    """`base`, called `name`, with what breaks purifiers, end to end on 200 images: gradient, BPDA
    through and `crossing` of a squash, AutoAttack standard.
    """
    return dataclasses.replace(
        base,
        name=name,
        robustness=RobustnessConfig(
            defenses=("none", "robust"),
            images=200,
            linf=linf,
            l2=l2,
            threat_models=("end_to_end",),
            suites=("gradient", "bpda_squash", "crossing", "autoattack"),
            sanity_images=100,
        ),
    )


def get_config() -> Config:
    """See the module's docstring."""
    base = robustness.get_config()
    surrogate = quick.get_config().robust
    # What the published weights are validated with stays what they were trained with.
    measured = {
        name: getattr(base.robust, name) for name in ("validation_images", "validation_steps")
    }
    config = dataclasses.replace(
        base,
        name="published",
        robust=dataclasses.replace(surrogate, **measured),
        # The weights were trained for L-infinity: there they meet everything, elsewhere what breaks
        # defences, on 200 images. AutoAttack has the exact gradient; the suites of BPDA go around a
        # faint one (the squash), `crossing` across its threshold. What is not `robust` meets what
        # breaks it: it has an exact gradient that is not faint. Binarization has none, and would
        # need BPDA: robustness.py has it, with all its suites.
        robustness=dataclasses.replace(
            base.robustness,
            defenses=tuple(
                name for name in base.robustness.defenses if name not in base.baselines.names
            ),
            l2_suites=("bpda", "bpda_squash", "crossing", "overpowered", "autoattack"),
            l2_threat_models=("end_to_end",),
            l2_images=200,
            overpowered_images=0,
            # Not the classifier alone: whatever is held against a defence must break that.
            brief=tuple(name for name in base.vae.variants if name != "robust"),
            brief_suites=("gradient", "overpowered", "autoattack"),
            brief_transfer_images=200,
        ),
    )
    return with_weights(config, "mnist-robust", "mnist-robust")
