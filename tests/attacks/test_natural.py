"""Rotation and translation, corruptions, and the joint loss, against what their definitions give by
hand.
"""

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import DefendedModel, run_attack
from madvae_tf.attacks.corruptions import CORRUPTIONS, Corruption
from madvae_tf.attacks.joint import JointAPGD, JointPGD
from madvae_tf.attacks.objectives import ascent, with_reconstruction
from madvae_tf.attacks.spatial import RotationTranslation, placed, turn
from madvae_tf.utils.errors import UserError

ZEROS = np.zeros(4, int)


@pytest.fixture(scope="module")
def images():
    generator = np.random.default_rng(0)
    found = np.zeros((4, 28, 28, 1), np.float32)
    found[:, 6:22, 6:22] = generator.random((4, 16, 16, 1))
    return found


def test_placing_is_shifting_and_turning(images):
    np.testing.assert_array_equal(placed(images, turn(0.0), [0.0, 0.0]), images)
    moved = placed(images, turn(0.0), [2.0, -3.0]).numpy()
    np.testing.assert_allclose(moved, np.roll(images, (2, -3), axis=(1, 2)), atol=1e-5)
    for quarters in (1, 2, 3):
        turned = placed(images, turn(90.0 * quarters), [0.0, 0.0]).numpy()
        np.testing.assert_allclose(turned, np.rot90(images, quarters, axes=(1, 2)), atol=1e-4)
    # Turned and then shifted, each image its own way.
    each = placed(images[:2], turn(tf.constant([90.0, -90.0])), [[1.0, 0.0], [0.0, 2.0]]).numpy()
    for index, (quarters, shift) in enumerate(((1, (1, 0)), (-1, (0, 2)))):
        expected = np.roll(np.rot90(images[index], quarters), shift, axis=(0, 1))
        np.testing.assert_allclose(each[index], expected, atol=1e-4)


def test_the_grid_is_engstroms_and_every_place_of_it_is_tried():
    grid = RotationTranslation().grid
    assert grid.shape == (31 * 5 * 5, 3) and len(np.unique(grid, axis=0)) == 775
    assert set(np.unique(grid[:, 0])) == set(range(-30, 31, 2))
    assert np.unique(grid[:, 1]).tolist() == np.unique(grid[:, 2]).tolist() == [-3, -1.5, 0, 1.5, 3]
    # One bright pixel; only at one place is it misclassified.
    image = np.zeros((1, 28, 28, 1), np.float32)
    image[0, 13, 13] = 1

    def only(row, column):
        here = tf.constant(np.eye(784)[28 * row + column], tf.float32)
        return DefendedModel(
            lambda x: tf.stack(
                [tf.fill([tf.shape(x)[0]], 0.5), tf.linalg.matvec(tf.reshape(x, (-1, 784)), here)],
                1,
            )
        )

    attack = RotationTranslation(angles=1, max_shift=3.0, shifts=7)
    for row, column, fooled in ((16, 10, True), (12, 13, True), (17, 13, False)):
        found = run_attack(attack, only(row, column), image, ZEROS[:1], (0, 0), 1)
        assert found.success[0] == fooled
        assert found.x_adv[0, row if fooled else 13, column if fooled else 13, 0] == pytest.approx(
            1, abs=1e-5
        )


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_corruptions_grow_and_repeat(kind, images):
    target = DefendedModel(lambda x: tf.zeros([tf.shape(x)[0], 10]))

    def run(severity, x, seed=0):
        attack = Corruption(kind=kind, severity=severity)
        return run_attack(attack, target, x, np.zeros(len(x), int), (seed, 0), 4).x_adv

    mild, severe = (run(severity, images) for severity in (1, 5))
    assert 0.001 < np.abs(mild - images).mean() < np.abs(severe - images).mean()
    # An image's corruption is its own, whatever comes with it; another seed draws anew where
    # anything is drawn.
    np.testing.assert_array_equal(run(5, images[[2, 0]]), severe[[2, 0]])
    drawn = kind not in ("gaussian_blur", "brightness", "contrast", "scale")
    assert any(not np.array_equal(run(5, images, seed), severe) for seed in (1, 2, 3)) == drawn


def test_corruptions_by_hand(images):
    none = tf.zeros((4, 2), tf.int32)

    def corrupt(kind, number, x=images):
        return np.array(CORRUPTIONS[kind][0](tf.constant(x), none, number))

    flat = np.full((4, 28, 28, 1), 0.5, np.float32)
    np.testing.assert_allclose(corrupt("brightness", 0.25), images + 0.25)
    np.testing.assert_allclose(corrupt("contrast", 0.1).std(), images.std() * 0.1, rtol=0.05)
    assert corrupt("gaussian_noise", 0.2, flat).std() == pytest.approx(0.2, rel=0.05)
    shot = corrupt("shot_noise", 10.0, flat)
    # Poisson(5) / 10: its mean is 0.5 and its variance 5 / 100.
    assert shot.mean() == pytest.approx(0.5, rel=0.05) and shot.var() == pytest.approx(
        0.05, rel=0.1
    )
    impulse = corrupt("impulse_noise", 0.3, flat)
    assert np.mean(impulse == 0) == pytest.approx(0.15, abs=0.02)
    assert np.mean(impulse == 1) == pytest.approx(0.15, abs=0.02)
    # A blur keeps the sum of what is far from the rim, and spreads one pixel to a Gaussian's
    # variance.
    point = np.zeros((4, 28, 28, 1), np.float32)
    point[:, 14, 14] = 1
    blurred = corrupt("gaussian_blur", 1.4, point)[0, :, :, 0]
    assert blurred.sum() == pytest.approx(1, abs=1e-5)
    assert (blurred.sum(1) @ (np.arange(28) - 14) ** 2) == pytest.approx(1.4**2, rel=0.06)
    fog = corrupt("fog", 1.0, np.zeros((4, 28, 28, 1), np.float32)).reshape(4, -1)
    np.testing.assert_allclose([fog.min(), fog.max(1).min(), fog.max()], [0, 0.5, 0.5], atol=1e-6)
    shrunk = corrupt("scale", 0.5, np.ones((4, 28, 28, 1), np.float32))
    assert shrunk[:, 8:20, 8:20].min() == 1 and shrunk[:, :6].max() == 0


def test_an_unknown_corruption_is_refused():
    with pytest.raises(UserError, match="Unknown corruption 'frog'. Did you mean 'fog'"):
        Corruption(kind="frog")


def purify(x):
    return 0.5 * x


WEIGHTS = tf.constant(np.random.default_rng(1).normal(size=(784, 10)), tf.float32)


def classify(purified):
    return tf.reshape(purified, (-1, 784)) @ WEIGHTS


def system(x):
    return classify(purify(x))


# Where the logits are known to be made of the purified image, it is made once.
JOINT = pytest.mark.parametrize("last", [None, classify], ids=["apart", "shared"])


@JOINT
def test_the_joint_objective_and_its_gradient_by_hand(images, last):
    x, y = tf.constant(images), tf.constant(ZEROS, tf.int64)
    scored = with_reconstruction(system, purify, last)
    plain, slope, wrong = ascent(system, "margin", x, y, y)
    value, gradient, fooled = ascent(system, "margin", x, y, y, scored, 3.0)
    # ||purify(x) - x|| = ||x|| / 2, whose gradient is x / (2 ||x||).
    size = np.linalg.norm(images.reshape(4, -1), axis=1)
    np.testing.assert_allclose(value - plain, 1.5 * size, rtol=1e-4)
    np.testing.assert_allclose(
        gradient - slope, 1.5 * images / size[:, None, None, None], atol=1e-5
    )
    np.testing.assert_array_equal(fooled, wrong)
    _, gradient, _ = ascent(system, "margin", tf.zeros_like(x), y, y, scored, 3.0)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(("last", "times"), [(None, 2), (classify, 1)], ids=["apart", "shared"])
def test_no_sum_of_gradients_has_more_than_two_terms(images, last, times):
    """TensorFlow gives a longer one a temporary variable, which two calls at once trip over."""
    called = []

    def counted(x):
        called.append(x)
        return purify(x)

    @tf.function
    def step(x):
        y = tf.constant(ZEROS, tf.int64)
        scored = with_reconstruction(lambda x: classify(counted(x)), counted, last)
        return ascent(system, "margin", x, y, y, scored, 3.0)

    sums = [
        operation
        for operation in step.get_concrete_function(tf.constant(images)).graph.get_operations()
        if operation.type == "AddN"
    ]
    assert sums and all(len(operation.inputs) <= 2 for operation in sums)
    assert len(called) == times


@pytest.mark.parametrize("kind", [JointPGD, JointAPGD])
def test_the_joint_loss_pulls_the_distance_its_way(kind, images):
    """On a flat classifier only the distance is left to climb: up with a positive weight, down with
    a negative one.
    """
    target = DefendedModel(
        lambda x: tf.one_hot(tf.zeros_like(x[:, 0, 0, 0], tf.int32), 10), purify=purify
    )
    sizes = {}
    for weight in (1.0, -1.0):
        attack = kind(epsilon=0.2, iterations=20, restarts=1, weight=weight, early=False)
        found = run_attack(attack, target, np.clip(images + 0.3, 0, 1), ZEROS, (0, 0), 4)
        sizes[weight] = np.linalg.norm(found.x_adv.reshape(4, -1), axis=1)
    clean = np.linalg.norm(np.clip(images + 0.3, 0, 1).reshape(4, -1), axis=1)
    assert (sizes[1.0] > clean * 1.1).all() and (sizes[-1.0] < clean * 0.9).all()
    with pytest.raises(UserError, match="without purify"):
        run_attack(kind(), DefendedModel(target.logits), images, ZEROS, (0, 0), 4)
