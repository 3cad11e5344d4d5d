"""A classifier of the user's own: what keys its stage, what stays as it was, and what the stage takes over."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import FGSM
from madvae_tf.config import Config, from_dict, to_dict
from madvae_tf.data.prepare import Split
from madvae_tf.errors import UserError
from madvae_tf.export import export_classifier, export_purifier
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.overrides import override
from pipeline.planning import Context
from pipeline.stages import STAGES, build_stages
from pipeline.steps import common
from pipeline.steps.adopt import adopt_classifier

WEIGHTS = 0.1 * np.random.default_rng(0).standard_normal((784, 10)).astype(np.float32)


def model(activation=None):
    """One dense layer with fixed weights."""
    own = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10, activation=activation)]
    )
    own.set_weights([WEIGHTS, np.zeros(10, np.float32)])
    return own


def stages(*assignments):
    graph = build_stages(override(Config(), assignments), "run")
    return {stage.label: stage for kind in STAGES for stage in graph[kind]}


def test_the_key_is_the_content_and_not_the_place(tmp_path):
    one, other = tmp_path / "one.keras", tmp_path / "deep" / "other.keras"
    other.parent.mkdir()
    one.write_bytes(b"weights")
    other.write_bytes(b"weights")
    first, second = (stages(f"classifier.path={path}") for path in (one, other))
    assert {label: stage.key for label, stage in first.items() if label != "report"} == {
        label: stage.key for label, stage in second.items() if label != "report"
    }
    other.write_bytes(b"Weights")
    third = stages(f"classifier.path={other}")
    changed = {label for label, stage in third.items() if stage.key != first[label].key}
    assert changed == set(first) - {"data mnist"}
    # It is not trained: how Table 6 is does not matter, what it gives does.
    assert (
        stages(f"classifier.path={one}", "classifier.epochs=99")["classifier own"].key
        == first["classifier own"].key
    )
    said = stages(f"classifier.path={one}", "classifier.outputs=logits")
    assert said["classifier own"].key != first["classifier own"].key


def test_every_file_of_a_saved_model_counts(tmp_path):
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "data").write_bytes(b"1")
    before = stages(f"classifier.path={folder}")["classifier own"].key
    (folder / "variables" / "data").write_bytes(b"2")
    assert stages(f"classifier.path={folder}")["classifier own"].key != before


def test_purifiers_take_it_as_it_is_and_substitutes_are_trained_as_ever(tmp_path):
    path = tmp_path / "own.keras"
    path.write_bytes(b"weights")
    own = stages(f"classifier.path={path}", "black_box.substitutes=D")
    plain = stages("black_box.substitutes=D")
    assert own["vae cls"].config["classifier"] == "" and plain["vae cls"].config["classifier"] == "table6"
    assert own["substitute D"].key == plain["substitute D"].key
    assert own["attack train-fgsm-0.3"].config["precision"] == "float32"
    assert "classifier" not in own and "path" not in plain["classifier"].config


def test_a_field_that_was_added_later_is_in_no_dict_until_it_is_used():
    assert not {"path", "outputs"} & set(to_dict(Config())["classifier"])
    config = override(Config(), ["classifier.path=a.keras", "classifier.outputs=logits"])
    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config
    assert from_dict(to_dict(Config())) == Config()


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["classifier.path=missing.keras"], "Invalid classifier.path: received 'missing.keras'"),
        (["classifier.path=configs"], "or the folder of a SavedModel"),
        (["classifier.outputs=scores"], "Invalid classifier.outputs: received 'scores'"),
        (
            ["classifier.path=missing.keras", "baselines.names=blur,adversarial_pgd"],
            "received adversarial_pgd with classifier.path",
        ),
    ],
)
def test_what_cannot_be_adopted_is_refused_in_the_plan(assignments, message):
    with pytest.raises(UserError, match=message):
        stages(*assignments)


@pytest.fixture
def adopted(tmp_path, monkeypatch):
    """path -> the artifact's folder, for 50 images whose labels are the model's own for all but five of them."""
    images = np.random.default_rng(3).integers(0, 256, (50, 28, 28, 1), dtype=np.uint8)
    labels = ((images.reshape(50, 784) / 255) @ WEIGHTS).argmax(axis=1)
    labels[:5] = (labels[:5] + 1) % 10
    split = Split(images, labels)
    monkeypatch.setattr(
        "pipeline.steps.adopt.splits_of", lambda context: dict.fromkeys(["validation", "test"], split)
    )

    def run(path):
        stage = stages(f"classifier.path={path}")["classifier own"]
        folder = tmp_path / f"artifact-{path.name}"
        folder.mkdir()
        stage.run(Context(folder, tmp_path, {}, stage.config))
        return folder

    return run


@pytest.mark.parametrize("kind", ["logits.keras", "probabilities.keras", "exported", "ours"])
def test_the_stage_copies_checks_and_measures(adopted, tmp_path, kind):
    path = tmp_path / kind
    if kind == "exported":
        model("softmax").export(path, verbose=False)
    elif kind == "ours":
        export_classifier(path, model())
    else:
        model("softmax" if kind.startswith("prob") else None).save(path)
    folder = adopted(path)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (metrics["test"]["accuracy"], metrics["validation"]["n"]) == (0.9, 50)
    record = json.loads((folder / "adopted.json").read_text())
    assert record["outputs"] == ("logits" if kind == "logits.keras" else "probabilities")
    # Everything downstream goes through these two.
    x = np.random.default_rng(4).random((6, 28, 28, 1), np.float32)
    classifier = common.load_classifier(folder)
    expected = tf.nn.softmax(x.reshape(6, 784) @ WEIGHTS).numpy()
    np.testing.assert_allclose(tf.nn.softmax(classifier(x)), expected, atol=1e-5)
    target = common.attack_target(folder, "mixed_bfloat16")
    label = expected.argmax(axis=1)
    gradient = (expected - np.eye(10)[label]) @ WEIGHTS.T
    by_hand = np.clip(x.reshape(6, 784) + 0.1 * np.sign(gradient), 0, 1)
    attacked = FGSM(epsilon=0.1)(target, tf.constant(x), tf.constant(label), (0, 0))
    certain = np.abs(gradient) > 1e-4
    assert certain.mean() > 0.5
    np.testing.assert_allclose(attacked.numpy().reshape(6, 784)[certain], by_hand[certain], atol=1e-6)
    # And it is exported with a purifier, and alone.
    purifier = DefenseVAE(2)
    export_purifier(tmp_path / "export", purifier, classifier)
    export_classifier(tmp_path / "alone", classifier)
    for name, images in (("export", purifier(x).numpy()), ("alone", x)):
        signature = tf.saved_model.load(str(tmp_path / name)).signatures["classify"]
        np.testing.assert_allclose(
            signature(images=tf.constant(x))["probabilities"],
            tf.nn.softmax(images.reshape(6, 784) @ WEIGHTS),
            atol=1e-5,
        )
    kept = "classifier.keras" if kind.endswith(".keras") else "original/saved_model.pb"
    assert (tmp_path / "alone" / kept).is_file()


def test_a_file_that_changes_after_the_plan_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "own.keras"
    model().save(path)
    stage = stages(f"classifier.path={path}")["classifier own"]
    model("softmax").save(path)
    monkeypatch.setattr("pipeline.steps.adopt.splits_of", lambda context: {})
    folder = tmp_path / "artifact"
    folder.mkdir()
    path = tmp_path / "changed.keras"
    DefenseVAE(2).save(path)
    with pytest.raises(UserError, match="has changed since the run began"):
        adopt_classifier(path, Context(folder, tmp_path, {}, stage.config))


def robust_stages(*assignments):
    return stages("vae.variants=vanilla,robust", *assignments)


def test_a_purifier_made_elsewhere_is_known_by_its_content(tmp_path):
    one, other = tmp_path / "one.keras", tmp_path / "other.keras"
    for path in (one, other):
        path.write_bytes(b"weights")
    first, second = (robust_stages(f"robust.path={path}") for path in (one, other))
    assert first["vae robust"].key == second["vae robust"].key
    # How it would be trained does not matter; how it is measured does.
    for field, same in (("epochs=9", True), ("validation_steps=9", False), ("epsilon=0.2", False)):
        changed = robust_stages(f"robust.path={one}", f"robust.{field}")["vae robust"].key
        assert (changed == first["vae robust"].key) == same
    other.write_bytes(b"Weights")
    third = robust_stages(f"robust.path={other}")
    changed = {label for label, stage in third.items() if stage.key != first[label].key}
    assert changed == {"vae robust", "evaluate robust", "export robust", "report"}


def test_a_surrogate_is_trained_although_the_purifier_is_not(tmp_path):
    path = tmp_path / "one.keras"
    path.write_bytes(b"weights")
    wanted = ("robustness.defenses=robust", "robustness.threat_models=transfer", "robustness.linf=0.3")
    adopted = robust_stages(f"robust.path={path}", *wanted)["vae robust-seed1"]
    assert adopted.key == robust_stages(*wanted)["vae robust-seed1"].key
    assert adopted.config["parameters"]["seed"] == 1 and "path" not in adopted.config["parameters"]


def test_a_training_goes_on_from_a_purifier_that_is_known_by_its_content(tmp_path):
    path = tmp_path / "one.keras"
    path.write_bytes(b"weights")
    wanted = ("robustness.defenses=robust", "robustness.threat_models=transfer", "robustness.linf=0.3")
    plain, first = robust_stages(*wanted), robust_stages(f"robust.start={path}", *wanted)
    assert first["vae robust"].inputs["trained:start"] is first["vae robust-start"]
    assert "start" not in first["vae robust"].config["parameters"]
    path.write_bytes(b"Weights")
    second = robust_stages(f"robust.start={path}", *wanted)
    for one, other in ((plain, first), (first, second)):
        assert one["vae robust"].key != other["vae robust"].key
        # A surrogate is trained from nothing.
        for label in ("vae vanilla", "vae robust-seed1"):
            assert one[label].key == other[label].key
    # How it is trained further has no part in what it starts from.
    assert (
        robust_stages(f"robust.start={path}", "robust.epochs=9")["vae robust-start"].key
        == second["vae robust-start"].key
    )


@pytest.mark.parametrize("field", ["path", "start"])
@pytest.mark.parametrize("path", ["missing.keras", "configs"])
def test_no_purifier_is_refused_in_the_plan(path, field):
    message = rf"Invalid robust.{field}: received '{path}', expected a .keras file"
    with pytest.raises(UserError, match=message):
        robust_stages(f"robust.{field}={path}")


@pytest.fixture
def adopted_robust(tmp_path, monkeypatch):
    """path -> the artifact's folder, for 12 images whose labels are what the linear model says of all but three."""
    images = np.random.default_rng(3).integers(0, 256, (12, 28, 28, 1), dtype=np.uint8)
    labels = ((images.reshape(12, 784) / 255) @ WEIGHTS).argmax(axis=1)
    labels[:3] = (labels[:3] + 1) % 10
    split = Split(images, labels)
    for module in ("adopt", "training"):
        monkeypatch.setattr(
            f"pipeline.steps.{module}.splits_of",
            lambda context: dict.fromkeys(["train", "validation", "test"], split),
        )
    model().save(tmp_path / "classifier.keras")

    def run(path, *more, change=lambda: None):
        stage = robust_stages(
            f"robust.path={path}", "robust.validation_images=12", "robust.validation_steps=2", *more
        )["vae robust"]
        change()
        folder = tmp_path / f"artifact-{path.name}"
        folder.mkdir()
        stage.run(Context(folder, tmp_path, {"classifier": tmp_path, "data": tmp_path}, stage.config))
        return folder

    return run


def test_a_purifier_is_copied_and_measured(adopted_robust, tmp_path):
    """Against the definition: the classifier on what the purifier makes of the images."""
    path = tmp_path / "purifier.keras"
    purifier = DefenseVAE(2, squash_scale=10.0)
    purifier.save(path)
    folder = adopted_robust(path)
    assert (folder / "purifier.keras").read_bytes() == path.read_bytes()
    metrics = json.loads((folder / "metrics.json").read_text())
    x = np.random.default_rng(3).integers(0, 256, (12, 28, 28, 1), dtype=np.uint8).astype(np.float32) / 255
    labels = (x.reshape(12, 784) @ WEIGHTS).argmax(axis=1)
    labels[:3] = (labels[:3] + 1) % 10
    purified = purifier.purify(tf.constant(x)).numpy().reshape(12, 784)
    accuracy = ((purified @ WEIGHTS).argmax(axis=1) == labels).mean()
    assert metrics["validation_accuracy"] == pytest.approx(accuracy) and metrics["validation_images"] == 12
    assert metrics["validation_attacked_accuracy"] <= metrics["validation_accuracy"]


def test_what_is_no_purifier_of_these_images_is_refused(adopted_robust, tmp_path):
    model().save(tmp_path / "dense.keras")
    (tmp_path / "text.keras").write_text("weights")
    DefenseVAE(2, image_shape=(32, 32, 3)).save(tmp_path / "colour.keras")
    for name, message in (
        ("dense", "holds Sequential, expected a DefenseVAE"),
        ("text", "cannot be read \\(.*Error\\), expected a DefenseVAE"),
        ("colour", r"takes images of shape \(32, 32, 3\), expected \(28, 28, 1\)"),
    ):
        with pytest.raises(UserError, match=message):
            adopted_robust(tmp_path / f"{name}.keras")
    path = tmp_path / "plain.keras"
    DefenseVAE(2).save(path)
    with pytest.raises(UserError, match="Invalid robust.crossing: received True .* which has no squash"):
        adopted_robust(path, "robust.norm=both", "robust.crossing=true")
    path = tmp_path / "changed.keras"
    DefenseVAE(2).save(path)
    with pytest.raises(UserError, match="has changed since the run began"):
        adopted_robust(path, change=lambda: DefenseVAE(3).save(path))
