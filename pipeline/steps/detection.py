"""The stage that asks whether a purifier's doubts tell attacked images from clean ones."""

from pathlib import Path
from typing import Any

from pipeline import artifacts
from pipeline.runner import Context
from pipeline.steps.common import load_classifier, splits_of, start_anew
from pipeline.steps.robustness import drawn, load_system, prototypes


def measure_detection(context: Context) -> None:
    """Every detector on the test sets (oblivious) and on adaptive images: `rows.json`, `roc.npz`, `warnings.json` (none)."""
    import functools

    import numpy as np
    import tensorflow as tf

    from madvae_tf.evaluate import batched
    from madvae_tf.robustness.detection import detection_rows, detectors, roc, scores

    start_anew(context)
    settings = context.config
    size = settings["batch_size"]
    classifier = load_classifier(context.inputs["classifier"])
    system = load_system(context, classifier)
    centers = None if system.encode is None else prototypes(context, system)
    functions = detectors(system, centers)
    common = {name: settings[name] for name in ("dataset", "defense", "seed")}
    # Who is fooled: the classifier that an oblivious attacker knows, or the whole.
    undefended = tf.function(functools.partial(classifier, training=False))
    judges = {"oblivious": undefended, "end_to_end": tf.function(system.logits)}
    rows: list[dict[str, Any]] = []
    curves: dict[str, Any] = {}
    sources = [*_oblivious(context), *_adaptive(context, system)]
    for label, attack, threat_model, parameters, clean, x_adv, y in sources:
        predicted = batched(judges[threat_model], x_adv, size).argmax(axis=1)
        both = [scores(functions, images, size) for images in (clean, x_adv)]
        named = {**common, "attack": attack, "threat_model": threat_model, "parameters": parameters}
        rows += detection_rows(both[0], both[1], predicted != y, named)
        for detector in functions:
            curves[f"{label}/{detector}"] = np.stack(roc(both[0][detector], both[1][detector]))
    np.savez(context.folder / "roc.npz", **curves)
    artifacts.write_json(context.folder / "warnings.json", [])
    artifacts.write_json(context.folder / "rows.json", rows)


def _oblivious(context: Context) -> list[tuple[Any, ...]]:
    """Of each attacked test set: label, attack, threat model, parameters, clean images, attacked images, labels."""
    from madvae_tf.data.adversarial_sets import AdversarialSet
    from madvae_tf.data.batches import evenly_spaced
    from madvae_tf.data.prepare import to_float

    split = splits_of(context)["test"]
    found = []
    for name, folder in context.inputs.items():
        attack = name.removeprefix("set:")
        if attack in (name, "none"):
            continue
        test = AdversarialSet.open(folder)
        picked = evenly_spaced(len(test), context.config["images"])
        x_adv, index = test.gather(picked)
        clean = to_float(split.images[index])
        parameters = test.metadata["parameters"]
        found.append((attack, attack, "oblivious", parameters, clean, x_adv, test.labels[picked]))
    return found


def _adaptive(context: Context, system: Any) -> list[tuple[Any, ...]]:
    """The same of attacks on the whole system: one that does not know of the detector, and one for each weight that evades it."""
    from madvae_tf.attacks.apgd import APGD
    from madvae_tf.attacks.joint import JointAPGD

    settings = context.config
    images, labels = drawn(context, settings["images"])
    own = {name: settings[name] for name in ("norm", "epsilon", "iterations")}
    attacks: dict[str, tuple[str, Any]] = {"apgd_ce_restarts": ("apgd_ce_restarts", APGD(**own))}
    for weight in settings["weights"]:
        # It goes on after its first success: to the smallest distance that still fools.
        attacks[f"joint_apgd@{weight:g}"] = ("joint_apgd", JointAPGD(**own, weight=weight, early=False))
    found = []
    for label, (name, attack) in attacks.items():
        x_adv = _attacked(context, label, attack, system, images, labels)
        found.append((label, name, "end_to_end", attack.parameters, images, x_adv, labels))
    return found


def _attacked(context: Context, label: str, attack: Any, system: Any, images: Any, labels: Any) -> Any:
    """The attacked images, batch by batch; a batch that was made before a stop is read."""
    import numpy as np

    from madvae_tf.attacks import run_attack

    size, made = context.config["batch_size"], []
    folder = context.scratch / "adaptive"
    folder.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, len(images), size)):
        path: Path = folder / f"{label}-{number:05d}.npy"
        if not path.exists():
            part = slice(start, start + size)
            seed = (context.config["seed"], number)
            x_adv = run_attack(attack, system, images[part], labels[part], seed, size).x_adv
            temporary = path.with_name(f".{path.name}.tmp")
            with temporary.open("wb") as file:
                np.save(file, x_adv)
            temporary.replace(path)
        made.append(np.load(path, allow_pickle=False))
    return np.concatenate(made)
