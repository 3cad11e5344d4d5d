"""The tuning of the weights: what trials share, what a kill costs, and the file that comes of it."""  # noqa: E501

import dataclasses
import itertools
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from madvae_tf.config import Config, VaeConfig, to_dict
from madvae_tf.config.overrides import load_config
from madvae_tf.training import purifier as purifier_module
from madvae_tf.training import scaffold, tuning
from madvae_tf.training.classifier import build_classifier
from madvae_tf.training.divergence import Diverged
from madvae_tf.training.purifier import PurifierSettings
from madvae_tf.training.tuning import FACTORS, tune, tuned_source
from madvae_tf.utils.errors import UserError
from tests.small import SmallVAE

HAND_PICKED = {
    "gamma": 0.1,
    "beta": 0.123456,
    "proximity": 0.01,
    "sigma": 1e-5,
    "learning_rate": 1e-3,
}
SETTINGS = PurifierSettings(
    title="",
    weights={},
    latent_size=4,
    epochs=1,
    batch_size=8,
    learning_rate=1e-3,
    final_learning_rate=5e-4,
    clip_norm=1.0,
    precision="float32",
    checkpoint_steps=2,
    image_steps=100,
    seed=6,
)


def tuned(pairs, folder, trials=2, images=32, start_from=None, hand_picked=HAND_PICKED):
    keras.utils.set_random_seed(1)
    classifier = build_classifier("table6", 0.0, "float32")
    folder.mkdir(exist_ok=True)
    return tune(
        SETTINGS,
        hand_picked,
        trials,
        images,
        pairs,
        pairs,
        classifier,
        "table6",
        start_from,
        folder,
    )


class Fake:
    """Stands for `fit_purifier`: keeps what it is called with, gives the accuracies in turn; None
    diverges.
    """

    def __init__(self, values):
        self.values, self.calls = itertools.chain(values), []

    def __call__(self, settings, pairs, validation, classifier, name, start_from, folder, scratch):
        rows = pairs.batch(np.arange(len(pairs)))
        self.calls.append((settings, rows, validation, start_from, Path(folder), Path(scratch)))
        assert list(folder.parent.iterdir()) == [folder]
        (folder / "purifier.keras").write_text("large")
        if (value := next(self.values)) is None:
            raise Diverged("a line")
        return {"validation_accuracy": value}


def test_trials_differ_in_the_weights_alone(tiny, pairs, tmp_path, monkeypatch):
    fake = Fake([0.5, 0.7, 0.7, 0.6])
    monkeypatch.setattr(tuning, "fit_purifier", fake)
    start_from = object()
    result = tuned(pairs, tmp_path / "a", trials=4, start_from=start_from)
    settings, rows, validation, started, folders, scratch = zip(*fake.calls, strict=True)
    assert folders == scratch and len(set(folders)) == 4
    assert set(started) == {start_from} and all(each is pairs for each in validation)
    for trial, own in zip(result["trials"], settings, strict=True):
        weights = trial["weights"]
        assert own.weights == {
            "kl": weights["beta"],
            "classification": weights["gamma"],
            "proximity": weights["proximity"],
            "distance": weights["sigma"],
        }
        rate = weights["learning_rate"]
        assert own.learning_rate == rate and own.final_learning_rate == min(rate, 5e-4)
        same = {"title", "weights", "learning_rate", "final_learning_rate"}
        assert all(
            getattr(own, item.name) == getattr(SETTINGS, item.name)
            for item in dataclasses.fields(own)
            if item.name not in same
        )
    # 32 of the 40 pairs, each once, the same in every trial, not simply the first.
    index = [
        int(np.flatnonzero((pairs.x_adv == image).all(axis=(1, 2, 3)))[0]) for image in rows[0][0]
    ]
    assert len(set(index)) == 32 and index != list(range(32))
    assert all(
        np.array_equal(one, other)
        for each in rows
        for one, other in zip(each, rows[0], strict=True)
    )
    # Of equal trials the first one is the best.
    assert result["best"] == {name: result["trials"][1][name] for name in ("weights", "value")}
    assert result["hand_picked"] == {"weights": HAND_PICKED, "value": 0.5}
    assert [trial["value"] for trial in result["trials"]] == [0.5, 0.7, 0.7, 0.6]
    assert (result["n"], {trial["status"] for trial in result["trials"]}) == (40, {"completed"})
    assert json.loads(json.dumps(result)) == result


def test_where_nothing_is_better_the_hand_picked_weights_are_the_best(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "fit_purifier", Fake([0.9, 0.9, 0.8]))
    result = tuned(pairs, tmp_path / "a", trials=3, images=0)
    assert result["best"] == result["hand_picked"] == {"weights": HAND_PICKED, "value": 0.9}


def test_a_trial_that_diverged_is_never_the_best(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "fit_purifier", Fake([0.5, None, 0.6]))
    result = tuned(pairs, tmp_path / "a", trials=3)
    assert [trial["value"] for trial in result["trials"]] == [0.5, None, 0.6]
    assert [trial["status"] for trial in result["trials"]] == ["completed", "diverged", "completed"]
    assert result["best"]["value"] == 0.6
    assert json.loads(json.dumps(result)) == result


@pytest.mark.parametrize(
    "hand_picked",
    [{"gamma": 0.1}, HAND_PICKED | {"alpha": 0.1}, HAND_PICKED | {"learning_rate": 0.0}],
    ids=["fewer", "more", "no rate"],
)
def test_other_weights_are_refused(pairs, tmp_path, hand_picked):
    with pytest.raises(
        UserError, match="expected gamma, beta, proximity, sigma, learning_rate, with"
    ):
        tuned(pairs, tmp_path / "a", hand_picked=hand_picked)


def test_training_goes_on_in_the_middle_of_a_trial(tiny, pairs, tmp_path, monkeypatch):
    """With the training itself: four steps a trial, a checkpoint after the second, a kill after the
    third.
    """

    class Stops(scaffold.Progress):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                raise tiny.Killed

    monkeypatch.setattr(purifier_module, "DefenseVAE", SmallVAE)
    whole = tuned(pairs, tmp_path / "whole", trials=1)
    with monkeypatch.context() as patch:
        patch.setattr(scaffold, "Progress", Stops)
        with pytest.raises(tiny.Killed):
            tuned(pairs, tmp_path / "broken", trials=1)
    starts = []
    train = scaffold.train
    monkeypatch.setattr(scaffold, "train", lambda *args: starts.append(train(*args)))
    resumed = tuned(pairs, tmp_path / "broken", trials=1)
    assert starts == [2]
    assert 0 <= whole["best"]["value"] <= 1 and whole["cost_seconds"] > 0
    del whole["cost_seconds"], resumed["cost_seconds"]
    assert resumed == whole
    weights = [
        np.concatenate(
            [each.ravel() for each in keras.saving.load_model(path, compile=False).get_weights()]
        )
        for name in ("whole", "broken")
        for path in (tmp_path / name).rglob("purifier.keras")
    ]
    assert len(weights) == 2 and weights[0].tobytes() == weights[1].tobytes()


def test_the_configuration_file_holds_the_best_weights_and_all_else(tmp_path):
    config = Config(
        name='it\'s "quick" \\ \n',
        seed=3,
        seeds=(3, 2),
        vae=VaeConfig(variants=("cls", "combined"), alpha=0.7, epochs=2),
        tune=dataclasses.replace(Config().tune, trials=9),
    )
    weights = {
        "gamma": 0.0317,
        "beta": 1.0,
        "proximity": 0.0,
        "sigma": 1.23e-6,
        "learning_rate": 2e-3,
    }
    path = tmp_path / "tuned.py"
    path.write_text(tuned_source(config, weights), encoding="utf-8")
    loaded = load_config(path)
    assert {name: getattr(loaded.vae, name) for name in FACTORS} == weights
    expected = to_dict(config)
    expected["name"] += "-tuned"
    expected["vae"] |= weights
    expected["tune"]["trials"] = 0
    assert to_dict(loaded) == expected and loaded.vae.alpha == 0.7
    imports = [line for line in path.read_text().splitlines() if "import" in line.split()]
    assert imports == ["from madvae_tf.config import Config, from_dict"]
