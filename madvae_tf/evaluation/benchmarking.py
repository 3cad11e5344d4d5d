"""`benchmark`: one call from a model to a line of a leaderboard.

What is written has the fields of RobustBench's `model_info` files, so that tools for those read it,
and further ones of this project. A figure is called `autoattack_acc` only where AutoAttack's
standard set was run; what a further attack of the same call left is `external`, as there.
"""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import madvae_tf
from madvae_tf.config.parameters import check_integers
from madvae_tf.data.batches import evenly_spaced
from madvae_tf.data.catalogue import DATASETS
from madvae_tf.data.idx import read_pair
from madvae_tf.data.labelled import labelled
from madvae_tf.data.readers import read_dataset
from madvae_tf.data.sources import fetch_idx
from madvae_tf.data.tfds_sets import is_named
from madvae_tf.evaluation.result import Evaluation
from madvae_tf.evaluation.suites import STANDARD
from madvae_tf.evaluation.tables import share
from madvae_tf.evaluation.threats import Threat, threat_of
from madvae_tf.evaluation.worst_case import evaluate
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.files import write_json

# Of a leaderboard's rows.
KINDS = ("purifier", "adversarial training", "certified", "none", "other")
_NORMS = {"linf": "Linf", "l2": "L2"}
# RobustBench's, which a caller may give; accuracies and budgets are measured.
DESCRIPTION = ("link", "name", "authors", "venue", "architecture", "additional_data", "footnote")


@dataclasses.dataclass(frozen=True, eq=False)
class Benchmark:
    """What `benchmark` found.

    Attributes:
        evaluation: attack by attack.
        model_info: the fields of the leaderboard's file, accuracies in percent as text.
    """

    evaluation: Evaluation
    model_info: Mapping[str, Any]

    @property
    def clean_accuracy(self) -> float:
        """Without an attack, in [0, 1]."""
        return float(self.evaluation.clean.mean())

    @property
    def robust_accuracy(self) -> float:
        """After all attacks, in [0, 1]."""
        return float(self.evaluation.worst.mean())

    def __repr__(self) -> str:
        return self.evaluation.summary()


def benchmark(
    model: Any,
    dataset: Any = "mnist",
    threat: Any = "linf:0.3",
    n: int = 1000,
    *,
    name: str = "model",
    kind: str = "",
    preset: str = "standard",
    to_disk: str | Path | None = None,
    seed: int = 0,
    batch_size: int = 100,
    number_forward_passes: int = 1,
    progress: bool = True,
    **description: Any,
) -> Benchmark:
    """Clean and robust accuracy of a model on test images, under AutoAttack's standard set.

    Args:
        model: whatever `evaluate` takes.
        dataset: "mnist" or "fashion_mnist", whose test images are fetched; the path of labelled
            images that `read_dataset` reads, or "tfds:NAME"; a pair (images, labels), or what has
            both, see `evaluate`.
        threat: norm and budget, see `evaluate`.
        n: how many test images, evenly spaced; 0 or more than there are: all.
        name: the model's, in file names and tables.
        kind: of `KINDS`; by default "purifier" for what `madvae_tf.fit` gives, else "other".
        preset: see `evaluate`; another one than "standard" leaves `autoattack_acc` out.
        to_disk: a folder that gets `model_info/<dataset>/<norm>/<name>.json` and
            `results/<dataset>/<norm>/<name>.json`, and keeps what is found on the way: the same
            call goes on from there.
        seed: of every random draw.
        batch_size: images at a time.
        number_forward_passes: how often the network runs for one image.
        progress: see `evaluate`.
        description: of `DESCRIPTION`, RobustBench's fields for who made the model.

    Raises:
        UserError: see `evaluate`; an unknown data set, kind or field, or a folder that cannot be
            written.
    """
    threat = threat_of(threat)
    check_integers({"n": (n, 0), "number_forward_passes": (number_forward_passes, 1)})
    if unknown := [field for field in description if field not in DESCRIPTION]:
        raise UserError(f"Invalid field {unknown[0]!r}: expected one of {', '.join(DESCRIPTION)}.")
    kind = kind or ("purifier" if hasattr(model, "purifier") else "other")
    if kind not in KINDS:
        raise UserError(f"Invalid kind: received {kind!r}, expected one of {', '.join(KINDS)}.")
    called, images, labels = _test_images(dataset)
    rows = evenly_spaced(len(images), n)
    place = Path(called) / _NORMS[threat.norm] / _file_name(name)
    folder = None if to_disk is None else Path(to_disk).expanduser()
    found = evaluate(
        model,
        images[rows],
        labels[rows],
        threat=threat,
        preset=preset,
        seed=seed,
        batch_size=batch_size,
        folder=None if folder is None else folder / "trials" / place,
        progress=progress,
    )
    own = {
        "model": name,
        "kind": kind,
        "dataset": called,
        "number_forward_passes": str(number_forward_passes),
        **description,
    }
    info = model_info(found, threat, {"images": len(images), **own})
    if folder is not None:
        try:
            write_json(folder / "model_info" / place.with_suffix(".json"), info)
        except OSError as error:
            raise UserError(
                f"Cannot write to {folder}: {error.strerror or error}; expected a writable folder."
            ) from error
        found.save(folder / "results" / place.with_suffix(".json"))
    return Benchmark(found, info)


def model_info(found: Evaluation, threat: Threat, own: Mapping[str, Any]) -> dict[str, Any]:
    """The leaderboard's fields for an evaluation.

    Args:
        own: what is known of the model and of the data: model, kind, dataset, images (how many
            test images there are), and fields of `DESCRIPTION`.
    """
    clean, worst = share(found.clean), share(found.worst)
    suites = dict.fromkeys(outcome.suite.name for outcome in found.outcomes)
    fields = {
        **{field: "" for field in DESCRIPTION if field not in ("additional_data", "footnote")},
        "additional_data": False,
        **own,
        "eps": f"{threat.epsilon:g}",
        "norm": threat.norm,
        "clean_acc": _percent(clean["accuracy"]),
        "robust_acc": _percent(worst["accuracy"]),
        "clean_interval": [clean["ci_low"], clean["ci_high"]],
        "robust_interval": [worst["ci_low"], worst["ci_high"]],
        "n": clean["n"],
        "seed": found.seed,
        "attacks": list(suites),
        "threat_model": found.threat_model,
        "warnings": list(found.warnings),
        "seconds": round(found.seconds, 1),
        "source": f"measured by madvae_tf {madvae_tf.__version__}",
    }
    if STANDARD in suites:
        standard = float(np.mean(found.robust(STANDARD)))
        fields["autoattack_acc"] = _percent(standard)
        if worst["accuracy"] < standard:
            fields["external"] = _percent(worst["accuracy"])
    return fields


def _test_images(dataset: Any) -> tuple[str, np.ndarray, np.ndarray]:
    """The data set's name, its test images and labels."""
    if isinstance(dataset, str) and dataset in DATASETS:
        return (dataset, *read_pair(fetch_idx(DATASETS[dataset]).folder, "t10k"))
    if not isinstance(dataset, str | Path):
        pair = dataset if isinstance(dataset, tuple | list) else (dataset,)
        given = labelled(*pair, learnt=False)
        return "given", given.images, given.labels
    path = Path(dataset).expanduser()
    if not path.exists() and not is_named(path):
        raise UserError(
            f"Unknown dataset {str(dataset)!r}. Expected one of {', '.join(DATASETS)}, the path of"
            " labelled images, tfds:NAME, or a pair (images, labels)."
        )
    read = read_dataset(path, split="test")
    return _file_name(path.stem), read.images, read.labels


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.") or "model"


def _percent(accuracy: float) -> str:
    return f"{100 * accuracy:.2f}"
