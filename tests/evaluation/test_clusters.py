"""Clusters: hand values, and brute force over all pairs."""

import numpy as np
import pytest

from madvae_tf.evaluation.clusters import embed, knn_purity, silhouette
from madvae_tf.utils.errors import UserError

RNG = np.random.default_rng(4)
CLOUD = RNG.normal(size=(40, 3))
CLOUD_LABELS = RNG.integers(0, 4, 40)


def blobs(points=20, gap=50.0, dimensions=5):
    """Two round blobs, `gap` apart along the first axis, and which is which."""
    features = np.random.default_rng(2).normal(size=(2 * points, dimensions))
    features[points:, 0] += gap
    return features.astype(np.float32), np.repeat([3, 7], points)


def distances(features):
    return np.linalg.norm(features[:, None] - features[None, :], axis=-1)


def brute_silhouette(features, labels):
    scores = []
    for i, row in enumerate(distances(features)):
        own = (labels == labels[i]) & (np.arange(len(labels)) != i)
        if not own.any():
            scores.append(0.0)
            continue
        a = row[own].mean()
        b = min(row[labels == other].mean() for other in set(labels) - {labels[i]})
        scores.append((b - a) / max(a, b))
    return np.mean(scores)


def brute_purity(features, labels, k):
    between = distances(features)
    np.fill_diagonal(between, np.inf)
    shares = [(labels[np.argsort(row)[:k]] == labels[i]).mean() for i, row in enumerate(between)]
    return np.mean(shares)


def test_silhouette_is_that_of_all_pairs():
    assert silhouette(CLOUD, CLOUD_LABELS) == pytest.approx(
        brute_silhouette(CLOUD, CLOUD_LABELS), rel=1e-9
    )


def test_silhouette_by_hand():
    # On a line: 0, 1 | 4, 6. a = 1, 1, 2, 2; b = 5, 4, 3.5, 5.5.
    features = np.array([[0.0], [1.0], [4.0], [6.0]])
    expected = (4 / 5 + 3 / 4 + 1.5 / 3.5 + 3.5 / 5.5) / 4
    assert silhouette(features, np.array([0, 0, 1, 1])) == pytest.approx(expected)
    # The wrong way round it is negative.
    assert silhouette(features, np.array([0, 1, 0, 1])) < 0


@pytest.mark.parametrize(
    "labels", [np.full(40, 8), np.arange(40)], ids=["one label", "a label a point"]
)
def test_silhouette_is_none_where_it_is_undefined(labels):
    assert silhouette(CLOUD, labels) is None


@pytest.mark.parametrize("k", [1, 7, 39])
def test_purity_is_that_of_all_pairs(k):
    assert knn_purity(CLOUD, CLOUD_LABELS, k) == pytest.approx(brute_purity(CLOUD, CLOUD_LABELS, k))


def test_purity_by_hand():
    # On a line: 0, 1, 3, 7. The two nearest of each: (1, 3), (0, 3), (1, 0), (3, 1).
    features = np.array([[0.0], [1.0], [3.0], [7.0]])
    assert knn_purity(features, np.array([0, 0, 1, 1]), 2) == pytest.approx(
        (0.5 + 0.5 + 0 + 0.5) / 4
    )


def test_equal_points_are_neighbours_and_never_their_own():
    features, labels = np.zeros((2, 3)), np.array([0, 1])
    assert knn_purity(features, labels, 1) == 0.0
    # Every point twice, under two labels: the nearest neighbour is the twin.
    twins = np.repeat(CLOUD, 2, axis=0)
    assert knn_purity(twins, np.tile([0, 1], 40), 1) == 0.0
    assert knn_purity(twins, np.repeat(np.arange(40), 2), 1) == 1.0


def test_blobs_far_apart_are_pure_and_mixed_labels_are_not():
    features, labels = blobs()
    assert knn_purity(features, labels, 10) == 1.0
    assert silhouette(features, labels) > 0.9
    mixed = np.tile([3, 7], 20)
    assert 0.3 < knn_purity(features, mixed, 10) < 0.7
    assert abs(silhouette(features, mixed)) < 0.1


@pytest.mark.slow
def test_embed_is_the_seeds_alone_and_keeps_blobs_apart():
    features, labels = blobs()
    first, again, other = (embed(features, seed, neighbors=5) for seed in (3, 3, 4))
    assert first.shape == (40, 2) and first.dtype == np.float32
    assert first.tobytes() == again.tobytes()
    assert not np.allclose(first, other)
    assert knn_purity(first, labels, 5) == 1.0
    close = embed(features, 3, neighbors=5, min_distance=0.0)

    def nearest(picture):
        between = distances(picture)
        np.fill_diagonal(between, np.inf)
        return between.min(axis=1).mean()

    assert nearest(close) < nearest(first)


WRONG = {
    "one axis": (lambda: silhouette(np.zeros(5), np.zeros(5)), r"received shape \(5,\), expected \(points"),  # noqa: E501
    "images": (lambda: embed(np.zeros((20, 28, 28)), 0), r"received shape \(20, 28, 28\)"),
    "no points": (lambda: knn_purity(np.zeros((0, 3)), np.zeros(0), 1), r"received shape \(0, 3\)"),
    "fewer labels": (lambda: silhouette(CLOUD, CLOUD_LABELS[:-1]), r"received shape \(39,\), expected \(40,\)"),  # noqa: E501
    "labels of two axes": (lambda: knn_purity(CLOUD, CLOUD_LABELS[:, None]), r"received shape \(40, 1\)"),  # noqa: E501
    "not finite": (lambda: knn_purity(np.full((5, 2), np.nan), np.zeros(5), 1), "received NaN or infinity"),  # noqa: E501
    "k of all points": (lambda: knn_purity(CLOUD, CLOUD_LABELS, 40), "k: received 40, expected 1 to 39"),  # noqa: E501
    "no neighbours": (lambda: knn_purity(CLOUD, CLOUD_LABELS, 0), "k: received 0, expected 1 to 39"),  # noqa: E501
    "neighbors of all points": (lambda: embed(CLOUD, 0, neighbors=40), "received 40, expected 2 to 39"),  # noqa: E501
    "a wide minimum": (lambda: embed(CLOUD, 0, min_distance=2.0), "received 2.0, expected 0 to 1"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said(call, message):
    with pytest.raises(UserError, match=message):
        call()
