"""The stage of the clustering figures: one UMAP picture, and how well its classes cluster (section
3.3).
"""

from collections.abc import Sequence
from typing import Any

from madvae_tf.utils.files import write_json
from pipeline.engine.plan import Context
from pipeline.steps.common import load_classifier, load_model, start_anew

PICTURES = ("test", "adversarial", "output", "latent")


def measure_clusters(context: Context) -> None:
    """One picture: `clusters.npz` with "<of>/<defense>/xy", ".../label" and ".../predicted", and
    `rows.json`.

    `of` says what is drawn: the "test" images, the "adversarial" ones (FGSM, Rand-FGSM and CW
    together, as in the paper), the purifier's "output" for these, or its "latent" means.
    Predictions are the classifier's on the test, the adversarial and the purified images. Both
    measures are taken in the features' own space and in the picture, with true labels and with
    predictions; a silhouette that is undefined has no row.
    """
    import numpy as np

    from madvae_tf.evaluation import clusters
    from madvae_tf.report.names import POOLED_ATTACK
    from madvae_tf.utils.errors import lookup

    start_anew(context)
    settings = context.config
    of, k = settings["of"], settings["k"]
    lookup(dict.fromkeys(PICTURES), of, "picture")
    attack = "none" if of == "test" else POOLED_ATTACK
    images, label = _points(context, attack.split("+"), settings["images"])
    features, predicted = _features(context, images)
    xy = clusters.embed(features, settings["seed"])
    rows: list[dict[str, Any]] = []
    for labels_name, labels in (("label", label), ("predicted", predicted)):
        for space, points in (("features", features), ("umap", xy)):
            values = {
                "silhouette": clusters.silhouette(points, labels),
                "knn_purity": clusters.knn_purity(points, labels, k),
            }
            rows += [
                {
                    "table": "clusters",
                    "dataset": settings["dataset"],
                    "attack": attack,
                    "parameters": {"of": of, "labels": labels_name, "space": space, "k": k},
                    "threat_model": "oblivious",
                    "defense": settings["defense"],
                    "metric": metric,
                    "value": value,
                    "ci_low": None,
                    "ci_high": None,
                    "n": len(label),
                    "seed": settings["seed"],
                    "paper": None,
                }
                for metric, value in values.items()
                if value is not None
            ]
    name = f"{of}/{settings['defense']}"
    picture = {f"{name}/xy": xy, f"{name}/label": label, f"{name}/predicted": predicted}
    np.savez(context.folder / "clusters.npz", **picture)
    write_json(context.folder / "rows.json", rows)


def _points(context: Context, names: Sequence[str], wanted: int) -> tuple[Any, Any]:
    """As many images of each named test set, evenly spaced: float32 (n, height, width, channels),
    and labels int64 (n,).
    """
    import numpy as np

    from madvae_tf.data.adversarial_sets import AdversarialSet

    images, labels = [], []
    for name in names:
        test = AdversarialSet.open(context.channel("set")[name])
        count = min(max(wanted // len(names), 1), len(test))
        rows = np.linspace(0, len(test) - 1, count).astype(int)
        images.append(test.gather(rows)[0])
        labels.append(test.labels[rows])
    return np.concatenate(images), np.concatenate(labels)


def _features(context: Context, images: Any) -> tuple[Any, Any]:
    """What is drawn, float32 (n, d), and the classifier's predictions, int64 (n,), as the settings
    say.
    """
    import tensorflow as tf

    from madvae_tf.evaluation.oblivious import batched

    settings = context.config
    of, batch_size = settings["of"], settings["batch_size"]
    classifier = load_classifier(context.inputs["classifier"])
    features = drawn = images
    if of in ("output", "latent"):
        purifier = load_model(context.inputs["vae"] / "purifier.keras")
        drawn = batched(tf.function(purifier), images, batch_size)
        means = tf.function(lambda batch: purifier.encode(batch)[0])
        features = batched(means, images, batch_size) if of == "latent" else drawn
    predicted = batched(tf.function(classifier), drawn, batch_size).argmax(axis=1)
    return features.reshape(len(features), -1), predicted
