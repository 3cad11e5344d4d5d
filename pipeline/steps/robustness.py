"""The stages that attack whole systems, take the worst case, and ask whether the attacks themselves
are sound.
"""

import functools
import zlib
from typing import Any

from madvae_tf.utils.files import write_json
from pipeline.engine.plan import Context
from pipeline.steps.common import classes_in, defended, load_classifier, splits_of, start_anew
from pipeline.steps.suites import ball_of, suite_of

_DRAW = zlib.crc32(b"robustness")
# What every value of the code of a class without images is.
_FAR = 1e3


def attack_system(context: Context) -> None:
    """One suite under one threat model: `rows.json`, `right.npz` (who was right after each trial),
    `warnings.json` where a loss of it is not defined.
    """
    import numpy as np

    from madvae_tf.data.batches import evenly_spaced
    from madvae_tf.evaluation import (
        evaluate,
        expectation,
        latent_matching,
        straight_through,
        target_of,
    )
    from madvae_tf.evaluation.rows import evaluation_rows
    from madvae_tf.evaluation.suites import for_classes

    start_anew(context)
    settings = context.config
    images, labels = drawn(context, settings["images"])
    # A costly suite meets some of them only.
    subset = evenly_spaced(len(images), settings.get("subset", 0))
    classifier = load_classifier(context.inputs["classifier"])
    frozen = functools.partial(classifier, training=False)
    system = defended(context, classifier)
    # What the attacker has of a system with a purifier: this one, or the surrogate.
    held = _surrogate(context, classifier) if settings["threat_model"] == "transfer" else system
    target = target_of(settings["threat_model"], system, frozen, held)
    # Some defences bring a classifier of their own.
    behind = held.classify or frozen
    suite = suite_of(settings)
    others = {}
    if settings["suite"] == "bpda":
        others["identity"] = straight_through(held, behind)
        _check_composition(held, others["identity"], images[: settings["batch_size"]])
    if settings["suite"] in ("bpda_squash", "crossing"):
        others["straight_through"] = held.with_logits(held.straight_through)
    if settings["suite"] == "latent":
        others["latent"] = latent_matching(held, prototypes(context, held))
    if settings["suite"] == "eot":
        others["expectation"] = expectation(held, behind, settings["draws"], (settings["seed"], 0))
    found = evaluate(
        system.logits,
        images[subset],
        labels[subset],
        [suite],
        target=target,
        targets=others,
        seed=settings["seed"],
        batch_size=settings["batch_size"],
        folder=context.scratch / "trials",
        progress="bar",
    )
    rows = evaluation_rows(found, _common(settings), ball_of(settings), totals=False)
    robust: dict[str, Any] = {"clean": found.clean}
    robust |= {outcome.trial.label: outcome.robust for outcome in found.outcomes}
    if len(subset) < len(images):
        robust = _spread(robust, subset, _clean(system, images, labels, settings["batch_size"]))
    np.savez(context.folder / "right.npz", **robust)
    title = f"{settings['defense']}, {settings['norm']} {settings['epsilon']:g}"
    _, replaced = for_classes(suite, found.classes)
    write_json(context.folder / "warnings.json", _titled(title, replaced))
    write_json(context.folder / "rows.json", rows)


def _clean(system: Any, images: Any, labels: Any, batch_size: int) -> Any:
    import tensorflow as tf

    from madvae_tf.evaluation.oblivious import batched

    return batched(tf.function(system.logits), images, batch_size).argmax(axis=1) == labels


def _spread(robust: dict[str, Any], subset: Any, clean: Any) -> dict[str, Any]:
    """Who of all images was right, where only those of `subset` were attacked; "attacked" says
    which.
    """
    import numpy as np

    full = {"clean": clean}
    for label, values in robust.items():
        if label != "clean":
            full[label] = clean.copy()
            full[label][subset] = values
    full["attacked"] = np.zeros(len(clean), bool)
    full["attacked"][subset] = True
    return full


def take_worst(context: Context) -> None:
    """Who is right whatever was done, by threat model and over all of them: `rows.json`;
    `warnings.json` where less beats more.
    """
    import numpy as np

    from madvae_tf.evaluation import THREAT_MODELS
    from madvae_tf.evaluation.diagnostics import order_warnings
    from madvae_tf.evaluation.result import Evaluation, Outcome
    from madvae_tf.evaluation.rows import accuracy_row, beyond_rows, worst_rows

    start_anew(context)
    settings = context.config
    found: dict[str, list[Any]] = {}
    clean: Any = None
    for label, part in settings["parts"].items():
        suite = suite_of(part)
        with np.load(context.channel("part")[label] / "right.npz", allow_pickle=False) as file:
            clean = file["clean"]
            attacked = file.get("attacked")
            found.setdefault(part["threat_model"], []).extend(
                Outcome(suite, trial, file[trial.label], (), attacked) for trial in suite.trials
            )
    evaluations = {
        name: Evaluation(clean, tuple(found[name])) for name in THREAT_MODELS if name in found
    }
    ball = ball_of(settings)
    rows = []
    for name, evaluation in evaluations.items():
        common = _common({**settings, "threat_model": name})
        rows.append(accuracy_row(evaluation.clean, "none", common, ball))
        rows += worst_rows(evaluation.worst, evaluation.outcomes, common, ball)
    common = _common({**settings, "threat_model": "end_to_end"})
    if "end_to_end" in evaluations:
        rows += beyond_rows(evaluations["end_to_end"], common, ball)
    if len(evaluations) > 1 and "end_to_end" in evaluations:
        # What knows most may do all that the others do.
        robust = np.logical_and.reduce([evaluation.worst for evaluation in evaluations.values()])
        every = [outcome for evaluation in evaluations.values() for outcome in evaluation.outcomes]
        rows += worst_rows(robust, every, common, {**ball, "over": "+".join(evaluations)})
    title = f"{settings['defense']}, {settings['norm']} {settings['epsilon']:g}"
    write_json(context.folder / "warnings.json", _titled(title, order_warnings(evaluations)))
    write_json(context.folder / "rows.json", rows)


def attack_naturally(context: Context) -> None:
    """The worst of a grid of rotations and translations, and common corruptions: `rows.json`,
    `right.npz`, `warnings.json` (none).
    """
    import numpy as np

    from madvae_tf.evaluation import evaluate, natural
    from madvae_tf.evaluation.rows import natural_rows

    start_anew(context)
    settings = context.config
    images, labels = drawn(context, settings["images"])
    found = evaluate(
        defended(context, load_classifier(context.inputs["classifier"])).logits,
        images,
        labels,
        [natural(settings["severities"])],
        seed=settings["seed"],
        batch_size=settings["batch_size"],
        folder=context.scratch / "trials",
        progress="bar",
    )
    robust: dict[str, Any] = {"clean": found.clean}
    robust |= {outcome.trial.label: outcome.robust for outcome in found.outcomes}
    np.savez(context.folder / "right.npz", **robust)
    write_json(context.folder / "warnings.json", [])
    common = {name: settings[name] for name in ("dataset", "defense", "seed")}
    write_json(context.folder / "rows.json", natural_rows(found, common))


def check_sanity(context: Context) -> None:
    """Accuracy against budget and steps of PGD, the gradients' sizes, and PGD around a squash:
    `rows.json`, `gradients.npy`, `warnings.json`.
    """
    import numpy as np

    from madvae_tf.evaluation import diagnostics, gradients, sanity
    from madvae_tf.evaluation.rows import curve_rows, gradient_rows, squash_rows

    start_anew(context)
    settings = context.config
    images, labels = drawn(context, settings["images"])
    system = defended(context, load_classifier(context.inputs["classifier"]))
    # What is not named is as it was before it could be.
    ball = {"norm": settings.get("norm", "linf"), "epsilon": settings.get("epsilon", 0.3)}
    options = {
        "seed": settings["seed"],
        "batch_size": settings["batch_size"],
        "folder": context.scratch / "trials",
        "progress": "bar",
    }
    epsilons = sanity.budgets(**ball, pixels=images[0].size)
    curves = sanity.curves(system, images, labels, **ball, epsilons=epsilons, **options)
    norms, faint = gradients.gradients(system, images, labels, settings["batch_size"])
    common = _common({**settings, "threat_model": "end_to_end"})
    np.save(context.folder / "gradients.npy", norms)
    warnings = [
        *diagnostics.curve_warnings(curves, epsilons[-1], classes_in(splits_of(context))),
        *diagnostics.gradient_warnings(norms, faint if ball["norm"] == "l2" else None),
    ]
    rows = [*curve_rows(curves, common, ball), *gradient_rows(norms, faint, common, ball)]
    if settings.get("squash"):
        straight_through = system.with_logits(system.straight_through)
        around = sanity.around(system, straight_through, images, labels, **ball, **options)
        signs = gradients.other_signs(
            system, straight_through, images, labels, settings["batch_size"]
        )
        warnings += diagnostics.squash_warnings(curves["steps"][sanity.STEPS[-1]], around.robust)
        rows += squash_rows(around, signs, common, ball)
    title = f"{settings['defense']}, {ball['norm']} {ball['epsilon']:g}"
    write_json(context.folder / "warnings.json", _titled(title, warnings))
    write_json(context.folder / "rows.json", rows)


def drawn(context: Context, wanted: int) -> tuple[Any, Any]:
    """Images and labels of `wanted` test images, drawn from all of them."""
    return attacked_images(splits_of(context)["test"], wanted, context.config["seed"])


def attacked_images(split: Any, wanted: int, seed: int) -> tuple[Any, Any]:
    """Of a split `wanted` images, float32 in [0, 1], and labels: those that the robustness stages
    of this seed attack.
    """
    from madvae_tf.data.generate import draw_rows
    from madvae_tf.data.prepare import to_float

    rows = draw_rows(len(split), wanted, seed, _DRAW)
    return to_float(split.images[rows]), split.labels[rows]


def _surrogate(context: Context, classifier: Any) -> Any:
    settings = context.config
    inputs = {**context.inputs, "defense": context.inputs["surrogate"]}
    config = {**settings, "parameters": settings["surrogate_parameters"]}
    return defended(Context(context.folder, context.scratch, inputs, config), classifier)


def prototypes(context: Context, system: Any) -> Any:
    """The mean code of each class of the validation images, float32 (classes, latent); that of a
    class without any lies far from all.
    """
    import numpy as np
    import tensorflow as tf

    from madvae_tf.data.prepare import to_float
    from madvae_tf.evaluation.oblivious import batched

    splits = splits_of(context)
    split = splits["validation"]
    codes = batched(
        tf.function(system.encode), to_float(split.images), context.config["batch_size"]
    )
    own = [codes[split.labels == label] for label in range(classes_in(splits))]
    far = np.full(codes.shape[1], _FAR, np.float32)
    return tf.constant(np.stack([each.mean(axis=0) if len(each) else far for each in own]))


def _check_composition(system: Any, other: Any, images: Any) -> None:
    """BPDA's logits must be the system's own: not every defence's are made of its purified image
    alone.
    """
    import numpy as np

    from madvae_tf.utils.errors import UserError

    own, through = (np.asarray(each.logits(images)) for each in (system, other))
    if not np.allclose(own, through, atol=1e-3):
        raise UserError(
            "Invalid suite bpda: this defence's logits are not the classifier's of what its"
            " purifier makes; leave bpda out."
        )


def _common(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: settings[name] for name in ("dataset", "threat_model", "defense", "seed")}


def _titled(title: str, warnings: list[str]) -> list[str]:
    return [f"{title}: {warning}" for warning in warnings]
