"""The Square attack: random search that asks for logits only (Andriushchenko et al. 2020).

L-infinity starts from vertical stripes of +-epsilon; a query adds +-2 epsilon in one random h x h
window and projects. L2 starts from a 5 x 5 grid of bumps of norm epsilon in all; a query moves the
change within a random window W2 to another, W1, with a random bump e(h) (Algorithm 3):

    c_W1 <- u / ||u|| sqrt(||c_{W1 u W2}||^2 + epsilon^2 - ||c||^2),   u = +-e + c_W1 / ||c_W1||,
    c_W2 <- 0

A query's image is kept where it lowers the margin z_y - max z_j. h^2 is the share p of the pixels,
which starts at 0.8 and is halved at 10, 50, 200, 500, 1000, 2000, 4000, 6000 and 8000 of 10,000
queries, scaled to the number there are. The windows of a colour image's channels are the same; each
channel draws its own sign.
"""

import dataclasses
import math
from typing import ClassVar

import numpy as np
import tensorflow as tf

from madvae_tf.attacks.base import Seed
from madvae_tf.attacks.compiled import per_target
from madvae_tf.attacks.geometry import draws, image_seeds, l2_norm, spread
from madvae_tf.attacks.objectives import margin
from madvae_tf.attacks.repeated import RepeatedAttack
from madvae_tf.config.parameters import parameter
from madvae_tf.models.defended_model import DefendedModel, Function
from madvae_tf.utils.images import Shape, shape_of

_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
_GRID = 5
_TINY = 1e-10
# Images nearer than this are one image: less than float32 keeps of x + (image - x).
_SAME = 1e-6


def sides(
    queries: int, share: float, norm: str, height: int = 28, width: int | None = None
) -> np.ndarray:
    """The window's side at every query, int32 (queries,), for L2 odd; `height` and `width` are the
    image's, a square's without the latter. No window is larger than the shorter one.
    """
    width = width or height
    most = min(height, width)
    found = []
    for query in range(queries):
        p = share / 2 ** sum(10_000 * query // queries > halving for halving in _HALVINGS)
        side = max(round(math.sqrt(p) * math.sqrt(height * width)), 1 if norm == "linf" else 3)
        side = min(side + (norm == "l2" and side % 2 == 0), most)
        found.append(side - (norm == "l2" and side % 2 == 0))
    return np.array(found, np.int32)


def bump(height: int, width: int) -> np.ndarray:
    """Nested rectangles, float64 (height, width): ring M weighs sum_{k<=M} 1 / (n + 1 - k)^2."""
    n = max(height, width) // 2
    row, column = (np.abs(np.arange(length) - length // 2)[:, None] for length in (height, width))
    ring = n - np.maximum(row, column.T)
    return np.array(
        [[sum(1.0 / (n + 1 - k) ** 2 for k in range(m + 1)) for m in line] for line in ring]
    )


def double_bump(side: int) -> np.ndarray:
    """e(side), of norm 1: a bump in the upper half, its negative below, float64 (side, side)."""
    upper = side // 2
    both = (
        np.concatenate([bump(upper, side), -bump(side - upper, side)]) if upper else np.ones((1, 1))
    )
    return both / np.linalg.norm(both)


def _patterns(wanted: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """double_bump of each side that is `wanted` at the upper left of an empty square of `most`
    pixels, float32 (count, most, most), and which of them each of `wanted` is, int32. `count` does
    not depend on `wanted`.
    """
    table = np.zeros((len(_HALVINGS) + 1, most, most), np.float32)
    found, which = np.unique(wanted, return_inverse=True)
    for place, side in enumerate(found):
        table[place, :side, :side] = double_bump(side)
    return table, which.astype(np.int32)


def _inside(corner: tf.Tensor, side: tf.Tensor, shape: Shape) -> tf.Tensor:
    """Windows from int32 corners (batch, 2) and sides (batch,): bool (batch, height, width, 1)."""
    row, column = (
        (place >= 0) & (place < side[:, None])
        for axis in (0, 1)
        for place in [tf.range(shape[axis])[None, :] - corner[:, axis, None]]
    )
    return (row[:, :, None] & column[:, None, :])[..., None]


def _placed(patterns: tf.Tensor, corner: tf.Tensor, turned: tf.Tensor, shape: Shape) -> tf.Tensor:
    """Each image's pattern of (batch, side, side) moved to its corner, transposed where `turned`.

    It is float32 (batch, height, width, 1).
    """
    side = patterns.shape[-1]
    patterns = tf.where(turned[:, None, None], tf.transpose(patterns, [0, 2, 1]), patterns)
    # A negative index gives a row of zeros.
    rows, columns = (
        tf.one_hot(tf.range(shape[axis])[None, :] - corner[:, axis, None], side) for axis in (0, 1)
    )
    return tf.einsum("bri,bij,bcj->brc", rows, patterns, columns)[..., None]


def _moved_mass(
    change: tf.Tensor, epsilon: tf.Tensor, first: tf.Tensor, second: tf.Tensor, shape: tf.Tensor
) -> tf.Tensor:
    """Algorithm 3: the change with the mass of window `second` in window `first`.

    Masks and signed bump are (batch, height, width, 1).
    """
    one, two = tf.cast(first, tf.float32), tf.cast(second, tf.float32)
    unused = tf.maximum(tf.square(epsilon) - tf.square(l2_norm(change)), 0.0)
    inside = change * one
    direction = shape + inside / tf.maximum(l2_norm(inside), _TINY)
    available = tf.sqrt(tf.square(l2_norm(change * tf.cast(first | second, tf.float32))) + unused)
    placed = direction / tf.maximum(l2_norm(direction), _TINY) * available
    return tf.where(first, placed, change * (1 - two))


def _of_channels(chance: tf.Tensor, first: int, others: int) -> tf.Tensor:
    """Draws (batch, k) -> one of each channel, (batch, 1, 1, channels): `first`, then `others` on."""  # noqa: E501
    return tf.concat([chance[:, first : first + 1], chance[:, others:]], axis=1)[:, None, None, :]


def _stripes(seeds: tf.Tensor, epsilon: tf.Tensor, shape: Shape) -> tf.Tensor:
    return epsilon * tf.sign(draws(seeds, [1, shape[1], shape[2]]))


def _grid(seeds: tf.Tensor, epsilon: tf.Tensor, shape: Shape) -> tf.Tensor:
    """Squares of a fifth of the shorter side: five along it, and as many more along the other as it
    is longer.
    """
    side = min(shape[:2]) // _GRID
    rows, columns = (_GRID * whole // min(shape[:2]) for whole in shape[:2])
    chance = draws(seeds, [rows * columns, 1 + shape[2]])
    top, left = ((whole - side * n) // 2 for whole, n in zip(shape, (rows, columns), strict=False))
    change = tf.zeros([tf.shape(seeds)[0], *shape])
    pattern = tf.constant(double_bump(side), tf.float32)
    patterns = tf.tile(pattern[None], tf.stack([tf.shape(seeds)[0], 1, 1]))
    for tile in range(rows * columns):
        corner = [top + side * (tile // columns), left + side * (tile % columns)]
        corners = tf.tile(tf.constant([corner]), tf.stack([tf.shape(seeds)[0], 1]))
        bumps = _placed(patterns, corners, chance[:, tile, 1] > 0, shape)
        change += tf.sign(_of_channels(chance[:, tile], 0, 2)) * bumps
    return epsilon * change / l2_norm(change)


@per_target
def _search(
    logits: Function,
    norm: str,
    x: tf.Tensor,
    y: tf.Tensor,
    seed: tf.Tensor,
    epsilon: tf.Tensor,
    sizes: tf.Tensor,
    patterns: tf.Tensor,
    which: tf.Tensor,
) -> tf.Tensor:
    """The image of the lowest margin found; an image that is fooled asks no more.

    A query whose candidate is the image that there is counts, but nothing is computed for it: in
    L-infinity a late window often is at the bound of its sign already. Each image goes on to its
    own next query, so that the batch stays full.
    """
    queries = int(sizes.shape[0])  # pyright: ignore[reportArgumentType]
    seeds = image_seeds(x, seed)
    height, width, channels = shape = shape_of(x)
    chance = draws(seeds, [queries, 5 + channels])
    # The stream of the starting image is another one.
    start = (_stripes if norm == "linf" else _grid)(
        tf.bitwise.bitwise_xor(seeds, 1), epsilon, shape
    )
    image = tf.clip_by_value(x + start, 0.0, 1.0)

    def propose(query: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
        """Each image's candidate of its own query, int32 (batch,)."""
        query = tf.minimum(query, queries - 1)
        size = tf.gather(sizes, query)
        here = tf.gather(chance, query, axis=1, batch_dims=1)
        # Uniform in [-1, 1) to the integers 0..height - size, and so across.
        room = tf.stack([height - size, width - size] * 2, axis=1)
        corners = tf.cast(tf.floor((here[:, :4] + 1) / 2 * tf.cast(room + 1, tf.float32)), tf.int32)
        corners = tf.minimum(corners, room)
        sign = tf.where(_of_channels(here, 4, 6) < 0, -1.0, 1.0)
        first = _inside(corners[:, :2], size, shape)
        if norm == "linf":
            change = image - x + 2 * epsilon * sign * tf.cast(first, tf.float32)
            change = tf.clip_by_value(change, -epsilon, epsilon)
        else:
            pattern = tf.gather(patterns, tf.gather(which, query))
            bumps = sign * _placed(pattern, corners[:, :2], here[:, 5] > 0, shape)
            change = _moved_mass(
                image - x, epsilon, first, _inside(corners[:, 2:], size, shape), bumps
            )
            change *= tf.minimum(1.0, epsilon / tf.maximum(l2_norm(change), _TINY))
        return tf.clip_by_value(x + change, 0.0, 1.0)

    def asks(query: tf.Tensor, lowest: tf.Tensor) -> tf.Tensor:
        return (query < queries) & (lowest >= 0)

    def next_change(
        query: tf.Tensor, image: tf.Tensor, lowest: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The first query from `query` on whose candidate is another image, and the candidate."""

        def idle(query: tf.Tensor, candidate: tf.Tensor) -> tf.Tensor:
            moved = tf.reduce_max(tf.abs(candidate - image), axis=[1, 2, 3])
            return asks(query, lowest) & (moved <= _SAME)

        def skip(query: tf.Tensor, candidate: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            query += tf.cast(idle(query, candidate), tf.int32)
            return query, propose(query, image)

        return tf.while_loop(
            lambda query, candidate: tf.reduce_any(idle(query, candidate)),
            skip,
            (query, propose(query, image)),
        )

    def step(
        query: tf.Tensor, image: tf.Tensor, lowest: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        query, candidate = next_change(query, image, lowest)
        found = -margin(logits(candidate), y, y)
        better = (found < lowest) & asks(query, lowest)
        return (
            query + 1,
            tf.where(spread(better), candidate, image),
            tf.where(better, found, lowest),
        )

    _, image, _ = tf.while_loop(
        lambda query, image, lowest: tf.reduce_any(asks(query, lowest)),
        step,
        (tf.ones_like(y, tf.int32), image, -margin(logits(image), y, y)),
    )
    return image


@dataclasses.dataclass(frozen=True)
class Square(RepeatedAttack):
    """The Square attack; see the module's docstring. It takes no gradient.

    Attributes:
        norm: linf or l2.
        queries: of an image, the starting image's among them.
        share: of the pixels, in the first windows.
        restarts: each of `queries`.
    """

    name: ClassVar[str] = "square"
    norm: str = parameter("linf")
    epsilon: float = parameter(0.3)
    queries: int = parameter(5000, minimum=1)
    share: float = parameter(0.8, maximum=0.9, open_minimum=True)
    restarts: int = parameter(1, minimum=1)

    def run(
        self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed, number: int
    ) -> tf.Tensor:
        height, width, _ = shape_of(x)
        sizes = sides(self.queries, self.share, self.norm, height, width)
        patterns = _patterns(sizes, min(height, width))
        constants = map(tf.constant, (self.epsilon, sizes, *patterns))
        return _search(target.logits, self.norm, x, y, tf.constant(seed, tf.int64), *constants)
