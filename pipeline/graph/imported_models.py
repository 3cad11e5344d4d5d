"""Models made elsewhere: a classifier in the place of Table 6 (`classifier.path`), a purifier in
the place of the trained `robust` (`robust.path`) or that its training goes on from
(`robust.start`). Their stages are keyed by the content of their files.

The path is in no key: the same file elsewhere is the same model, another file at the same place
another one.
"""

import functools
from pathlib import Path
from typing import Any

from madvae_tf.config import Config
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.files import sha256_of
from pipeline import steps
from pipeline.engine import artifacts
from pipeline.engine.plan import Stage
from pipeline.graph.main_stages import MainStages

# These train the classifier itself, or a new one of its architecture, which is Table 6's only.
_NEED_TABLE6 = ("adversarial_fgsm", "adversarial_pgd", "defense_vae_e2e")
# Of `RobustConfig`: what the accuracy under attack of an adopted purifier is measured with.
_MEASURED = (
    "norm",
    "epsilon",
    "l2_epsilon",
    "threshold_l2",
    "decaying_steps",
    "norm_mix",
    "step_ratio",
    "validation_images",
    "validation_steps",
    "seed",
)


def imported_classifier(config: Config, common: dict[str, Any], data: Stage) -> Stage:
    """The stage "classifier" that checks and copies the file.

    Raises:
        UserError: there is no such file, or a baseline is asked for that cannot do without Table 6.
    """
    if unfit := [name for name in config.baselines.names if name in _NEED_TABLE6]:
        raise UserError(
            f"Invalid baselines.names: received {unfit[0]} with classifier.path, expected baselines"
            f" that do not train the classifier; leave out {', '.join(_NEED_TABLE6)}, or leave"
            " classifier.path empty."
        )
    path = Path(config.classifier.path).expanduser()
    own = {**common, "content": content_of(path), "outputs": config.classifier.outputs}
    if config.classifier.preprocessing:
        own["preprocessing"] = config.classifier.preprocessing
    run = functools.partial(steps.import_classifier, path)
    return Stage("classifier", "own", 1, own, {"data": data}, run, cost=10)


def imported_purifier(
    main: MainStages, instance: str, field: str, parameters: dict[str, Any]
) -> Stage:
    """The stage "vae" that checks and copies a purifier's file, and measures it as a trained one is
    measured.

    Args:
        field: of `RobustConfig`, which has the file.
        parameters: of the trained one; what is no part of the measurement is left out.

    Raises:
        UserError: there is no such file.
    """
    path = Path(getattr(main.config.robust, field)).expanduser()
    try:
        found = sha256_of(path) if path.is_file() and path.suffix == ".keras" else ""
    except OSError as error:
        raise _unreadable(error) from error
    if not found:
        raise UserError(
            f"Invalid robust.{field}: received {str(path)!r}, expected a .keras file that a"
            " purifier was saved to (export/robust/purifier.keras of another run, say)."
        )
    measured = {name: value for name, value in parameters.items() if name in _MEASURED}
    own = {
        **main.common,
        "defense": "robust",
        "parameters": measured,
        "content": found,
        # As a training's settings say it: it learns from no pairs, and is measured in float32.
        **{"pairs": False, "classifier": "", "precision": "float32"},
    }
    run = functools.partial(steps.import_purifier, path, field)
    return Stage("vae", instance, 1, own, main.base, run, cost=20)


def content_of(path: Path) -> dict[str, str]:
    """File below `path` -> SHA-256; a `.keras` file has the name "classifier.keras".

    Raises:
        UserError: neither a `.keras` file nor a folder with saved_model.pb, or one that cannot be
            read.
    """
    try:
        if path.is_file() and path.suffix == ".keras":
            return {"classifier.keras": sha256_of(path)}
        if (path / "saved_model.pb").is_file():
            return {name: sha256_of(path / name) for name in artifacts.content_files(path)}
    except OSError as error:
        raise _unreadable(error) from error
    found = "" if path.exists() else ", where there is nothing"
    older = path.suffix in (".h5", ".hdf5")
    way_out = (
        f": keras.saving.load_model({path.name!r}).save({path.stem + '.keras'!r}) makes one"
        if older
        else ""
    )
    raise UserError(
        f"Invalid classifier.path: received {str(path)!r}{found}, expected a .keras file or the"
        f" folder of a SavedModel (with saved_model.pb){way_out}."
    )


def _unreadable(error: OSError) -> UserError:
    return UserError(
        f"Cannot read {error.filename}: {error.strerror}; expected files that can be read."
    )
