"""Who is attacked how is a matter of the place in the global batch: three images a replica, two
kinds in turn, on two devices and on one.
"""

import numpy as np
import tensorflow as tf

from madvae_tf.training.gan import in_parts
from tests import processes

SCRIPT = """
import keras, numpy as np, tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from madvae_tf.models.classifiers import Table6Classifier
from madvae_tf.models.seeding import initial_weights
from madvae_tf.training.adversarial import AdversarialTrainer
from madvae_tf.attacks.perturbation_sets import L2Ball, LinfBall, MixedNormBall
from madvae_tf.training.loop import compiled_step, default_strategy
from madvae_tf.training.replicas import first_row

one, two = tf.distribute.get_strategy(), default_strategy()
rng = np.random.default_rng(0)
x = rng.random((6, 28, 28, 1), np.float32)
noise = rng.uniform(-1, 1, x.shape).astype(np.float32)
label = np.arange(6) % 10

def spread(strategy, *arrays):
    if strategy is one:
        return arrays
    size = len(arrays[0]) // 2
    return tuple(
        strategy.experimental_distribute_values_from_function(
            lambda context, a=array: tf.constant(a[size * context.replica_id_in_sync_group:][:size]))
        for array in arrays)

def turned(strategy, kinds):
    @tf.function
    def walk():
        def local(images, noise):
            ball = MixedNormBall(images, 0.1, kinds, first_row(tf.shape(images)[0]))
            return ball.step(ball.start(noise), ball.accumulate(tf.zeros_like(noise), noise), 0.05)
        return strategy.run(local, args=spread(strategy, x, noise))
    return np.concatenate([part.numpy() for part in strategy.experimental_local_results(walk())])

for kinds in ([(LinfBall, 1.0), (L2Ball, 20.0)], [(LinfBall, 1.0), (LinfBall, 0.5), (L2Ball, 20.0), (L2Ball, 5.0)]):
    alone = turned(one, kinds)
    assert np.abs(alone - x).max() > 0.05
    np.testing.assert_allclose(turned(two, kinds), alone, atol=1e-6)

def trained(strategy):
    with initial_weights(1), strategy.scope():
        classifier = Table6Classifier(dropout=0.0)
        trainer = AdversarialTrainer(classifier, 0.3, 0, 0.1, 0, True, seed=3)
        trainer.compile(optimizer=keras.optimizers.SGD(0.5))
    before = np.concatenate([np.ravel(w) for w in classifier.get_weights()])
    trainer.optimizer.build(trainer.trainable_variables)
    step = compiled_step(trainer, strategy)
    images, labels = spread(strategy, x, label)
    for _ in range(2):
        logs = step({"x": images, "label": labels})
    return before, np.concatenate([np.ravel(w) for w in classifier.get_weights()]), float(logs["loss"])

(before, alone, loss), (_, both, loss_two) = trained(one), trained(two)
moved = np.linalg.norm(alone - before)
assert moved > 1e-2 and np.linalg.norm(alone - both) < 1e-3 * moved, (moved, np.linalg.norm(alone - both))
assert abs(loss - loss_two) < 1e-5
print("same")
"""  # noqa: E501


def test_kinds_and_clean_images_go_by_the_place_in_the_global_batch():
    process = processes.run(["-c", SCRIPT])
    assert process.stdout == "same\n", process.stderr[-3000:]


def test_every_replica_gets_its_share_of_each_part():
    """Twelve rows in three parts (steps of the critic), on two replicas: each step sees the rows
    that it sees on one.
    """
    rows = tf.data.Dataset.from_tensors({"x": np.arange(12), "label": 10 * np.arange(12)})
    (batch,) = in_parts(rows, 3, 2).as_numpy_iterator()
    first, second = np.split(batch["x"], 2)
    steps = [
        np.concatenate(pair) for pair in zip(np.split(first, 3), np.split(second, 3), strict=True)
    ]
    np.testing.assert_array_equal(steps, np.arange(12).reshape(3, 4))
    np.testing.assert_array_equal(batch["label"], 10 * batch["x"])
    assert in_parts(rows, 3, 1) is rows
