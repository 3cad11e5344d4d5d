"""How well classes cluster: UMAP pictures, and figures of what the eye judges in them (Figures 2-5,
12-17).

UMAP (McInnes et al. 2018) keeps neighbourhoods, not distances: a gap in a picture can be its own
doing. So both measures are made to be taken of the features as well as of the picture:

    silhouette = mean of (b - a) / max(a, b), with a the mean distance to the points of the own
                 class and b that to the points of the nearest other one (Rousseeuw 1987)
    purity     = mean share of a point's k nearest neighbours that are of its class
"""

import numpy as np

from madvae_tf.utils.errors import UserError


def embed(
    features: np.ndarray, seed: int, neighbors: int = 15, min_distance: float = 0.1
) -> np.ndarray:
    """The UMAP picture of `features`: the same seed gives the same picture, on one thread.

    Args:
        features: float (n, d), finite.
        seed: at least 0.
        neighbors: how many make a point's neighbourhood, 2 to n - 1; UMAP's n_neighbors.
        min_distance: how close points may lie in the picture, 0 to 1; UMAP's min_dist.

    Returns:
        float32 (n, 2).

    Raises:
        UserError: features of another shape or not finite, too many neighbours.
    """
    features = _checked(features)
    _check_count("neighbors", neighbors, 2, len(features))
    if not 0 <= min_distance <= 1:
        raise UserError(f"Invalid min_distance: received {min_distance}, expected 0 to 1.")
    # Seconds to import, more to compile: only for those who draw.
    import umap

    # A seed takes one thread; said outright, UMAP does not warn of it.
    mapper = umap.UMAP(
        n_components=2, n_neighbors=neighbors, min_dist=min_distance, random_state=seed, n_jobs=1
    )
    return np.asarray(mapper.fit_transform(features.astype(np.float32)), np.float32)


def silhouette(features: np.ndarray, labels: np.ndarray) -> float | None:
    """The mean silhouette over all points, Euclidean, in [-1, 1]; 1: far apart and tight, 0: no
    clusters.

    Args:
        features: float (n, d), finite.
        labels: integers (n,): true labels or predictions.

    Returns:
        None where it is undefined: all labels alike, as of a classifier that always says the same,
        or no two alike.

    Raises:
        UserError: features or labels of another shape, features not finite.
    """
    features = _checked(features, labels)
    if not 2 <= len(np.unique(labels)) < len(features):
        return None
    from sklearn.metrics import silhouette_score

    return float(silhouette_score(features, labels))


def knn_purity(features: np.ndarray, labels: np.ndarray, k: int = 10) -> float:
    """The mean share of the k nearest neighbours (Euclidean; not the point itself) with the point's
    label.

    Args:
        features: float (n, d), finite.
        labels: integers (n,): true labels or predictions.
        k: 1 to n - 1.

    Returns:
        In [0, 1]; labels dealt out at random give about the sum of their squared shares, 0.1 for
        ten even classes.

    Raises:
        UserError: features or labels of another shape, features not finite, k out of range.
    """
    features = _checked(features, labels)
    _check_count("k", k, 1, len(features))
    from sklearn.neighbors import NearestNeighbors

    # Asked without points, it leaves each one out of its own neighbours, equal points included.
    nearest = NearestNeighbors(n_neighbors=k).fit(features).kneighbors(return_distance=False)
    labels = np.asarray(labels)
    return float(np.mean(labels[nearest] == labels[:, None]))


def _checked(features: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or 0 in features.shape:
        raise UserError(
            f"Invalid features: received shape {features.shape}, expected (points, dimensions)."
        )
    if not np.isfinite(features).all():
        raise UserError("Invalid features: received NaN or infinity, expected finite numbers.")
    if labels is not None and np.shape(labels) != features.shape[:1]:
        raise UserError(
            f"Invalid labels: received shape {np.shape(labels)}, expected ({len(features)},), one a"
            " point."
        )
    return features


def _check_count(name: str, count: int, least: int, points: int) -> None:
    if not least <= count < points:
        raise UserError(
            f"Invalid {name}: received {count}, expected {least} to {points - 1}, fewer than the"
            f" {points} points; lower it or take more points."
        )
