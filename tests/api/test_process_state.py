"""The library in somebody else's program: what is global there stays as it is, and decides on
nothing here.
"""

import contextlib
import inspect
import json
import logging
import os
import random
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import logging as absl_logging

import madvae_tf
from madvae_tf.api import FittedDefense, fitting, fitting_robust
from madvae_tf.attacks import NoAttack
from madvae_tf.export.saved_model import export_purifier
from madvae_tf.models.seeding import process_as_found
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.utils.errors import UserError

# Counts are NumPy's, as they come out of an array.
SMALL = {
    **{
        name: np.int64(n)
        for name, n in {"epochs": 1, "batch_size": 8, "latent_size": 2, "seed": 5}.items()
    },
    "precision": "float32",
    "verbose": 0,
}
FAST = {
    **SMALL,
    "attacks": [NoAttack()],
    "images_per_attack": np.int64(8),
    "cw_iterations": np.int32(1),
}


def state():
    """What a program may have set: generators, Keras' settings, logging, warnings, the environment."""  # noqa: E501
    generator = tf.random.get_global_generator().state
    return (
        random.getstate(),
        str(np.random.get_state()),
        generator.numpy().tolist(),
        keras.config.floatx(),
        keras.config.dtype_policy().name,
        keras.config.backend(),
        keras.config.image_data_format(),
        absl_logging.get_verbosity(),
        logging.getLogger().level,
        list(logging.getLogger().handlers),
        list(warnings.filters),
        dict(os.environ),
        os.getcwd(),
        os.umask(os.umask(0o22)),
        tf.config.threading.get_inter_op_parallelism_threads(),
    )


@contextlib.contextmanager
def settings(floatx, policy):
    """Keras' global settings, which other tests need back."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


@pytest.mark.parametrize(
    ("floatx", "policy"), [("float32", "mixed_float16"), ("float64", "float64")]
)
def test_what_is_asked_for_is_made_and_nothing_global_changes(
    toy, tmp_path, monkeypatch, floatx, policy
):
    # The figures of an evaluation take longer than all else.
    monkeypatch.setattr(fitting, "concluded", lambda defense, *rest: defense)
    images, labels = toy.squares(24)
    keras.utils.set_random_seed(7)
    classifier = toy.linear()
    with settings(floatx, policy):
        before = state()
        defense = madvae_tf.fit(classifier, images, labels, **FAST)
        assert state() == before
        defense.save(tmp_path / "saved")
        loaded = madvae_tf.load(tmp_path / "saved")
        defense.export(tmp_path / "exported")
        layer = madvae_tf.Purifier(defense)
        assert state() == before
        own = defense.purify(images[:3], batch_size=np.int32(2))
        for purifier in (defense.purifier, loaded.purifier, layer.purifier):
            # Of models inside a model and of inputs, which only hand on, Keras keeps the global
            # policy.
            hand_on = (keras.Model, keras.layers.InputLayer)
            layers = [each for each in purifier._flatten_layers() if not isinstance(each, hand_on)]
            assert len(layers) > 15 and {each.compute_dtype for each in layers} == {"float32"}
            assert {weight.dtype for weight in purifier.weights} == {"float32"}
            np.testing.assert_allclose(
                purifier.purify(images[:3] / np.float32(255)), own, atol=1e-6
            )
    exported = tf.saved_model.load(str(tmp_path / "exported")).signatures["purify"]
    types = {
        tensor.dtype
        for operation in exported.graph.get_operations()
        for tensor in operation.outputs
    }
    assert not types & {tf.float16, tf.float64, tf.bfloat16}
    floats = tf.constant(images[:3] / np.float32(255))
    np.testing.assert_allclose(exported(images=floats)["purified"], own, atol=1e-5)
    assert json.loads(json.dumps(defense.info))["seed"] == 5


@pytest.mark.slow
def test_fit_robust_leaves_the_generators(toy, monkeypatch):
    monkeypatch.setattr(fitting_robust, "concluded", lambda defense, *rest: defense)
    images, labels = toy.squares(24)
    keras.utils.set_random_seed(7)
    with settings("float32", "mixed_float16"):
        before = state()
        defense = madvae_tf.fit_robust(toy.as_function, images, labels, epsilon=0.1, **SMALL)
        assert state() == before
    assert {weight.dtype for weight in defense.purifier.weights} == {"float32"}
    assert json.loads(json.dumps(defense.info))["seed"] == 5


@pytest.mark.parametrize("fit", [madvae_tf.fit, madvae_tf.fit_robust])
def test_a_training_that_diverges_gives_no_defence(toy, fit):
    images, labels = toy.squares(24)
    own = FAST if fit is madvae_tf.fit else {**SMALL, "clip_norm": 0.0}
    with pytest.raises(
        UserError, match=r"diverged at step \d+ of \d.* smaller learning_rate"
    ) as caught:
        fit(toy.as_function, images, labels, **own, learning_rate=1e30)
    assert "\n" not in str(caught.value)


def test_a_purifier_of_nan_is_no_defence(toy, fitted, tmp_path):
    purifier = DefenseVAE(2)
    purifier.mean_head.bias.assign([np.nan, 0.0])
    with pytest.raises(UserError, match="Invalid purifier: received weights that are NaN"):
        FittedDefense(purifier, fitted[0].classifier, {})
    with pytest.raises(UserError, match="Invalid purifier"):
        export_purifier(tmp_path / "export", purifier, fitted[0].classifier)
    assert not (tmp_path / "export").exists()


def defaults(function):
    return {name: each.default for name, each in inspect.signature(function).parameters.items()}


@pytest.mark.parametrize(
    "option",
    [
        "epochs",
        "batch_size",
        "learning_rate",
        "final_learning_rate",
        "latent_size",
        "alpha",
        "sigma",
    ],
)
@pytest.mark.parametrize("value", [-1, "x"])
def test_fit_names_its_own_default(toy, option, value):
    images, labels = toy.squares(24)
    with pytest.raises(UserError) as caught:
        madvae_tf.fit(toy.as_function, images, labels, **{option: value})
    default = defaults(madvae_tf.fit)[option]
    assert str(caught.value).endswith(f"; leave it out for the default, {default!r}.")


@pytest.mark.parametrize(
    ("option", "value", "end"),
    [
        ("epochs", 0, "for the default, 1."),
        ("batch_size", 0, "for the default, 128."),
        ("epsilon", 0, "leave it out."),
        ("scale", -1, "for the default, 'auto'."),
        ("late_attack_steps", 0, "for the default, 4."),
        ("average", 2.0, "leave it out."),
    ],
)
def test_fit_robust_names_its_own_default(toy, option, value, end):
    images, labels = toy.squares(24)
    with pytest.raises(UserError) as caught:
        madvae_tf.fit_robust(toy.as_function, images, labels, **{option: value})
    assert str(caught.value).endswith(end)


def test_warnings_of_retracing_stay_within_and_others_pass(caplog):
    logger = logging.getLogger("tensorflow")
    logger.addHandler(caplog.handler)
    try:
        with process_as_found():
            with process_as_found():
                logger.warning("4 out of the last 9 calls triggered tf.function retracing.")
            logger.warning("5 out of the last 13 calls to f triggered tf.function retracing.")
            logger.warning("something else")
        logger.warning("6 out of the last 9 calls to g triggered tf.function retracing.")
    finally:
        logger.removeHandler(caplog.handler)
    said = dict.fromkeys(record.getMessage().split(" ")[0] for record in caplog.records)
    assert list(said) == ["something", "6"] and not logger.filters
