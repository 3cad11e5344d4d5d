"""The black-box stages on linear models and random images: every row against NumPy."""

import json
import zlib

import numpy as np
import pytest
import tensorflow as tf

import madvae_tf.evaluation.extraction
from madvae_tf.data.generate import draw_rows
from madvae_tf.data.prepare import Split, to_float
from madvae_tf.evaluation.intervals import wilson_interval
from madvae_tf.report.names import FIELDS
from pipeline.engine.plan import Context
from pipeline.steps import black_box

SEED, EPSILON = 9, 0.05


class LinearModel:
    """Logits flat(x) @ kernel, as a loaded classifier is called."""

    def __init__(self, seed):
        self.kernel = np.random.default_rng(seed).standard_normal((784, 10)).astype(np.float32) / 28

    def __call__(self, images, training=False):
        assert not training
        return tf.reshape(images, (-1, 784)) @ self.kernel

    def predict(self, images):
        return (images.reshape(-1, 784) @ self.kernel).argmax(axis=1)

    def fgsm(self, images, label):
        z = images.reshape(-1, 784).astype(np.float64) @ self.kernel
        probabilities = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        sign = np.sign((probabilities - np.eye(10)[label]) @ self.kernel.T).reshape(images.shape)
        return np.clip(images + EPSILON * sign, 0, 1).astype(np.float32)


CLASSIFIER, SUBSTITUTE = LinearModel(1), LinearModel(2)


def negative(images):
    return 1 - images


def squared(images):
    return images**2


PURIFIERS = {"vanilla": negative, "pd": squared}
MODELS = {"classifier": CLASSIFIER, "substitute": SUBSTITUTE, **PURIFIERS}


def random_split(n, seed):
    """Labels agree with both models often enough for every rate to be telling."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (n, 28, 28, 1), dtype=np.uint8)
    x, chance = to_float(images), generator.random(n)
    by_model = np.where(chance < 0.5, SUBSTITUTE.predict(x), CLASSIFIER.predict(x))
    return Split(
        images, np.where(chance < 0.9, by_model, generator.integers(0, 10, n)).astype(np.int64)
    )


SPLITS = {"validation": random_split(30, 3), "test": random_split(70, 4)}


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs a stage function on the models above and returns its rows by table, attack, defence and
    metric.
    """
    asked = []

    def load_model(path):
        asked.append(path.name)
        return MODELS[path.parent.name]

    monkeypatch.setattr(black_box, "splits_of", lambda context: SPLITS)
    monkeypatch.setattr(black_box, "load_model", load_model)
    monkeypatch.setattr(
        black_box, "load_classifier", lambda folder: load_model(folder / "classifier.keras")
    )

    def run(function, inputs, config):
        folders = {name: tmp_path / folder for name, folder in inputs.items()}
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "left.over").touch()
        common = {"dataset": "mnist", "validation_images": 30, "seed": SEED, "epsilon": EPSILON}
        function(Context(tmp_path / "out", tmp_path / "scratch", folders, {**common, **config}))
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["rows.json"]
        rows = json.loads((tmp_path / "out" / "rows.json").read_text())
        for row in rows:
            assert set(row) == set(FIELDS)
            assert (row["dataset"], row["seed"]) == ("mnist", SEED)
            interval = wilson_interval(round(row["value"] * row["n"]), row["n"])
            assert (row["ci_low"], row["ci_high"]) == pytest.approx(interval)
        named = {
            tuple(row[k] for k in ("table", "attack", "defense", "metric")): row for row in rows
        }
        assert len(named) == len(rows)
        return named, asked

    return run


def values(rows):
    return {name: row["value"] for name, row in rows.items()}


def test_attack_substitute_row_by_row(run):
    inputs = {
        "data": "data",
        "classifier": "classifier",
        "substitute": "substitute",
        "defense:vanilla": "vanilla",
        "defense:pd": "pd",
    }
    config = {"batch_size": 16, "images": 40, "clean_images": 60, "substitute": "C"}
    rows, loaded = run(black_box.attack_substitute, inputs, config)
    assert sorted(loaded) == ["classifier.keras"] * 2 + ["purifier.keras"] * 2

    test = SPLITS["test"]
    drawn = draw_rows(70, 40, SEED, zlib.crc32(b"test"))
    x, y = to_float(test.images[drawn]), test.labels[drawn]
    x_adv = SUBSTITUTE.fgsm(x, y)
    many = draw_rows(70, 60, SEED, zlib.crc32(b"test"))
    accurate = SUBSTITUTE.predict(to_float(test.images[many])) == test.labels[many]
    expected = {("table3a", "none", "none", "accuracy"): accurate.mean()}
    for name, purify in {"none": lambda images: images, **PURIFIERS}.items():
        for table, model in (("table3a", SUBSTITUTE), ("table3b", CLASSIFIER)):
            predicted = model.predict(purify(x_adv))
            expected[table, "fgsm", name, "accuracy"] = np.mean(predicted == y)
            expected[table, "fgsm", name, "agreement"] = np.mean(predicted == model.predict(x))
        predicted = CLASSIFIER.predict(purify(x))
        expected["table3b", "none", name, "accuracy"] = np.mean(predicted == y)
        if name != "none":
            expected["table3b", "none", name, "agreement"] = np.mean(
                predicted == CLASSIFIER.predict(x)
            )
    assert values(rows) == pytest.approx(expected)
    # The fixture's figures tell the cells apart: no attack, the wrong model or the wrong order
    # would show.
    attacked = [expected[table, "fgsm", "none", "agreement"] for table in ("table3a", "table3b")]
    assert attacked[0] < 0.5 < attacked[1] < 1

    for (table, attack, _, _), row in rows.items():
        assert row["threat_model"] == {"table3a": "oblivious", "table3b": "transfer"}[table]
        assert row["n"] == (60 if (table, attack) == ("table3a", "none") else 40)
        budget = {"epsilon": EPSILON} if attack == "fgsm" else {}
        assert row["parameters"] == {"substitute": "C", **budget}


@pytest.mark.parametrize("defense", ["none", "vanilla"])
def test_extract_and_attack_row_by_row(run, monkeypatch, defense):
    real, seen = madvae_tf.evaluation.extraction.extract, {}

    def extract(query, build, images, *arguments):
        seen.update(
            images=images, labels=query(images), result=real(query, build, images, *arguments)
        )
        return seen["result"]

    monkeypatch.setattr(madvae_tf.evaluation.extraction, "extract", extract)
    config = {
        "substitute": "E",
        "defense": defense,
        "seed_images": 12,
        "rounds": 2,
        "epochs": 2,
        "learning_rate": 1e-3,
        "augmentation": 0.1,
        "images": 40,
        "batch_size": 8,
        "precision": "float32",
    }
    inputs = {"data": "data", "classifier": "classifier"} | (
        {"defense": defense} if defense != "none" else {}
    )
    rows, loaded = run(black_box.extract_and_attack, inputs, config)
    assert len(loaded) == len(inputs) - 1

    purify = PURIFIERS.get(defense, lambda images: images)
    held_out = to_float(SPLITS["validation"].images)
    of_the_attacker = (seen["images"][:, None] == held_out[None]).all(axis=(2, 3, 4))
    assert (of_the_attacker.sum(axis=1) == 1).all() and of_the_attacker.any(axis=0).sum() == 12
    np.testing.assert_array_equal(seen["labels"], CLASSIFIER.predict(purify(seen["images"])))

    substitute = seen["result"].substitute
    drawn = draw_rows(70, 40, SEED, zlib.crc32(b"test"))
    x, y = to_float(SPLITS["test"].images[drawn]), SPLITS["test"].labels[drawn]
    with tf.GradientTape() as tape:
        images = tf.constant(x)
        tape.watch(images)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(y, substitute(images))
    x_adv = np.clip(x + EPSILON * np.sign(tape.gradient(loss, images).numpy()), 0, 1).astype(
        np.float32
    )
    predicted = CLASSIFIER.predict(purify(x_adv))
    of_substitute, of_attacked = (substitute(v).numpy().argmax(axis=1) for v in (x, x_adv))
    expected = {
        ("table3c", "fgsm", defense, "accuracy"): np.mean(predicted == y),
        ("table3c", "fgsm", defense, "agreement"): np.mean(predicted == CLASSIFIER.predict(x)),
        ("table3c", "fgsm", defense, "success_rate"): np.mean(of_attacked != y),
        ("table3c", "none", defense, "substitute_agreement"): np.mean(
            of_substitute == CLASSIFIER.predict(purify(x))
        ),
    }
    assert values(rows) == pytest.approx(expected)
    for (_, attack, _, _), row in rows.items():
        assert (row["threat_model"], row["n"]) == ("transfer", 40)
        cost = {"substitute": "E", "queries": 48, "seed_images": 12, "rounds": 2}
        assert row["parameters"] == (cost if attack == "none" else {**cost, "epsilon": EPSILON})


def test_the_test_images_are_those_of_the_other_attacks(monkeypatch, tmp_path):
    """Both draws by the code that makes them: the stage of adversarial sets, and these."""
    from pipeline.steps import data

    monkeypatch.setattr(data, "splits_of", lambda context: SPLITS)
    monkeypatch.setattr(data, "attack_target", lambda *arguments: None)
    settings = {"split": "test", "images": 25, "seed": SEED, "draw": ["test"], "attack": "none"}
    settings |= {
        "parameters": {},
        "precision": "float32",
        "batch_size": 5,
        "shard_size": 5,
        "dataset": "mnist",
    }
    inputs = {"classifier": tmp_path}
    drawn = data.set_work(Context(tmp_path, tmp_path, inputs, settings)).rows
    images, labels = black_box._drawn(SPLITS["test"], 25, SEED, black_box._TEST)
    np.testing.assert_array_equal(images, to_float(SPLITS["test"].images[drawn]))
    np.testing.assert_array_equal(labels, SPLITS["test"].labels[drawn])
