"""The stages of black-box attacks (section 3.2): the attacker knows neither the classifier nor the
purifier.

Three protocols, a table each. 3a is the paper's: a substitute is attacked, and the same substitute
is evaluated, alone and behind purifiers that were trained against another classifier. 3b carries
the same images over to the classifier that is defended. In 3c the substitute is extracted from the
defended classifier's labels (Papernot et al. 2016).
"""

import functools
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from madvae_tf.utils.files import write_json
from pipeline.engine.plan import Context
from pipeline.steps.common import load_classifier, load_model, splits_of, start_anew

# What a draw of images is for: the test images are those of every other attack.
_TEST, _ATTACKER = zlib.crc32(b"test"), zlib.crc32(b"black_box")


def attack_substitute(context: Context) -> None:
    """FGSM on a trained substitute, evaluated on it (3a) and on the classifier (3b), by defence:
    `rows.json`.
    """
    from madvae_tf.evaluation.oblivious import defense_rows, rate_row
    from madvae_tf.utils.progress import progress_bar

    start_anew(context)
    settings = context.config
    split = splits_of(context)["test"]
    clean, label = _drawn(split, settings["images"], settings["seed"], _TEST)
    classifier = load_classifier(context.inputs["classifier"])
    substitute = load_model(context.inputs["substitute"] / "classifier.keras")
    x_adv = _fgsm(substitute, clean, label, settings).x_adv

    common = {"dataset": settings["dataset"], "seed": settings["seed"]}
    unattacked = {**common, "attack": "none", "parameters": {"substitute": settings["substitute"]}}
    parameters = {**unattacked["parameters"], "epsilon": settings["epsilon"]}
    attacked = {**common, "attack": "fgsm", "parameters": parameters}

    many, many_labels = _drawn(split, settings["clean_images"], settings["seed"], _TEST)
    hits = _predictor((substitute,), None, settings["batch_size"])(many)[:, 0] == many_labels
    named = {**unattacked, "threat_model": "oblivious", "defense": "none"}
    rows = [rate_row("table3a", "accuracy", hits, named)]
    # What they say of the clean images without a defence: the first of the loop.
    reference = None
    defenses = context.channel("defense")
    with progress_bar(1 + len(defenses), f"black box {settings['substitute']}", "defence") as bar:
        for name in (None, *defenses):
            purifier = None if name is None else load_model(defenses[name] / "purifier.keras")
            predict = _predictor((substitute, classifier), purifier, settings["batch_size"])
            of_clean, of_attacked = predict(clean), predict(x_adv)
            reference = of_clean if reference is None else reference
            defense = {"defense": "none" if name is None else name}
            oblivious, transfer = (
                {**defense, "threat_model": threat_model}
                for threat_model in ("oblivious", "transfer")
            )
            own, carried = reference.T
            rows += defense_rows(
                "table3a", of_attacked[:, 0], label, own, {**attacked, **oblivious}
            )
            rows += defense_rows(
                "table3b", of_attacked[:, 1], label, carried, {**attacked, **transfer}
            )
            rows += defense_rows(
                "table3b", of_clean[:, 1], label, carried, {**unattacked, **transfer}
            )
            bar.update()
    write_json(context.folder / "rows.json", rows)


def extract_and_attack(context: Context) -> None:
    """A substitute from the labels of one defence (or none), and its FGSM images on that defence:
    `rows.json`.
    """
    from madvae_tf.evaluation.extraction import extract
    from madvae_tf.evaluation.oblivious import defense_rows, rate_row
    from madvae_tf.models.inference import num_classes_of
    from madvae_tf.training.classifier import build_classifier
    from madvae_tf.utils.images import shape_of
    from madvae_tf.utils.progress import progress_bar

    start_anew(context)
    settings = context.config
    splits, batch_size = splits_of(context), settings["batch_size"]
    classifier = load_classifier(context.inputs["classifier"])
    defended = "defense" in context.inputs
    purifier = load_model(context.inputs["defense"] / "purifier.keras") if defended else None
    target = _predictor((classifier,), purifier, batch_size)
    # Held out from the classifier's training and from the test; their true labels are not the
    # attacker's.
    held_out, _ = _drawn(splits["validation"], settings["seed_images"], settings["seed"], _ATTACKER)
    title = f"extract {settings['substitute']} from {settings['defense']}"
    with progress_bar((settings["rounds"] + 1) * settings["epochs"], title, "epoch") as bar:
        extraction = extract(
            lambda images: target(images)[:, 0],
            functools.partial(
                build_classifier,
                f"substitute_{settings['substitute'].lower()}",
                0.5,
                "float32",
                shape_of(held_out),
                num_classes_of(classifier, shape_of(held_out)),
            ),
            held_out,
            settings["rounds"],
            settings["epochs"],
            batch_size,
            settings["learning_rate"],
            settings["augmentation"],
            settings["seed"],
            settings["precision"],
            bar.update,
        )
    clean, label = _drawn(splits["test"], settings["images"], settings["seed"], _TEST)
    attack = _fgsm(extraction.substitute, clean, label, settings)
    predicted, clean_predicted = target(attack.x_adv)[:, 0], target(clean)[:, 0]
    substitute, undefended = _predictor((extraction.substitute, classifier), None, batch_size)(
        clean
    ).T

    cost = {
        "queries": extraction.queries,
        "seed_images": len(held_out),
        "rounds": settings["rounds"],
    }
    unattacked = {
        **{name: settings[name] for name in ("dataset", "seed", "defense")},
        "threat_model": "transfer",
        "attack": "none",
        "parameters": {"substitute": settings["substitute"], **cost},
    }
    parameters = {**unattacked["parameters"], "epsilon": settings["epsilon"]}
    attacked = {**unattacked, "attack": "fgsm", "parameters": parameters}
    rows = defense_rows("table3c", predicted, label, undefended, attacked)
    rows.append(rate_row("table3c", "success_rate", attack.success, attacked))
    rows.append(
        rate_row("table3c", "substitute_agreement", substitute == clean_predicted, unattacked)
    )
    write_json(context.folder / "rows.json", rows)


def _drawn(split: Any, wanted: int, seed: int, purpose: int) -> tuple[Any, Any]:
    """Images float32 (n, height, width, channels) and labels of `wanted` images of the split, 0 for
    all, in its order.
    """
    from madvae_tf.data.generate import draw_rows
    from madvae_tf.data.prepare import to_float

    rows = draw_rows(len(split), wanted, seed, purpose)
    return to_float(split.images[rows]), split.labels[rows]


def _fgsm(model: Any, images: Any, label: Any, settings: Mapping[str, Any]) -> Any:
    """The `AttackResult` of FGSM on the model."""
    from madvae_tf.attacks import DefendedModel, fold_seed, run_attack
    from madvae_tf.attacks.gradient import FGSM

    attack = FGSM(epsilon=settings["epsilon"])
    target = DefendedModel(functools.partial(model, training=False))
    return run_attack(
        attack, target, images, label, fold_seed((settings["seed"], _TEST)), settings["batch_size"]
    )


def _predictor(models: tuple[Any, ...], purifier: Any, batch_size: int) -> Callable[[Any], Any]:
    """images -> the classes that the models predict behind the purifier, int64 (n, models).

    Compiled once, and an image is purified once for all of them.
    """
    import tensorflow as tf

    from madvae_tf.evaluation.oblivious import batched

    @tf.function
    def logits(images: Any) -> Any:
        seen = images if purifier is None else purifier(images)
        return tf.stack([model(seen) for model in models], axis=1)

    return lambda images: batched(logits, images, batch_size).argmax(axis=2)
