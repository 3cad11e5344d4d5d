"""Projections against linear programming, a multiplier found by bisection, and hand values."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import brentq, linprog

from madvae_tf.attacks import geometry
from madvae_tf.attacks.perturbation_sets import LinfBall
from madvae_tf.utils.errors import UserError


def images(generator, count):
    """Pixels of exactly 0 and 1 are common, as in MNIST."""
    return np.clip(generator.normal(0.5, 0.6, (count, 28, 28, 1)), 0, 1).astype(np.float32)


def test_level_by_hand():
    amounts = tf.constant([[1.0, 2.0, 0.0, 4.0]] * 4)
    limits = tf.constant([[3.0, 1.0, 5.0, 4.0]] * 4)
    # The parts fill at t = 3, 0.5, never and 1: the sum is 7 t, then 1 + 5 t, then 5 + t, then 8.
    found = geometry.level(amounts, limits, tf.constant([0.7, 3.5, 6.0, 9.0])).numpy()[:, 0]
    np.testing.assert_allclose(found[:3], [0.1, 0.5, 1.0], rtol=1e-6)
    assert found[3] > 1e20


def plane_by_brute_force(x, normal, offset, norm):
    """The least distance from x to the plane within the box, in float64; None where they do not
    meet.
    """
    x, normal = x.ravel().astype(np.float64), normal.ravel().astype(np.float64)
    if norm == "linf":
        # Minimise r subject to -r <= d_i <= r and -x <= d <= 1 - x.
        n = len(x)
        bounds = [*zip(-x, 1 - x, strict=True), (0, None)]
        eye = np.eye(n)
        upper = np.block([[eye, -np.ones((n, 1))], [-eye, -np.ones((n, 1))]])
        solved = linprog(
            np.eye(n + 1)[n],
            upper,
            np.zeros(2 * n),
            [np.append(normal, 0)],
            [-offset],
            bounds,
            method="highs",
        )
        return solved.fun if solved.success else None

    def value(multiplier):
        return offset + normal @ (np.clip(x + multiplier * normal, 0, 1) - x)

    if value(-1e6) * value(1e6) > 0:
        return None
    multiplier = brentq(value, -1e6, 1e6, xtol=1e-13)
    return np.linalg.norm(np.clip(x + multiplier * normal, 0, 1) - x)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_step_to_a_plane_is_the_shortest_in_the_box(norm):
    generator = np.random.default_rng(3)
    x, normal = images(generator, 6), generator.normal(size=(6, 28, 28, 1)).astype(np.float32)
    normal[:, :4] = 0
    offset = np.array([0.5, -3.0, 20.0, -60.0, 0.0, 1000.0], np.float32)
    step = geometry.step_to_plane(
        tf.constant(x), tf.constant(normal), tf.constant(offset), norm
    ).numpy()
    assert (x + step).min() >= -1e-6 and (x + step).max() <= 1 + 1e-6
    left = offset + (normal * step).reshape(6, -1).sum(1)
    sizes = geometry.distance(tf.constant(step), norm).numpy()
    for index in range(5):
        assert abs(left[index]) < 1e-3
        assert sizes[index] == pytest.approx(
            plane_by_brute_force(x[index], normal[index], offset[index], norm), rel=1e-4, abs=1e-6
        )
    # The last plane misses the box: the nearest corner has every pixel with a weight at its end.
    assert plane_by_brute_force(x[5], normal[5], offset[5], norm) is None
    corner = np.where(normal[5] > 0, 0, 1)
    np.testing.assert_allclose(np.where(normal[5] == 0, 0, x[5] + step[5] - corner), 0, atol=1e-6)


def test_tiny_and_vanished_normals_make_no_nan():
    x = tf.constant(images(np.random.default_rng(0), 2))
    normal = tf.concat([tf.fill([1, 28, 28, 1], 1e-30), tf.zeros([1, 28, 28, 1])], 0)
    for norm in geometry.NORMS:
        step = geometry.step_to_plane(x, normal, tf.constant([1e-29, 1.0]), norm).numpy()
        assert np.isfinite(step).all() and not step[1].any()
        # Ten units, spread over 784 pixels of weight 1 towards 0.
        assert step[0].sum() == pytest.approx(-10, rel=1e-3)
        assert np.isfinite(geometry.direction(normal, norm)).all()


@pytest.mark.parametrize("epsilon", [0.3, 3.0, 40.0])
def test_the_l2_projection_is_the_nearest_point_of_ball_and_box(epsilon):
    generator = np.random.default_rng(5)
    x = images(generator, 4)
    far = x + generator.normal(size=x.shape).astype(np.float32)
    found = geometry.project_l2(tf.constant(far), tf.constant(x), tf.constant(epsilon)).numpy()
    assert found.min() >= 0 and found.max() <= 1
    for index in range(4):
        # The KKT conditions: y = clip(center + (z - center) / (1 + m)) with the least m >= 0 in the
        # ball.
        def away(m, index=index):
            return (
                np.clip(x[index] + (far[index] - x[index]).astype(float) / (1 + m), 0, 1) - x[index]
            )

        excess = lambda m: np.linalg.norm(away(m)) - epsilon  # noqa: E731
        m = 0.0 if excess(0) <= 0 else brentq(excess, 0, 1e4, xtol=1e-12)
        np.testing.assert_allclose(found[index] - x[index], away(m), atol=2e-5)
        assert np.linalg.norm(found[index] - x[index]) <= epsilon * (1 + 1e-6)


def test_the_linf_projection_clips_twice():
    x, far = tf.fill([1, 28, 28, 1], 0.9), tf.fill([1, 28, 28, 1], 2.0)
    assert LinfBall(x, tf.constant(0.05)).project(far).numpy().max() == pytest.approx(0.95)
    assert LinfBall(x, tf.constant(0.5)).project(far).numpy().min() == 1.0


def test_directions():
    gradient = tf.constant(np.random.default_rng(1).normal(size=(3, 28, 28, 1)) * 1e-25, tf.float32)
    np.testing.assert_allclose(
        np.linalg.norm(geometry.flat(geometry.direction(gradient, "l2")), axis=1), 1, rtol=1e-5
    )
    np.testing.assert_array_equal(geometry.direction(gradient, "linf"), np.sign(gradient))


def test_an_images_draws_are_its_own():
    x = tf.constant(images(np.random.default_rng(2), 5))
    seeds = geometry.image_seeds(x, (1, 2)).numpy()
    assert len({tuple(seed) for seed in seeds}) == 5 and seeds.min() >= 0
    np.testing.assert_array_equal(geometry.image_seeds(x[3:4], (1, 2)), seeds[3:4])
    assert not np.array_equal(geometry.image_seeds(x, (1, 3)), seeds)
    uniform, normal = (
        geometry.draws(seeds, [2000], normal=normal).numpy() for normal in (False, True)
    )
    assert -1 <= uniform.min() < -0.99 < 0.99 < uniform.max() < 1
    np.testing.assert_allclose(normal.std(axis=1), 1, atol=0.06)
    assert abs(np.corrcoef(uniform)[np.triu_indices(5, 1)]).max() < 0.1


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_random_starts_fill_the_ball(norm):
    x = tf.fill([3, 28, 28, 1], 0.5)
    start = geometry.random_start(x, 0.2, norm, tf.constant([[1, 2], [3, 4], [5, 6]]))
    np.testing.assert_allclose(geometry.distance(start - x, norm), 0.2, rtol=0.02)


def test_an_unknown_norm_names_the_known():
    with pytest.raises(UserError, match="Unknown norm 'l1'.*linf, l2"):
        geometry.check_norm("l1")
