"""A classifier of the user's own in the place of Table 6 (`classifier.path`): its stage, keyed by the content of its file.

The path is in no key: the same file elsewhere is the same classifier, another file at the same place another one.
"""

import functools
from pathlib import Path
from typing import Any

from madvae_tf.config import Config
from madvae_tf.errors import UserError
from pipeline import artifacts, steps
from pipeline.runner import Stage

# These train the classifier itself, or a new one of its architecture, which is Table 6's only.
_NEED_TABLE6 = ("adversarial_fgsm", "adversarial_pgd", "defense_vae_e2e")


def adopted_stage(config: Config, common: dict[str, Any], data: Stage) -> Stage:
    """The stage "classifier" that checks and copies the file.

    Raises:
        UserError: there is no such file, or a baseline is asked for that cannot do without Table 6.
    """
    if unfit := [name for name in config.baselines.names if name in _NEED_TABLE6]:
        raise UserError(
            f"Invalid baselines.names: received {unfit[0]} with classifier.path, expected baselines that do not train "
            f"the classifier; leave out {', '.join(_NEED_TABLE6)}, or leave classifier.path empty."
        )
    path = Path(config.classifier.path).expanduser()
    own = {**common, "content": content_of(path), "outputs": config.classifier.outputs}
    run = functools.partial(steps.adopt_classifier, path)
    return Stage("classifier", "own", 1, own, {"data": data}, run, cost=10)


def content_of(path: Path) -> dict[str, str]:
    """File below `path` -> SHA-256; a `.keras` file has the name "classifier.keras".

    Raises:
        UserError: neither a `.keras` file nor a folder with saved_model.pb, or one that cannot be read.
    """
    try:
        if path.is_file() and path.suffix == ".keras":
            return {"classifier.keras": artifacts.hash_file(path)}
        if (path / "saved_model.pb").is_file():
            return {name: artifacts.hash_file(path / name) for name in artifacts.content_files(path)}
    except OSError as error:
        raise UserError(
            f"Cannot read {error.filename}: {error.strerror}; expected files that can be read."
        ) from error
    raise UserError(
        f"Invalid classifier.path: received {str(path)!r}, expected a .keras file or the folder of a SavedModel "
        "(with saved_model.pb)."
    )
