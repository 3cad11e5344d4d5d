"""The stage that measures one defence, or none, on every test set."""

from typing import Any

from madvae_tf.utils.files import write_json
from pipeline.engine.plan import Context
from pipeline.steps.common import (
    class_names_in,
    defended,
    load_classifier,
    splits_of,
    start_anew,
)

# Images of each test set whose latent codes TensorBoard's projector shows.
_POINTS = 100
# Classes of which an image is shown.
_SHOWN = 10


def evaluate_defense(context: Context) -> None:
    """One defence (or none) on every test set: `rows.json`, `predictions.npz`, `images.npz`.

    With details also `tensorboard/`: confusion matrices, and the latent codes of a defence that has
    them.
    """
    import numpy as np
    import tensorflow as tf
    from scipy.special import softmax

    from madvae_tf.data.adversarial_sets import AdversarialSet
    from madvae_tf.data.batches import evenly_spaced
    from madvae_tf.data.prepare import to_float
    from madvae_tf.evaluation import oblivious
    from madvae_tf.report.names import POOLED_ATTACK, class_names
    from madvae_tf.training import tensorboard
    from madvae_tf.utils.confusions import confusion_matrix
    from madvae_tf.utils.progress import progress_bar

    start_anew(context)
    settings = context.config
    split = splits_of(context)["test"]
    classifier = load_classifier(context.inputs["classifier"])
    system = defended(context, classifier)
    undefended, logits = tf.function(classifier), tf.function(system.logits)
    detect = None if system.detect is None else tf.function(system.detect)
    size = settings["batch_size"]
    # Where another network stands in the classifier's place, the images were made on a model that
    # is not the one they meet.
    replaced = settings["defense"] != "none" and system.purify is None
    common = {
        "dataset": settings["dataset"],
        "threat_model": "transfer" if replaced else "oblivious",
        "defense": settings["defense"],
        "seed": settings["row_seed"],
    }
    tests = {name: AdversarialSet.open(folder) for name, folder in context.channel("set").items()}
    shown = _first_of_each_class(list(tests.values())[-1]) if settings["details"] else ()
    rows: list[dict[str, Any]] = []
    predictions: dict[str, Any] = {}
    images: dict[str, Any] = {}
    points: dict[str, list[Any]] = {"image": [], "label": [], "predicted": [], "attack": []}
    with progress_bar(len(tests), f"evaluate {settings['defense']}", "set") as bar:
        for name, test in tests.items():
            picked = evenly_spaced(len(test), settings["images"])
            x_adv, index = test.gather(picked)
            clean, label = to_float(split.images[index]), test.labels[picked]
            found = oblivious.batched(logits, x_adv, size)
            predicted, classes = found.argmax(axis=1), found.shape[1]
            clean_predicted = oblivious.batched(undefended, clean, size).argmax(axis=1)
            parameters = {**test.metadata["parameters"], **settings["note"]}
            named = {**common, "attack": name, "parameters": parameters}
            rows += oblivious.defense_rows(
                settings["table"], predicted, label, clean_predicted, named
            )
            if settings["defense"] == "defense_vae":
                rows += oblivious.defense_rows("table4", predicted, label, clean_predicted, named)
            if detect is not None:
                refused = oblivious.batched(detect, x_adv, size)
                rows += oblivious.detection_rows(
                    settings["table"], refused, predicted == label, named
                )
            if settings["defense"] == "none" and name != "none":
                rows += oblivious.attack_rows(x_adv, clean, predicted, label, named)
            predictions |= {
                f"{name}/predicted": predicted,
                f"{name}/label": label,
                f"{name}/index": index,
            }
            some = evenly_spaced(len(label), _POINTS)
            values = (x_adv[some], label[some], predicted[some], np.full(len(some), name))
            for column, value in zip(points.values(), values, strict=True):
                column.append(value)
            places = np.flatnonzero(np.isin(index, shown))
            places = places[np.argsort(label[places])]
            if len(places) and len(places) == len(shown):
                images |= {"clean": clean[places], "label": label[places]}
                images[f"prediction/{settings['defense']}/{name}"] = predicted[places]
                images[f"probabilities/{settings['defense']}/{name}"] = softmax(
                    found[places], axis=1
                )
                if system.purify is None:
                    images[f"adversarial/{name}"] = x_adv[places]
                else:
                    images[f"purified/{settings['defense']}/{name}"] = np.asarray(
                        system.purify(x_adv[places])
                    )
            bar.update()
    pooled = POOLED_ATTACK.split("+")
    if settings["details"] and set(pooled) <= set(tests):
        predicted, label = (
            np.concatenate([predictions[f"{name}/{field}"] for name in pooled])
            for field in ("predicted", "label")
        )
        rows += oblivious.confusion_rows(predicted, label, common, classes)
    if settings["details"]:
        board = context.folder / "tensorboard"
        matrices = {
            name: confusion_matrix(
                predictions[f"{name}/predicted"], predictions[f"{name}/label"], classes
            )
            for name in tests
        }
        named = {"classes": class_names_in(context.inputs["data"], settings["dataset"])}
        tensorboard.write_confusions(board, matrices, class_names(named, classes))
        if system.encode is not None:
            columns = {name: np.concatenate(values) for name, values in points.items()}
            seen = columns.pop("image")
            tensorboard.write_projector(
                board, oblivious.batched(tf.function(system.encode), seen, size), columns, seen
            )
    np.savez(context.folder / "predictions.npz", **predictions)
    np.savez(context.folder / "images.npz", **images)
    write_json(context.folder / "rows.json", rows)


def _first_of_each_class(test: Any) -> Any:
    """Indices of the images that Figures 7-11 show: the first of each class in a test set, of ten
    evenly spaced classes where there are more.
    """
    import numpy as np

    from madvae_tf.data.batches import evenly_spaced

    first = np.unique(test.labels, return_index=True)[1]
    return test.indices[first[evenly_spaced(len(first), _SHOWN)]]
