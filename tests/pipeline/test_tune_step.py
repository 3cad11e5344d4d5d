"""The stage of the search: which settings and inputs reach it, and its two files."""

import dataclasses
import json

import numpy as np
import pytest

from madvae_tf.config import Config, VaeConfig, to_dict
from madvae_tf.config.overrides import load_config
from pipeline.engine.plan import Context
from pipeline.steps import tune as step

VAE = VaeConfig(
    warmup_epochs=3, max_shift=2, latent_scale="linear", reduction="mean", checkpoint_steps=7
)
WEIGHTS = {"alpha": 0.3, "gamma": 0.2, "beta": 0.1, "proximity": 0.02, "sigma": 1e-4}


class Pairs:
    fields = ("x_adv", "x", "label")
    image_shape = (28, 28, 1)

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def batch(self, rows):
        return (np.asarray(rows),)


@pytest.mark.parametrize("warm", [False, True])
def test_the_stage_trains_as_the_variants_do_and_writes_what_won(tmp_path, monkeypatch, warm):
    calls = []

    def fit_purifier(settings, pairs, validation, classifier, name, start_from, folder, scratch):
        calls.append((settings, len(pairs), len(validation), classifier, name, start_from, scratch))
        return {"validation_accuracy": [0.8, 0.7, 0.9][len(calls) - 1]}

    monkeypatch.setattr("madvae_tf.training.tuning.fit_purifier", fit_purifier)
    monkeypatch.setattr(step, "splits_of", lambda context: {"train": "t", "validation": "v"})
    sizes = {("t", "train"): 50, ("v", "validation"): 20}
    monkeypatch.setattr(step, "paired_sets", lambda context, split, name: Pairs(sizes[split, name]))
    monkeypatch.setattr(step, "load_model", lambda path: path.relative_to(tmp_path).as_posix())
    monkeypatch.setattr(
        step, "load_classifier", lambda folder: folder.relative_to(tmp_path).as_posix()
    )
    scratch = tmp_path / ".scratch"
    scratch.mkdir()
    inputs = {
        "data": tmp_path,
        "classifier": tmp_path / "c",
        **({"warmup": tmp_path / "w"} if warm else {}),
    }
    config = Config(name="some", vae=VAE)
    own = {
        **{
            "dataset": "mnist",
            "validation_images": 5,
            "seed": 4,
            "classifier": "table6",
            "trials": 3,
        },
        **{"images": 40, "batch_size": 8, "weights": WEIGHTS, "learning_rate": 2e-3},
        **{
            "final_learning_rate": 1e-5,
            "latent_size": 16,
            "clip_norm": 0.5,
            "precision": "float32",
        },
        "config": json.loads(json.dumps(to_dict(config))),
    }
    step.tune_weights(Context(tmp_path, scratch, inputs, own))

    assert [call[1:5] for call in calls] == [(40, 20, "c", "table6")] * 3
    assert {call[5] for call in calls} == {"w/purifier.keras" if warm else None}
    assert all(scratch in call[6].parents for call in calls)
    for settings, *_ in calls:
        shared = {name: getattr(VAE, name) for name in ("max_shift", "latent_scale", "reduction")}
        shared |= {"checkpoint_steps": 7, "epochs": 1, "first_epoch": 3 if warm else 0, "seed": 4}
        shared |= {"batch_size": 8, "latent_size": 16, "clip_norm": 0.5, "precision": "float32"}
        assert dataclasses.asdict(settings) | shared == dataclasses.asdict(settings)
    result = json.loads((tmp_path / "tuned.json").read_text())
    hand_picked = {name: value for name, value in WEIGHTS.items() if name != "alpha"} | {
        "learning_rate": 2e-3
    }
    assert result["hand_picked"] == {"weights": hand_picked, "value": 0.8}
    best = result["trials"][2]["weights"]
    assert result["best"] == {"weights": best, "value": 0.9} and best != hand_picked
    written = sorted(
        path.parent.name for path in tmp_path.glob("tensorboard/**/events.out.tfevents.0")
    )
    assert written == ["tensorboard", "trial-000", "trial-001", "trial-002"]
    loaded = load_config(tmp_path / "tuned.py")
    assert loaded.vae == dataclasses.replace(VAE, **best) and loaded.name == "some-tuned"
    assert loaded.vae.alpha == VAE.alpha
