"""Presets: what is written is what is read, by folder and by URL; what is damaged is refused."""

import hashlib
import json
import shutil

import h5py
import keras
import numpy as np
import pytest

import madvae_tf
from madvae_tf import presets
from madvae_tf.utils.errors import UserError


@pytest.fixture(scope="module")
def preset(fitted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "squares-linf0.2"
    fitted[0].save_to_preset(folder, dataset="squares", text="Made by a test.")
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MADVAE_TF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_preset_gives_the_same_defence(fitted, toy, preset):
    images, _ = toy.squares(7, seed=9)
    again = madvae_tf.from_preset(preset)
    np.testing.assert_array_equal(again.purify(images), fitted[0].purify(images))
    np.testing.assert_array_equal(again.predict_proba(images), fitted[0].predict_proba(images))
    assert again.info == json.loads(json.dumps(fitted[0].info))


def test_its_files_are_those_that_keras_reads(fitted, preset):
    names = {"config.json", "model.weights.h5", "task.json", "task.weights.h5"}
    assert {path.name for path in preset.iterdir()} == names | {"metadata.json", "README.md"}
    config = json.loads((preset / "config.json").read_text())
    assert config["class_name"] == "DefenseVAE" and "compile_config" not in config
    model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    model.load_weights(preset / "model.weights.h5")
    for read, own in zip(model.get_weights(), fitted[0].purifier.get_weights(), strict=True):
        np.testing.assert_array_equal(read, own)
    packed = []
    with h5py.File(preset / "model.weights.h5") as file:
        file.visititems(lambda _, item: packed.append(getattr(item, "compression", "gzip")))
    assert "gzip" in packed
    record = json.loads((preset / "metadata.json").read_text())
    assert record["sha256"] == {
        path.name: digest(path) for path in preset.iterdir() if path.name != "metadata.json"
    }
    weights = fitted[0].purifier.get_weights() + fitted[1].get_weights()
    assert record["parameter_count"] == sum(weight.size for weight in weights)


def test_the_card_and_the_metadata_say_what_the_defence_withstands(fitted, preset):
    own = fitted[0].info["figures"]
    record = json.loads((preset / "metadata.json").read_text())
    assert record["figures"]["robust"] == own["defense"]["aware"]
    assert record["figures"]["clean"] == own["defense"]["clean"]
    card = (preset / "README.md").read_text()
    assert card.startswith("# squares-linf0.2\n") and "Made by a test." in card
    assert f"| {own['defense']['aware']['accuracy']:.3f} |" in card and "end_to_end" in card


def test_figures_may_be_those_of_an_evaluation(fitted, toy, tmp_path):
    images, labels = toy.squares(6, seed=11)
    found = madvae_tf.evaluate(
        fitted[0], images, labels, threat="linf:0.05", preset="fast", progress=False
    )
    fitted[0].save_to_preset(tmp_path / "measured", evaluation=found)
    figures = json.loads((tmp_path / "measured" / "metadata.json").read_text())["figures"]
    assert figures["robust"]["accuracy"] == found.worst.mean() and figures["robust"]["n"] == 6
    assert figures["clean"]["accuracy"] == found.clean.mean()
    assert "fast" in figures["attack"] and "end_to_end" in figures["attack"]


def test_a_classifier_that_is_no_keras_model_is_given_again(fitted, toy, preset, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(preset, bare)
    record = json.loads((bare / "metadata.json").read_text())
    for name in ("task.json", "task.weights.h5"):
        (bare / name).unlink()
        record["sha256"].pop(name)
    (bare / "metadata.json").write_text(json.dumps(record))
    images, _ = toy.squares(3)
    with pytest.raises(UserError, match="no classifier"):
        madvae_tf.from_preset(bare).predict(images)
    given = madvae_tf.from_preset(bare, fitted[1])
    np.testing.assert_array_equal(given.predict(images), fitted[0].predict(images))


def test_a_url_is_fetched_once_and_checked(fitted, toy, preset, cache):
    images, _ = toy.squares(3)
    url = preset.as_uri()
    expected = digest(preset / "metadata.json")
    with pytest.raises(UserError, match="without sha256"):
        madvae_tf.from_preset(url)
    with pytest.raises(UserError, match=f"Wrong SHA-256 .* received {expected}, expected 00"):
        madvae_tf.from_preset(url, sha256="00")
    assert not list((cache / "presets").glob("*"))
    found = madvae_tf.from_preset(url + "/", sha256=expected.upper())
    np.testing.assert_array_equal(found.predict(images), fitted[0].predict(images))
    (kept,) = (cache / "presets").iterdir()
    assert digest(kept / "model.weights.h5") == digest(preset / "model.weights.h5")
    # The second time from the cache.
    madvae_tf.from_preset("file:///nowhere", sha256=expected)


def test_a_file_outside_the_folder_is_refused(preset, tmp_path, cache):
    folder = tmp_path / "evil"
    shutil.copytree(preset, folder)
    record = json.loads((folder / "metadata.json").read_text())
    record["sha256"]["../outside"] = "0"
    (folder / "metadata.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="a file is named '../outside'"):
        madvae_tf.from_preset(folder.as_uri(), sha256=digest(folder / "metadata.json"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "config.json").write_text("{}"), "has changed"),
        (lambda folder: (folder / "task.weights.h5").unlink(), "is missing"),
        (lambda folder: (folder / "metadata.json").write_text("[]"), "No preset in"),
    ],
    ids=["changed", "missing", "metadata"],
)
def test_a_damaged_preset_is_refused(preset, tmp_path, damage, message):
    folder = tmp_path / "damaged"
    shutil.copytree(preset, folder)
    damage(folder)
    with pytest.raises(UserError, match=message) as caught:
        madvae_tf.from_preset(folder)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_gets_the_known_ones():
    with pytest.raises(UserError, match="preset 'mnist-linf03'"):
        madvae_tf.from_preset("mnist-linf03")


def test_an_existing_folder_is_kept(fitted, preset):
    with pytest.raises(UserError, match="it exists"):
        fitted[0].save_to_preset(preset)


def test_every_preset_of_the_package_loads_and_is_listed(capsys):
    from madvae_tf.presets.__main__ import main

    main([])
    listed = capsys.readouterr().out
    for name in presets.names():
        record = presets.facts(name)
        assert f"{name}: {record['dataset']}, {record['threat']}: clean" in listed
        assert sum(path.stat().st_size for path in (presets._HOME / name).iterdir()) < 8e6
        defense = madvae_tf.from_preset(name)
        assert defense.predict(np.zeros((1, *defense.image_shape), np.uint8)).shape == (1,)
