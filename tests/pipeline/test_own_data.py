"""Data of one's own in the pipeline: what keys hold, and a whole run on 32 x 32 colour pictures."""

import dataclasses
import json

import numpy as np
import pytest

from madvae_tf.config import Config
from madvae_tf.config.overrides import load_config, override
from madvae_tf.utils.errors import UserError
from pipeline.engine.plan import with_inputs
from pipeline.engine.runner import run_stages
from pipeline.graph.stages import STAGES, build_stages
from tests.pipeline.shapes import shapes, write_tree


def stages(*assignments, config=None):
    graph = build_stages(override(config or Config(), assignments), "run")
    return {stage.label: stage for kind in STAGES for stage in graph[kind]}


def test_keys_of_earlier_runs_stay_what_they_were():
    """Keys of the version before images of other shapes. Sets of attacks that draw or climb a loss,
    and so what is made from them, evaluations (they hold probabilities) and exports (they guard
    their input) are newer.
    """
    graph = stages(
        *(
            f"{name}=float32"
            for name in ("classifier.precision", "attack.train_precision", "vae.precision")
        )
    )
    expected = {
        "data mnist": "83afc3a1ce0146be",
        "classifier": "defa778c838140cd",
        "attack test-cw-10": "efcd7b0d765f23cb",
        "vae combined": "f2873f11388eb621",
        "evaluate none": "877e78dbb38915ff",
        "export combined": "0d912ecca78fe618",
    }
    assert {label: graph[label].key[:16] for label in expected} == expected


def test_the_key_holds_the_content_and_not_the_path(tmp_path):
    images, labels = shapes(20)
    for name in ("a", "b"):
        np.savez(tmp_path / f"{name}.npz", images=images, labels=labels)
    np.savez(tmp_path / "c.npz", images=images, labels=labels[::-1])
    keys = [stages(f"data.path={tmp_path / name}.npz")["data own"].key for name in "abc"]
    assert keys[0] == keys[1] != keys[2]
    tree = write_tree(tmp_path / "tree", 20)
    before = stages(f"data.path={tree}", "data.name=shapes")["data shapes"]
    assert before.config["name"] == "shapes" and before.run.keywords == {}
    (tree / "3" / "0003.png").rename(tree / "3" / "other.png")
    assert stages(f"data.path={tree}", "data.name=shapes")["data shapes"].key != before.key
    graph = stages(f"data.path={tree}")
    assert graph["classifier"].config["dataset"] == "own"


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["data.name=cifar11"], "Unknown dataset 'cifar11'. Did you mean 'cifar10'.*tfds:NAME"),
        (["data.name=own"], "Unknown dataset 'own'"),
        (
            ["data.name=own", "data.path=/nowhere/data"],
            "received '/nowhere/data', where there is nothing",
        ),
        (["data.channels=2"], "Invalid data.channels: received 2, expected 1 or 3"),
        (
            ["data.image_size=7"],
            "Invalid data.image_size: received 7, expected a number of pixels from 8 to 256",
        ),
        (
            ["data.image_width=28"],
            "Invalid data.image_width: received 28, expected 0 without data.image_size",
        ),
    ],
)
def test_mistakes_are_one_line_before_anything_runs(assignments, message):
    with pytest.raises(UserError, match=message) as caught:
        stages(*assignments)
    assert "\n" not in str(caught.value)


def test_data_sets_of_tfds_have_a_stage_and_a_cost():
    graph = stages("data.name=emnist/digits")
    assert "data emnist-digits" in graph and graph["classifier"].cost > stages()["classifier"].cost
    assert "data tfds-some-thing" in stages("data.name=tfds:some/thing")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_whole_run_on_colour_pictures(tmp_path):
    """From a tree of 32 x 32 PNG files to the report and a SavedModel that takes such images."""
    import tensorflow as tf

    write_tree(tmp_path / "shapes", 240)
    config = load_config("tests/pipeline/tiny.py")
    attack = {
        "train_images": 20,
        "train_cw_images": 20,
        "train_clean_images": 20,
        "validation_images": 20,
        "test_images": 20,
        "test_clean_images": 40,
        "cw_test_iterations": 5,
        "max_pixels": 3,
    }
    config = dataclasses.replace(
        config,
        attack=dataclasses.replace(config.attack, **attack),
        classifier=dataclasses.replace(
            config.classifier, train_images=0, epochs=6, batch_size=16, learning_rate=3e-3
        ),
        vae=dataclasses.replace(config.vae, latent_size=8, epochs=1),
    )
    graph = stages(f"data.path={tmp_path / 'shapes'}", "data.validation_images=40", config=config)
    run_stages(with_inputs(graph.values()), tmp_path / "run")

    results = json.loads((tmp_path / "run/report/results.json").read_text())
    assert results["run"]["dataset"] == "own" and results["run"]["source"]["kind"] == "own"
    assert "32 x 32 x 3" in results["run"]["source"]["detail"]
    rows = {
        (r["attack"], r["defense"]): r
        for r in results["rows"]
        if r["table"] == "table1" and r["metric"] == "accuracy"
    }
    assert {attack for attack, _ in rows} == {"none", *config.attack.test_attacks}
    assert rows["none", "none"]["value"] > 0.2  # twice chance: it has learnt from the pictures
    assert all(row["paper"] is None for row in rows.values())
    assert (tmp_path / "run/report/figures/figure07_adversarial.svg").stat().st_size > 1000
    (folder,) = (tmp_path / "run/artifacts/attack").glob("test-single_pixel-*")
    x_adv = np.concatenate([np.load(file) for file in sorted(folder.glob("*-x_adv.npy"))])
    assert x_adv.shape == (20, 32, 32, 3)

    images = shapes(4, seed=9)[0]
    exported = tf.saved_model.load(str(tmp_path / "run/export/combined"))
    purified = exported.signatures["purify"](images=tf.constant(images / 255, tf.float32))[
        "purified"
    ]
    from_bytes = exported.signatures["purify_uint8"](images=tf.constant(images))["purified"]
    assert purified.shape == (4, 32, 32, 3)
    np.testing.assert_allclose(purified, from_bytes, atol=1e-5)
    assert exported.signatures["classify"](images=tf.constant(images / 255, tf.float32))[
        "probabilities"
    ].shape == (4, 10)
