"""A classifier of the user's own: what keys its stage, what stays as it was, and what the stage
takes over.
"""

import json

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import FGSM
from madvae_tf.config import Config, from_dict, to_dict
from madvae_tf.config.overrides import override
from madvae_tf.data.prepare import Split
from madvae_tf.export.saved_model import export_classifier, export_purifier
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.utils.errors import UserError
from pipeline.engine.plan import Context
from pipeline.steps import common
from pipeline.steps.imported_models import import_classifier
from tests.pipeline.dense import WEIGHTS, model
from tests.pipeline.graph import stages
from tests.small import SmallVAE


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


def test_what_it_wants_done_to_the_images_is_kept(adopted, tmp_path):
    """A classifier of bytes: the same weights by 255 give the same logits where it is read."""
    own = model()
    own.set_weights([WEIGHTS / 255, np.zeros(10, np.float32)])
    own.save(tmp_path / "bytes.keras")
    folder = adopted(tmp_path / "bytes.keras", "classifier.preprocessing=0..255")
    assert json.loads((folder / "metrics.json").read_text())["test"]["accuracy"] == 0.9
    x = np.random.default_rng(4).random((6, 28, 28, 1), np.float32)
    found = common.load_classifier(folder)(x)
    np.testing.assert_allclose(found, x.reshape(6, 784) @ WEIGHTS, rtol=1e-4, atol=1e-4)
    path = f"classifier.path={tmp_path / 'bytes.keras'}"
    assert (
        stages(path)["classifier own"].key
        != stages(path, "classifier.preprocessing=0..255")["classifier own"].key
    )
    with pytest.raises(UserError, match="expected none without classifier.path"):
        stages("classifier.preprocessing=0..255")


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
    assert (
        own["vae cls"].config["classifier"] == ""
        and plain["vae cls"].config["classifier"] == "table6"
    )
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
    """path -> the artifact's folder, for 50 images whose labels are the model's own for all but
    five of them.
    """
    images = np.random.default_rng(3).integers(0, 256, (50, 28, 28, 1), dtype=np.uint8)
    labels = ((images.reshape(50, 784) / 255) @ WEIGHTS).argmax(axis=1)
    labels[:5] = (labels[:5] + 1) % 10
    split = Split(images, labels)
    monkeypatch.setattr(
        "pipeline.steps.imported_models.splits_of",
        lambda context: dict.fromkeys(["validation", "test"], split),
    )

    def run(path, *more):
        stage = stages(f"classifier.path={path}", *more)["classifier own"]
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
    assert record["outputs"] == ("logits" if kind in ("logits.keras", "ours") else "probabilities")
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
    np.testing.assert_allclose(
        attacked.numpy().reshape(6, 784)[certain], by_hand[certain], atol=1e-6
    )
    # And it is exported with a purifier, and alone.
    purifier = SmallVAE(2)
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
    monkeypatch.setattr("pipeline.steps.imported_models.splits_of", lambda context: {})
    folder = tmp_path / "artifact"
    folder.mkdir()
    path = tmp_path / "changed.keras"
    DefenseVAE(2).save(path)
    with pytest.raises(UserError, match="has changed since the run began"):
        import_classifier(path, Context(folder, tmp_path, {}, stage.config))
