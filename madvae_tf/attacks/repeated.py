"""Attacks of several runs: restarts, target classes, or both.

Each run is only for the images that no run before it fooled.
"""

import abc
import dataclasses
from typing import ClassVar

import tensorflow as tf

from madvae_tf.attacks.base import Attack, Seed, fold_seed, predict
from madvae_tf.attacks.geometry import check_norm, spread
from madvae_tf.models.defended_model import DefendedModel


@dataclasses.dataclass(frozen=True)
class RepeatedAttack(Attack):
    """Base of these attacks.

    Draws come from an image's own pixels and the seed, so its result depends on no other image.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        check_norm(getattr(self, "norm", "linf"))

    @property
    def runs(self) -> int:
        """How many runs there are: one for each restart."""
        return getattr(self, "restarts", 1)

    @abc.abstractmethod
    def run(
        self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed, number: int
    ) -> tf.Tensor:
        """The `number`-th run (from 0) for all of x; arguments and result as in `__call__`."""

    def __call__(self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed) -> tf.Tensor:
        """The first run's image that fools, or the last run's; what is wrong as it is stays."""
        result, done = x, tf.not_equal(predict(target.logits, x), y)
        for number in range(self.runs):
            if tf.reduce_all(done):
                break
            attacked = self.run(target, x, y, fold_seed(seed, number), number)
            result = tf.where(spread(done), result, attacked)
            done = done | tf.not_equal(predict(target.logits, attacked), y)
        return result


@dataclasses.dataclass(frozen=True)
class OneRun(Attack):
    """One run of a repeated attack, for a driver that gathers many batches between runs."""

    name: ClassVar[str] = "one_run"
    whole: RepeatedAttack
    number: int

    def __post_init__(self) -> None:
        # Its fields are no parameters of a user's.
        pass

    @property
    def norm(self) -> str:
        """The norm of the budget."""
        return getattr(self.whole, "norm", "linf")

    @property
    def norm_budget(self) -> float | None:
        """That of the whole attack."""
        return self.whole.norm_budget

    def __call__(self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed) -> tf.Tensor:
        return self.whole.run(target, x, y, fold_seed(seed, self.number), self.number)


def runs_of(attack: Attack) -> list[Attack]:
    """The runs of an attack, in order: itself where it has one only by nature."""
    if isinstance(attack, RepeatedAttack):
        return [OneRun(attack, number) for number in range(attack.runs)]
    return [attack]
