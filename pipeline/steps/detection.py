"""The stage that asks whether a purifier's doubts tell attacked images from clean ones."""

from pathlib import Path
from typing import Any

from madvae_tf.utils.files import write_json
from pipeline.engine.plan import Context
from pipeline.steps.common import defended, load_classifier, splits_of, start_anew
from pipeline.steps.robustness import drawn, prototypes


def measure_detection(context: Context) -> None:
    """Every detector on the test sets (oblivious) and on adaptive images, of which each detector
    has its own: `rows.json`, `roc.npz`, `warnings.json` (none).
    """
    import functools

    import numpy as np
    import tensorflow as tf

    from madvae_tf.evaluation.detection import detection_rows, detectors, roc, scores
    from madvae_tf.evaluation.oblivious import batched

    start_anew(context)
    settings = context.config
    size = settings["batch_size"]
    classifier = load_classifier(context.inputs["classifier"])
    system = defended(context, classifier)
    centers = None if system.encode is None else prototypes(context, system)
    functions = detectors(system, centers)
    common = {name: settings[name] for name in ("dataset", "defense", "seed")}
    # Who is fooled: the classifier that an oblivious attacker knows, or the whole.
    undefended = tf.function(functools.partial(classifier, training=False))
    judges = {"oblivious": undefended, "end_to_end": tf.function(system.logits)}
    rows: list[dict[str, Any]] = []
    curves: dict[str, Any] = {}
    adaptive = _adaptive(context, system, judges["end_to_end"], functions)
    sources = [*_oblivious(context, tuple(functions)), *adaptive]
    for attack, threat_model, parameters, watched, clean, x_adv, y in sources:
        predicted = batched(judges[threat_model], x_adv, size).argmax(axis=1)
        own = {name: functions[name] for name in watched}
        both = [scores(own, images, size) for images in (clean, x_adv)]
        named = {**common, "attack": attack, "threat_model": threat_model, "parameters": parameters}
        rows += detection_rows(both[0], both[1], predicted != y, named)
        for detector in own:
            curves[f"{attack}/{detector}"] = np.stack(roc(both[0][detector], both[1][detector]))
    np.savez(context.folder / "roc.npz", **curves)
    write_json(context.folder / "warnings.json", [])
    write_json(context.folder / "rows.json", rows)


def _oblivious(context: Context, names: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Of each attacked test set: attack, threat model, parameters, detectors, clean images,
    attacked images, labels.
    """
    from madvae_tf.data.adversarial_sets import AdversarialSet
    from madvae_tf.data.batches import evenly_spaced
    from madvae_tf.data.prepare import to_float

    split = splits_of(context)["test"]
    found = []
    for attack, folder in context.channel("set").items():
        if attack == "none":
            continue
        test = AdversarialSet.open(folder)
        picked = evenly_spaced(len(test), context.config["images"])
        x_adv, index = test.gather(picked)
        clean = to_float(split.images[index])
        parameters = test.metadata["parameters"]
        found.append((attack, "oblivious", parameters, names, clean, x_adv, test.labels[picked]))
    return found


def _adaptive(context: Context, system: Any, logits: Any, functions: Any) -> list[tuple[Any, ...]]:
    """The same of attacks on the whole system: one that does not know of the detectors, and one
    that evades each of them.

    An evasion has a weight, and no weight is the best for every image: of all of them, and of the
    attack that does not know, an image keeps what fools with the lowest score. `logits` are the
    system's, compiled. What that attack does not fool is not tried again: it stays what it made of
    it.
    """
    import dataclasses

    import numpy as np

    from madvae_tf.attacks.apgd import APGD
    from madvae_tf.attacks.evasion import Evasion
    from madvae_tf.evaluation.oblivious import batched

    settings = context.config
    size, weights = settings["batch_size"], settings["weights"]
    images, labels = drawn(context, settings["images"])
    own = {name: settings[name] for name in ("norm", "epsilon", "iterations")}
    plain = APGD(**own)
    x_adv = _attacked(context, "apgd_ce_restarts", plain, system, images, labels)
    fooled = np.flatnonzero(batched(logits, x_adv, size).argmax(axis=1) != labels)
    found = [
        (
            "apgd_ce_restarts",
            "end_to_end",
            plain.parameters,
            tuple(functions),
            images,
            x_adv,
            labels,
        )
    ]
    for name, function in functions.items() if len(fooled) else ():
        # In units of what clean images score, so that a weight means the same for every detector.
        unit = max(float(np.median(batched(function, images, size))), 1e-6)
        target = dataclasses.replace(system, score=lambda x, f=function, unit=unit: f(x) / unit)
        best = x_adv.copy()
        lowest = batched(function, best, size)
        for weight in weights:
            attack, label = Evasion(**own, weight=weight), f"evasion-{name}@{weight:g}"
            made = _attacked(context, label, attack, target, images[fooled], labels[fooled])
            scores = batched(function, made, size)
            wrong = batched(logits, made, size).argmax(axis=1) != labels[fooled]
            better = wrong & (scores < lowest[fooled])
            best[fooled[better]], lowest[fooled[better]] = made[better], scores[better]
        parameters = {**Evasion(**own).parameters, "weights": list(weights)}
        del parameters["weight"]
        found.append(("evasion", "end_to_end", parameters, (name,), images, best, labels))
    return found


def _attacked(
    context: Context, label: str, attack: Any, system: Any, images: Any, labels: Any
) -> Any:
    """The attacked images, batch by batch; a batch that was made before a stop is read."""
    import numpy as np

    from madvae_tf.attacks import run_attack
    from madvae_tf.utils.files import written

    size, made = context.config["batch_size"], []
    folder = context.scratch / "adaptive"
    for number, start in enumerate(range(0, len(images), size)):
        path: Path = folder / f"{label}-{number:05d}.npy"
        if not path.exists():
            part = slice(start, start + size)
            seed = (context.config["seed"], number)
            x_adv = run_attack(attack, system, images[part], labels[part], seed, size).x_adv
            with written(path) as partial:
                np.save(partial, x_adv)
        made.append(np.load(path, allow_pickle=False))
    return np.concatenate(made)
