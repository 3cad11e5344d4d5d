"""The fused Adam against the stock one and against the formula in float64."""

import keras
import numpy as np
import tensorflow as tf

from madvae_tf.config import Config, VaeConfig, to_dict
from madvae_tf.config.defenses import purifier_parameters
from madvae_tf.training.optimizers import FusedAdam
from tests import processes

SHAPES = ((5, 3), (7,), (2, 2, 3, 4))
STEPS = 12


def gradients(step):
    generator = np.random.default_rng(step)
    return [generator.normal(size=shape).astype(np.float32) for shape in SHAPES]


def trained(kind):
    """The variables after some steps of a falling learning rate, compiled, and the optimizer."""
    schedule = keras.optimizers.schedules.ExponentialDecay(1e-2, 4, 0.5)
    variables = [keras.Variable(np.ones(shape, np.float32)) for shape in SHAPES]
    optimizer = kind(schedule)
    optimizer.build(variables)

    @tf.function
    def step(values):
        optimizer.apply_gradients(zip(values, variables, strict=True))

    for number in range(STEPS):
        step([tf.constant(value) for value in gradients(number)])
    return [np.asarray(variable) for variable in variables], optimizer


def test_follows_the_formula_and_the_stock_optimizer():
    ours, optimizer = trained(FusedAdam)
    stock, _ = trained(keras.optimizers.Adam)
    for k, shape in enumerate(SHAPES):
        # Kingma & Ba, algorithm 1, with epsilon as Keras has it: beside the root of the uncorrected
        # moment.
        weight, first, second = np.ones(shape), np.zeros(shape), np.zeros(shape)
        for number in range(STEPS):
            gradient = gradients(number)[k].astype(np.float64)
            first = 0.9 * first + 0.1 * gradient
            second = 0.999 * second + 0.001 * gradient**2
            rate = 1e-2 * 0.5 ** (number / 4)
            rate *= np.sqrt(1 - 0.999 ** (number + 1)) / (1 - 0.9 ** (number + 1))
            weight = weight - rate * first / (np.sqrt(second) + 1e-7)
        np.testing.assert_allclose(ours[k], weight, rtol=0, atol=2e-6)
        np.testing.assert_allclose(ours[k], stock[k], rtol=0, atol=1e-6)
        assert np.abs(ours[k] - 1).max() > 0.01
    assert int(optimizer.iterations) == STEPS


TWO_DEVICES = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np, tensorflow as tf
from madvae_tf.training.optimizers import FusedAdam
one = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [one, one])
strategy = tf.distribute.MirroredStrategy([device.name for device in tf.config.list_logical_devices("CPU")])
with strategy.scope():
    variable = keras.Variable(np.ones(2, np.float32))
    optimizer = FusedAdam(1e-2)
    optimizer.build([variable])

@tf.function
def step():
    def replica():
        own = tf.distribute.get_replica_context().replica_id_in_sync_group
        optimizer.apply_gradients([(tf.gather(tf.constant([[3.0, 0.0], [-1.0, -2.0]]), own), variable)])
    strategy.run(replica)

for _ in range(2):
    step()
for copy in strategy.experimental_local_results(variable.value):
    np.testing.assert_allclose(copy.numpy(), [0.98, 1.02], atol=1e-5)
assert len(strategy.experimental_local_results(variable.value)) == 2
"""  # noqa: E501


def test_every_replicas_copy_is_updated_by_the_sum_of_the_gradients():
    """Adam's steps on a steady gradient are the learning rate in its direction; here the sums are
    (2, -2).
    """
    process = processes.run(["-c", TWO_DEVICES])
    assert process.returncode == 0, process.stderr


def test_checkpoints_hold_its_state(tmp_path):
    _, optimizer = trained(FusedAdam)
    path = tf.train.Checkpoint(optimizer=optimizer).save(str(tmp_path / "state"))
    variables = [keras.Variable(np.ones(shape, np.float32)) for shape in SHAPES]
    other = FusedAdam(keras.optimizers.schedules.ExponentialDecay(1e-2, 4, 0.5))
    other.build(variables)
    tf.train.Checkpoint(optimizer=other).restore(path).expect_partial()
    assert int(other.iterations) == STEPS
    assert len(other.variables) > 2 * len(SHAPES)  # both moments of each, and the count
    for ours, theirs in zip(other.variables, optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def test_keys_know_of_it_only_where_it_is_used():
    plain, fused = VaeConfig(), VaeConfig(fused_adam=True)
    assert "fused_adam" not in purifier_parameters(plain, "cls")
    assert purifier_parameters(fused, "cls") == purifier_parameters(plain, "cls") | {
        "fused_adam": True
    }
    assert "fused_adam" not in to_dict(Config())["vae"]
    assert to_dict(Config(vae=fused))["vae"]["fused_adam"] is True
