"""HopSkipJump, which sees nothing but predicted labels (Chen et al. 2019, Algorithm 2).

With phi = 1 where an image is misclassified and 0 elsewhere, iteration t, from a misclassified
image far away,

    1. bisects the way to the original for the boundary: along the line (L2), or by shrinking the
       L-infinity ball around it;
    2. estimates the boundary's normal at that point p from B_t = B_0 sqrt(t) labels around it,
           v = sum_b (phi(p + delta u_b) - mean phi) u_b,
       u_b uniform on the unit sphere, delta = ||p - x|| / d, d the number of pixels (the mean of
       u_b or its negative where all labels agree), and turns it into v / ||v||_2 (L2) or sign(v)
       (L-infinity);
    3. goes ||p - x|| / sqrt(t) that way, halved until the image is misclassified.

The bisection's precision is d^(-3/2) of the way in L2, d^(-2) in L-infinity. An image stops once it
is within epsilon. Libraries have this attack for one image at a time and draw from a generator
without a seed of its own; here a batch goes together, and draws are an image's own.
"""

import dataclasses
import math
from typing import ClassVar

import tensorflow as tf

from madvae_tf.attacks.base import Seed
from madvae_tf.attacks.compiled import per_target
from madvae_tf.attacks.geometry import (
    direction,
    distance,
    draws,
    image_seeds,
    spread,
    values_of,
)
from madvae_tf.attacks.objectives import misclassified
from madvae_tf.attacks.repeated import RepeatedAttack
from madvae_tf.config.parameters import parameter
from madvae_tf.models.defended_model import DefendedModel, Function
from madvae_tf.utils.images import shape_of

# Labels around a point in the first iteration; they come in chunks, each of one draw.
FIRST, CHUNK = 100, 25
_STARTS, _HALVINGS = 96, 20
# A bisection ends within d^-1.5 of the distance (L2) or d^-2, d the numbers of an image; halvings
# in powers of two.
_EXPONENTS = {"l2": 1.5, "linf": 2.0}
# The starting noise: the edge of its blocks, and whether these are black and white alone.
_NOISES = [(block, binary) for block in (1, 4, 7) for binary in (False, True)]
# Of each image so many seeds in a row are an iteration's streams.
_STREAMS = 1000


def chunks_at(iteration: int) -> int:
    """How many chunks of labels estimate the normal in iteration 1, 2, ..."""
    return math.ceil(FIRST * math.sqrt(iteration) / CHUNK)


def bisections(norm: str, values: int) -> int:
    """Halvings of a bisection for images of `values` numbers."""
    return math.ceil(_EXPONENTS[norm] * math.log2(values))


def iterations_within(queries: int, norm: str, values: int = 784) -> int:
    """The most iterations that ask for at most `queries` labels of an image of `values` numbers."""
    halvings = bisections(norm, values)
    # What is asked before and after: the image itself, the starts, and the last bisection.
    remaining, done = queries - 1 - _STARTS - halvings, 0
    while True:
        remaining -= halvings + CHUNK * chunks_at(done + 1) + _HALVINGS
        if remaining < 0:
            return done
        done += 1


def _noise(x: tf.Tensor, seeds: tf.Tensor, block: int, binary: bool) -> tf.Tensor:
    """Squares of one value each, uniform or 0 and 1, of the shape of x, float32."""
    height, width, channels = shape_of(x)
    squares = [math.ceil(side / block) for side in (height, width)]
    value = (draws(seeds, [*squares, channels]) + 1) / 2
    value = tf.round(value) if binary else value
    return tf.repeat(tf.repeat(value, block, axis=1), block, axis=2)[:, :height, :width]


@per_target
def _start(
    logits: Function, x: tf.Tensor, y: tf.Tensor, seeds: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """A misclassified image of noise for each image, and whether one was found."""

    def step(
        index: tf.Tensor, image: tf.Tensor, found: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        for offset, (block, binary) in enumerate(_NOISES):
            candidate = _noise(x, seeds + index + offset, block, binary)
            taken = misclassified(logits(candidate), y) & tf.logical_not(found)
            image, found = tf.where(spread(taken), candidate, image), found | taken
        return index + len(_NOISES), image, found

    _, image, found = tf.while_loop(
        lambda index, image, found: (index < _STARTS) & tf.logical_not(tf.reduce_all(found)),
        step,
        (tf.constant(0), x, tf.zeros_like(y, tf.bool)),
    )
    return image, found


@per_target
def _search(
    logits: Function,
    norm: str,
    x: tf.Tensor,
    y: tf.Tensor,
    far: tf.Tensor,
    found: tf.Tensor,
    seeds: tf.Tensor,
    epsilon: tf.Tensor,
    iterations: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The nearest misclassified image found and its distance, a huge one where there is none.

    The first within epsilon ends the search.
    """

    def fools(images: tf.Tensor) -> tf.Tensor:
        return misclassified(logits(images), y)

    def between(far: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
        if norm == "linf":
            radius = spread(share * distance(far - x, norm))
            return tf.clip_by_value(tf.clip_by_value(far, x - radius, x + radius), 0.0, 1.0)
        return tf.clip_by_value(x + spread(share) * (far - x), 0.0, 1.0)

    def boundary(far: tf.Tensor) -> tf.Tensor:
        def halve(
            index: tf.Tensor, low: tf.Tensor, high: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            middle = (low + high) / 2
            beyond = fools(between(far, middle))
            return index + 1, tf.where(beyond, low, middle), tf.where(beyond, middle, high)

        none = tf.zeros_like(x[:, 0, 0, 0])
        _, _, high = tf.while_loop(
            lambda index, *_: index < bisections(norm, values_of(x)),
            halve,
            (tf.constant(0), none, none + 1),
        )
        # The far end as it is, not rounded.
        return tf.where(spread(high < 1), between(far, high), far)

    def normal(point: tf.Tensor, delta: tf.Tensor, iteration: tf.Tensor) -> tf.Tensor:
        root = tf.sqrt(tf.cast(iteration, tf.float32))
        chunks = tf.cast(tf.math.ceil(FIRST * root / CHUNK - 1e-4), tf.int32)

        def ask(
            index: tf.Tensor, wrong: tf.Tensor, every: tf.Tensor, count: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
            stream = seeds + _STARTS + _STREAMS * iteration + index
            ways = draws(stream, [CHUNK, *shape_of(x)], normal=True)
            ways /= tf.sqrt(tf.reduce_sum(tf.square(ways), axis=[2, 3, 4], keepdims=True))

            def one(
                place: tf.Tensor, wrong: tf.Tensor, every: tf.Tensor, count: tf.Tensor
            ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
                near = tf.clip_by_value(point + spread(delta) * ways[:, place], 0.0, 1.0)
                # What was left of the direction in the box.
                way = (near - point) / spread(tf.maximum(delta, 1e-12))
                hit = tf.cast(fools(near), tf.float32)
                return place + 1, wrong + spread(hit) * way, every + way, count + hit

            _, wrong, every, count = tf.while_loop(
                lambda place, *_: place < CHUNK, one, (tf.constant(0), wrong, every, count)
            )
            return index + 1, wrong, every, count

        zeros = tf.zeros_like(x)
        _, wrong, every, count = tf.while_loop(
            lambda index, *_: index < chunks, ask, (tf.constant(0), zeros, zeros, zeros[:, 0, 0, 0])
        )
        share = spread(count / tf.cast(chunks * CHUNK, tf.float32))
        agree = (share == 0) | (share == 1)
        return tf.where(agree, (2 * share - 1) * every, wrong - share * every)

    def step(
        iteration: tf.Tensor, far: tf.Tensor, nearest: tf.Tensor, radius: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        point = boundary(far)
        away = distance(point - x, norm)
        nearer = found & (away < radius)
        nearest, radius = tf.where(spread(nearer), point, nearest), tf.where(nearer, away, radius)
        way = direction(normal(point, away / values_of(x), iteration), norm)

        def shorten(
            index: tf.Tensor, size: tf.Tensor, image: tf.Tensor, done: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
            candidate = tf.clip_by_value(point + spread(size) * way, 0.0, 1.0)
            taken = fools(candidate) & tf.logical_not(done)
            return index + 1, size / 2, tf.where(spread(taken), candidate, image), done | taken

        _, _, far, _ = tf.while_loop(
            lambda index, size, image, done: (
                (index < _HALVINGS) & tf.logical_not(tf.reduce_all(done))
            ),
            shorten,
            (
                tf.constant(0),
                away / tf.sqrt(tf.cast(iteration, tf.float32)),
                point,
                tf.zeros_like(y, tf.bool),
            ),
        )
        return iteration + 1, far, nearest, radius

    _, far, nearest, radius = tf.while_loop(
        lambda iteration, far, nearest, radius: (
            (iteration <= iterations) & tf.reduce_any(found & (radius > epsilon))
        ),
        step,
        (tf.constant(1), far, x, tf.fill(tf.shape(y), tf.float32.max)),
    )
    point = boundary(far)
    away = distance(point - x, norm)
    nearer = found & (away < radius)
    nearest, radius = tf.where(spread(nearer), point, nearest), tf.where(nearer, away, radius)
    return nearest, radius


@dataclasses.dataclass(frozen=True)
class HopSkipJump(RepeatedAttack):
    """HopSkipJump; see the module's docstring.

    It seeks the nearest image whatever `epsilon`, and returns it if it is within.

    Attributes:
        norm: linf or l2.
        queries: the most labels that a run asks for; it makes as many iterations as cannot exceed
            them.
        restarts: each of `queries`, from another start.
    """

    name: ClassVar[str] = "hop_skip_jump"
    norm: str = parameter("linf")
    epsilon: float = parameter(0.3)
    queries: int = parameter(20_000, minimum=1)
    restarts: int = parameter(1, minimum=1)

    def run(
        self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed, number: int
    ) -> tf.Tensor:
        seeds = image_seeds(x, seed)
        far, found = _start(target.logits, x, y, seeds)
        iterations = iterations_within(self.queries, self.norm, values_of(x))
        scalars = map(tf.constant, (self.epsilon, iterations))
        nearest, radius = _search(target.logits, self.norm, x, y, far, found, seeds, *scalars)
        return tf.where(spread(radius <= self.epsilon), nearest, x)
