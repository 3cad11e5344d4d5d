"""A purifier made elsewhere, in the place of `robust` or for its training to go on from: what keys
its stage, and what the stage takes over.
"""

import json

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.data.prepare import Split
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.utils.errors import UserError
from pipeline.engine.plan import Context
from tests.pipeline.dense import WEIGHTS, model
from tests.pipeline.graph import stages


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
    wanted = (
        "robustness.defenses=robust",
        "robustness.threat_models=transfer",
        "robustness.linf=0.3",
    )
    adopted = robust_stages(f"robust.path={path}", *wanted)["vae robust-seed1"]
    assert adopted.key == robust_stages(*wanted)["vae robust-seed1"].key
    assert adopted.config["parameters"]["seed"] == 1 and "path" not in adopted.config["parameters"]


def test_a_training_goes_on_from_a_purifier_that_is_known_by_its_content(tmp_path):
    path = tmp_path / "one.keras"
    path.write_bytes(b"weights")
    wanted = (
        "robustness.defenses=robust",
        "robustness.threat_models=transfer",
        "robustness.linf=0.3",
    )
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
def imported_robust(tmp_path, monkeypatch):
    """path -> the artifact's folder, for 12 images whose labels are what the linear model says of
    all but three.
    """
    images = np.random.default_rng(3).integers(0, 256, (12, 28, 28, 1), dtype=np.uint8)
    labels = ((images.reshape(12, 784) / 255) @ WEIGHTS).argmax(axis=1)
    labels[:3] = (labels[:3] + 1) % 10
    split = Split(images, labels)
    for module in ("imported_models", "training"):
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
        stage.run(
            Context(folder, tmp_path, {"classifier": tmp_path, "data": tmp_path}, stage.config)
        )
        return folder

    return run


def test_a_purifier_is_copied_and_measured(imported_robust, tmp_path):
    """Against the definition: the classifier on what the purifier makes of the images."""
    path = tmp_path / "purifier.keras"
    purifier = DefenseVAE(2, squash_scale=10.0)
    purifier.save(path)
    folder = imported_robust(path)
    assert (folder / "purifier.keras").read_bytes() == path.read_bytes()
    metrics = json.loads((folder / "metrics.json").read_text())
    x = (
        np.random.default_rng(3)
        .integers(0, 256, (12, 28, 28, 1), dtype=np.uint8)
        .astype(np.float32)
        / 255
    )
    labels = (x.reshape(12, 784) @ WEIGHTS).argmax(axis=1)
    labels[:3] = (labels[:3] + 1) % 10
    purified = purifier.purify(tf.constant(x)).numpy().reshape(12, 784)
    accuracy = ((purified @ WEIGHTS).argmax(axis=1) == labels).mean()
    assert (
        metrics["validation_accuracy"] == pytest.approx(accuracy)
        and metrics["validation_images"] == 12
    )
    assert metrics["validation_attacked_accuracy"] <= metrics["validation_accuracy"]


def test_what_is_no_purifier_of_these_images_is_refused(imported_robust, tmp_path):
    model().save(tmp_path / "dense.keras")
    (tmp_path / "text.keras").write_text("weights")
    DefenseVAE(2, image_shape=(32, 32, 3)).save(tmp_path / "colour.keras")
    diverged = DefenseVAE(2)
    diverged.mean_head.bias.assign([np.inf, 0.0])
    diverged.save(tmp_path / "diverged.keras")
    for name, message in (
        ("dense", "holds Sequential, expected a DefenseVAE"),
        ("text", "cannot be read \\(.*Error\\), expected a DefenseVAE"),
        (
            "diverged",
            r"Invalid robust.path \(.*diverged.keras\): received weights that are NaN or infinite",
        ),
        ("colour", r"takes images of shape \(32, 32, 3\), expected \(28, 28, 1\)"),
    ):
        with pytest.raises(UserError, match=message):
            imported_robust(tmp_path / f"{name}.keras")
    for field, given in (("threshold_l2", "true"), ("norm_mix", "linf,threshold_l2")):
        path = tmp_path / f"{field}.keras"
        DefenseVAE(2).save(path)
        with pytest.raises(
            UserError, match=f"Invalid robust.{field}: received .* which has no squash"
        ):
            imported_robust(path, "robust.norm=both", f"robust.{field}={given}")
    path = tmp_path / "changed.keras"
    DefenseVAE(2).save(path)
    with pytest.raises(UserError, match="has changed since the run began"):
        imported_robust(path, change=lambda: DefenseVAE(3).save(path))
