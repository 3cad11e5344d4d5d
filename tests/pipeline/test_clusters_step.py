"""The stage of the clustering figures: which images, whose predictions, which rows."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.data.adversarial_sets import ShardWriter
from madvae_tf.evaluation import clusters
from madvae_tf.report.names import POOLED_ATTACK
from madvae_tf.report.schema import validate_rows
from madvae_tf.utils.errors import UserError
from pipeline.engine.plan import Context
from pipeline.steps.clusters import measure_clusters

SIZES = {"none": 25, "fgsm": 12, "rand_fgsm": 12, "cw": 12}
# What each attack adds to the digit that an image shows, and what the purifier takes off again.
SHIFTS = {"none": 0, "fgsm": 1, "rand_fgsm": 1, "cw": 2}
PURIFIED = -1


def shown(digits):
    """An image that shows a digit: its first pixel is a tenth of it."""
    images = np.random.default_rng(0).random((len(digits), 28, 28, 1), dtype=np.float32) * 0.05
    images[:, 0, 0, 0] = np.asarray(digits) / 10
    return images


class Classifier:
    """Reads the digit off the first pixel."""

    def __call__(self, images):
        return -tf.abs(10 * images[:, 0, 0, :] - tf.range(10, dtype=tf.float32))


class Purifier:
    """Takes one off the digit; its latent mean is the first three pixels."""

    def __call__(self, images):
        first = np.zeros((1, 28, 28, 1), np.float32)
        first[0, 0, 0, 0] = PURIFIED / 10
        return tf.clip_by_value(images + first, 0.0, 1.0)

    def encode(self, images):
        mean = images[:, 0, :3, 0]
        return mean, tf.fill(tf.shape(mean), -7.0)


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Runs the stage on four small sets; gives the rows, the arrays, and what `embed` was called
    with.
    """
    labels = {name: np.arange(size) % 5 for name, size in SIZES.items()}
    for name, size in SIZES.items():
        writer = ShardWriter(tmp_path / name, 25)
        writer.write(0, shown(labels[name] + SHIFTS[name]), np.arange(size), labels[name])
        facts = {"dataset": "mnist", "split": "test", "attack": name, "parameters": {}, "seed": 0}
        writer.finish(facts)
    models = {"classifier.keras": Classifier(), "purifier.keras": Purifier()}
    monkeypatch.setattr("pipeline.steps.clusters.load_model", lambda path: models[path.name])
    monkeypatch.setattr(
        "pipeline.steps.clusters.load_classifier", lambda folder: models["classifier.keras"]
    )
    calls = []

    def embed(features, seed, **more):
        calls.append((features, seed))
        return np.stack([np.arange(len(features)), np.zeros(len(features))], axis=1).astype(
            np.float32
        )

    monkeypatch.setattr(clusters, "embed", embed)

    def run(of, defense="none", **changes):
        folder = tmp_path / f"{of}-{defense}"
        (folder / "scratch").mkdir(parents=True, exist_ok=True)
        config = {
            **{"dataset": "mnist", "seed": 6, "of": of, "defense": defense, "images": 18, "k": 3},
            **{"batch_size": 5, "validation_images": 5},
            **changes,
        }
        inputs = {f"set:{name}": tmp_path / name for name in SIZES}
        inputs |= {"classifier": tmp_path, **({"vae": tmp_path} if defense != "none" else {})}
        measure_clusters(Context(folder, folder / "scratch", inputs, config))
        with np.load(folder / "clusters.npz") as arrays:
            arrays = dict(arrays)
        rows = json.loads((folder / "rows.json").read_text())
        return SimpleNamespace(rows=rows, arrays=arrays, features=calls[-1][0], seed=calls[-1][1])

    return run


EVEN = np.linspace(0, 11, 6).astype(int)  # a third of 18 of each set of twelve
POOLED_LABELS = np.tile(EVEN % 5, 3)
POOLED_SHOWN = np.concatenate([EVEN % 5 + SHIFTS[name] for name in ("fgsm", "rand_fgsm", "cw")])


def test_the_test_picture_is_of_clean_images_evenly_spaced(stage):
    result = stage("test")
    label = np.linspace(0, 24, 18).astype(int) % 5
    assert set(result.arrays) == {f"test/none/{name}" for name in ("xy", "label", "predicted")}
    np.testing.assert_array_equal(result.arrays["test/none/label"], label)
    np.testing.assert_array_equal(result.arrays["test/none/predicted"], label)
    assert result.arrays["test/none/xy"].shape == (18, 2)
    assert result.features.shape == (18, 784) and result.seed == 6
    np.testing.assert_allclose(result.features[:, 0], label / 10, atol=1e-6)
    assert {row["attack"] for row in result.rows} == {"none"}


def test_the_adversarial_picture_pools_three_sets_with_the_undefended_predictions(stage):
    result = stage("adversarial")
    np.testing.assert_array_equal(result.arrays["adversarial/none/label"], POOLED_LABELS)
    np.testing.assert_array_equal(result.arrays["adversarial/none/predicted"], POOLED_SHOWN)
    np.testing.assert_allclose(result.features[:, 0], POOLED_SHOWN / 10, atol=1e-6)
    assert {row["attack"] for row in result.rows} == {POOLED_ATTACK}


@pytest.mark.parametrize("of", ["output", "latent"])
def test_behind_a_purifier_the_classifier_sees_purified_images(stage, of):
    result = stage(of, "cls")
    np.testing.assert_array_equal(result.arrays[f"{of}/cls/predicted"], POOLED_SHOWN + PURIFIED)
    np.testing.assert_array_equal(result.arrays[f"{of}/cls/label"], POOLED_LABELS)
    if of == "output":
        assert result.features.shape == (18, 784)
        np.testing.assert_allclose(result.features[:, 0], (POOLED_SHOWN + PURIFIED) / 10, atol=1e-6)
    else:  # The encoder sees the attacked images.
        assert result.features.shape == (18, 3)
        np.testing.assert_allclose(result.features[:, 0], POOLED_SHOWN / 10, atol=1e-6)
    assert {row["defense"] for row in result.rows} == {"cls"}


def test_rows_are_both_measures_of_both_labels_in_both_spaces(stage):
    result = stage("output", "cls")
    validate_rows(result.rows)
    got = {
        (row["metric"], row["parameters"]["labels"], row["parameters"]["space"]): row["value"]
        for row in result.rows
    }
    labels = {"label": POOLED_LABELS, "predicted": POOLED_SHOWN + PURIFIED}
    spaces = {"features": result.features, "umap": result.arrays["output/cls/xy"]}
    expected = {
        (metric, name, space): measure(spaces[space], labels[name])
        for name in labels
        for space in spaces
        for metric, measure in (
            ("silhouette", clusters.silhouette),
            ("knn_purity", lambda points, of: clusters.knn_purity(points, of, 3)),
        )
    }
    assert got == pytest.approx(expected)
    assert len(result.rows) == len(set(got.values())) == 8
    fixed = {
        "table": "clusters",
        "dataset": "mnist",
        "threat_model": "oblivious",
        "n": 18,
        "seed": 6,
    }
    fixed |= {"ci_low": None, "ci_high": None, "paper": None}
    assert all(row | fixed == row for row in result.rows)
    assert {(row["parameters"]["of"], row["parameters"]["k"]) for row in result.rows} == {
        ("output", 3)
    }


def test_a_constant_prediction_has_no_silhouette(stage, monkeypatch):
    monkeypatch.setattr(
        Classifier, "__call__", lambda self, images: images[:, 0, 0, :] + tf.one_hot([4], 10)
    )
    result = stage("adversarial")
    got = {(row["metric"], row["parameters"]["labels"]) for row in result.rows}
    assert got == {("silhouette", "label"), ("knn_purity", "label"), ("knn_purity", "predicted")}
    pure = [
        r["value"]
        for r in result.rows
        if (r["metric"], r["parameters"]["labels"]) == ("knn_purity", "predicted")
    ]
    assert pure == [1.0, 1.0]


def test_more_points_than_there_are_take_all_and_an_attempts_leftovers_go(stage, tmp_path):
    (tmp_path / "adversarial-none").mkdir()
    (tmp_path / "adversarial-none" / "leftover.npy").write_text("")
    result = stage("adversarial", images=3000)
    assert len(result.arrays["adversarial/none/label"]) == 36
    assert not (tmp_path / "adversarial-none" / "leftover.npy").exists()


def test_an_unknown_picture_is_refused(stage):
    with pytest.raises(
        UserError, match="Unknown picture 'inputs'.*test, adversarial, output, latent"
    ):
        stage("inputs")
