"""What an attack is, what it sees of its target, and the one driver that runs every attack.

An attack is a frozen dataclass of its parameters with `__call__(target, x, y, seed) -> x_adv`. It
sees a `DefendedModel`, a few callables, never a model class: undefended, transferred and end-to-end
attacks differ only in the target.

The driver cuts the images into batches of one fixed size (the last is padded), so that nothing
retraces and no image's result depends on how many images came with it. A batch's seed is folded
from (seed, batch number): a shard that starts at batch `start_batch` comes out the same alone, in
any order of work, as in one long run.
"""

import abc
import dataclasses
import hashlib
import numbers
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from madvae_tf.attacks.compiled import per_target
from madvae_tf.config.parameters import Parameters
from madvae_tf.models.defended_model import DefendedModel, Function
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.forks import check_process
from madvae_tf.utils.images import IMAGE_SHAPE, Shape, check_images
from madvae_tf.utils.labels import check_labels

BUDGET_TOLERANCE = 1e-6  # one float32 rounding of x + epsilon is at most 6e-8
Seed = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Attack(Parameters, abc.ABC):
    """Base of the attacks: parameters are `parameter(...)` fields, checked on construction."""

    @abc.abstractmethod
    def __call__(self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed) -> tf.Tensor:
        """Returns the attacked images.

        Args:
            target: what is attacked.
            x: float32 (batch, height, width, channels) in [0, 1].
            y: int64 (batch,), the true labels.
            seed: two ints in [0, 2**31); all randomness is drawn statelessly from them.

        Returns:
            float32 (batch, height, width, channels) in [0, 1].
        """

    def for_classes(self, classes: int) -> "Attack":
        """The attack as a system of so many classes can be attacked: here itself."""
        del classes
        return self

    @property
    def norm_budget(self) -> float | None:
        """The distance, in its `norm`, that the attack promises not to exceed, or None."""
        return getattr(self, "epsilon", None)


@dataclasses.dataclass(frozen=True, eq=False)
class AttackResult:
    """Attacked images and what became of them.

    Attributes:
        x_adv: float32 (n, height, width, channels) in [0, 1].
        success: bool (n,), whether the target's prediction on `x_adv` differs from the true label.
        linf: float32 (n,), the L-infinity distance from the original.
        l2: float32 (n,), the L2 distance from the original.
    """

    x_adv: np.ndarray
    success: np.ndarray
    linf: np.ndarray
    l2: np.ndarray

    @classmethod
    def concatenate(
        cls, results: "list[AttackResult]", shape: Shape = IMAGE_SHAPE
    ) -> "AttackResult":
        """One result of many, in their order; no results give one of zero images of that shape."""
        none = np.zeros(0, np.float32)
        results = results or [cls(np.zeros((0, *shape), np.float32), none.astype(bool), none, none)]
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(
            *(np.concatenate([getattr(result, name) for result in results]) for name in names)
        )


def fold_seed(seed: Seed, *data: int) -> Seed:
    """A new seed from a seed and any ints, by SHA-256: the same on every platform.

    Returns:
        two ints in [0, 2**31), as `tf.random.stateless_*` takes them.
    """
    digest = hashlib.sha256(
        ",".join(str(int(number)) for number in (*seed, *data)).encode("ascii")
    ).digest()
    return int.from_bytes(digest[:4], "big") >> 1, int.from_bytes(digest[4:8], "big") >> 1


@per_target
def predict(logits: Function, x: tf.Tensor) -> tf.Tensor:
    """The predicted classes, int64 (batch,), compiled once per `logits` object and batch size."""
    return tf.argmax(logits(x), axis=1)


def run_attack(
    attack: Attack,
    target: DefendedModel,
    x: np.ndarray,
    y: np.ndarray,
    seed: Seed,
    batch_size: int = 250,
    progress: Callable[[int], object] | None = None,
) -> AttackResult:
    """Attacks all images and returns one result; arguments and errors as in `attack_batches`."""
    return AttackResult.concatenate(
        list(attack_batches(attack, target, x, y, seed, batch_size=batch_size, progress=progress)),
        np.shape(x)[1:],
    )


def attack_batches(
    attack: Attack,
    target: DefendedModel,
    x: np.ndarray,
    y: np.ndarray,
    seed: Seed,
    batch_size: int = 250,
    start_batch: int = 0,
    progress: Callable[[int], object] | None = None,
) -> Iterator[AttackResult]:
    """Attacks the images batch by batch; memory does not grow with their number.

    Args:
        attack: the attack.
        target: what is attacked.
        x: floating point (n, height, width, channels), finite, in [0, 1].
        y: integers (n,) in [0, classes), the true labels.
        seed: two ints; batch b draws from `fold_seed(seed, b)`.
        batch_size: images per call of the attack; attacks that draw depend on it, the others do
            not.
        start_batch: the number of the first batch of `x`. The k-th shard of m batches each, given
            alone as `x` with start_batch = k * m, comes out as it does in a run over all shards.
        progress: called after each batch with the number of images in it.

    Returns:
        an iterator of one `AttackResult` per batch, padding removed. Arguments are checked at once,
        not on first use.

    Raises:
        UserError: invalid images, labels, seed, batch size or first batch.
        RuntimeError: on iteration, the attack left [0, 1] or its budget or made NaN: a bug, in it
        or in the target.
    """
    check_process()
    x = check_images(x, "images to attack")
    y = check_labels(y, len(x))
    for what, value, minimum in (("batch_size", batch_size, 1), ("start_batch", start_batch, 0)):
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < minimum:
            raise UserError(
                f"Invalid {what}: received {value!r}, expected an integer >= {minimum}."
            )
    pair = isinstance(seed, Sequence) and len(seed) == 2
    if not pair or not all(isinstance(part, numbers.Integral) for part in seed):
        raise UserError(
            f"Invalid seed: received {seed!r}, expected a pair of integers such as (0, 0)."
        )

    def batches() -> Iterator[AttackResult]:
        for number, start in enumerate(range(0, len(x), batch_size), start_batch):
            clean, labels = x[start : start + batch_size], y[start : start + batch_size]
            # Padded with the batch's own images: strangers could keep a loop that ends early from
            # ending.
            rows = np.arange(batch_size) % len(clean)
            x_adv = attack(
                target, tf.constant(clean[rows]), tf.constant(labels[rows]), fold_seed(seed, number)
            )
            predicted = predict(target.logits, x_adv).numpy()[: len(clean)]
            x_adv = x_adv.numpy()[: len(clean)]
            difference = (x_adv - clean).reshape(len(clean), -1)
            linf, l2 = np.abs(difference).max(axis=1), np.linalg.norm(difference, axis=1)
            _check_result(attack, x_adv, linf, l2)
            yield AttackResult(x_adv, predicted != labels, linf, l2)
            if progress is not None:
                progress(len(clean))

    return batches()


def _check_result(attack: Attack, x_adv: np.ndarray, linf: np.ndarray, l2: np.ndarray) -> None:
    if not np.isfinite(x_adv).all():
        raise RuntimeError(
            f"{attack!r} made NaN or infinite pixels; are the target's logits and gradients finite?"
        )
    if x_adv.min() < 0 or x_adv.max() > 1:
        raise RuntimeError(f"{attack!r} left [0, 1]: pixels in [{x_adv.min()}, {x_adv.max()}].")
    budget = attack.norm_budget
    euclidean = getattr(attack, "norm", "linf") == "l2"
    norm, farthest = ("L2", l2.max()) if euclidean else ("L-infinity", linf.max())
    # The rounding of an L2 distance grows with the distance.
    if budget is not None and farthest > budget + BUDGET_TOLERANCE * (
        1 + 4 * budget if euclidean else 1
    ):
        raise RuntimeError(
            f"{attack!r} exceeded its budget: {norm} distance {farthest}, allowed {budget}."
        )
