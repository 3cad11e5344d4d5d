"""Auto-PGD: projected ascent with momentum whose step size adapts (Croce & Hein 2020, Algorithm 1).

    z       = P(x_k + eta d(grad L(x_k)))
    x_{k+1} = P(x_k + 0.75 (z - x_k) + 0.25 (x_k - x_{k-1}))        the first step without momentum

eta starts at 2 epsilon. At the checkpoints w_j = ceil(p_j N), p_0 = 0, p_1 = 0.22, p_{j+1} = p_j +
max(p_j - p_{j-1} - 0.03, 0.06), it is halved, and the search goes on from the best point so far,
for an image whose objective (1) rose in fewer than 0.75 of the steps since the last checkpoint, or
(2) has the best value and the step size that it had there.
"""

import dataclasses
from typing import ClassVar, NamedTuple

import tensorflow as tf

from madvae_tf.attacks.base import Seed
from madvae_tf.attacks.compiled import per_target
from madvae_tf.attacks.geometry import image_seeds, random_start, spread
from madvae_tf.attacks.objectives import (
    LEAST_CLASSES,
    OBJECTIVES,
    TARGETED,
    Joint,
    Scored,
    ascent,
    goal_class,
)
from madvae_tf.attacks.perturbation_sets import BALLS
from madvae_tf.attacks.repeated import RepeatedAttack
from madvae_tf.config.parameters import parameter
from madvae_tf.models.defended_model import DefendedModel, Function
from madvae_tf.utils.errors import UserError, lookup
from madvae_tf.utils.labels import MOST_CLASSES

_MOMENTUM, _RISES = 0.75, 0.75
# Target classes of an image, as AutoAttack's standard set has them.
TARGETS = 9


def checkpoints(iterations: int) -> list[int]:
    """w_1, w_2, ... up to `iterations`; the shares p_j are in hundredths: nothing rounds."""
    previous, share, found = 0, 22, []
    while share < 100:
        # The ceiling of share * iterations / 100.
        found.append(-(-share * iterations // 100))
        previous, share = share, share + max(share - previous - 3, 6)
    return sorted(set(found))


class _State(NamedTuple):
    index: tf.Tensor  # int32 ()
    # float32 (batch, height, width, channels): x_k, then x_{k-1} and the best so far
    x_adv: tf.Tensor
    x_previous: tf.Tensor
    x_best: tf.Tensor
    value: tf.Tensor  # float32 (batch,): the objective at x_k, then at the best
    loss_best: tf.Tensor
    gradient: tf.Tensor  # as the images: at x_k, then at the best
    gradient_best: tf.Tensor
    step: (
        tf.Tensor
    )  # float32 (batch,): eta, and what it and the best loss were at the last checkpoint
    step_checked: tf.Tensor
    loss_checked: tf.Tensor
    rises: tf.Tensor  # int32 (batch,), since the last checkpoint
    result: tf.Tensor  # a fooling image, where there is one
    result_value: tf.Tensor  # float32 (batch,)
    done: tf.Tensor  # bool (batch,): there is one


@per_target
def goals(logits: Function, x: tf.Tensor, y: tf.Tensor, rank: tf.Tensor) -> tf.Tensor:
    """Of each image the wrong class that its logits rank `rank`-th, int64 (batch,)."""
    return goal_class(logits(x), y, rank)


@per_target
def _count(logits: Function, x: tf.Tensor) -> tf.Tensor:
    """How many classes there are, int32 ()."""
    return tf.shape(logits(x))[1]


@per_target
def _ascend(
    logits: Function,
    loss: str,
    norm: str,
    scored: Scored | None,
    x: tf.Tensor,
    y: tf.Tensor,
    goal: tf.Tensor,
    start: tf.Tensor,
    epsilon: tf.Tensor,
    windows: tf.Tensor,
    early: tf.Tensor,
    weight: tf.Tensor,
) -> tf.Tensor:
    """One run.

    Args:
        windows: int32 (iterations + 1,), at a checkpoint the steps since the last one, else 0.
    """
    ball = BALLS[norm](x, epsilon)

    def step(old: _State) -> tuple[_State]:
        index = old.index + 1
        along = ball.step(old.x_adv, old.gradient, spread(old.step))
        momentum = tf.where(index > 1, _MOMENTUM, 1.0)
        moved = (
            old.x_adv
            + momentum * (along - old.x_adv)
            + (1 - momentum) * (old.x_adv - old.x_previous)
        )
        x_adv = ball.project(moved)
        value, gradient, fooled = ascent(logits, loss, x_adv, y, goal, scored, weight)

        rises = old.rises + tf.cast(value > old.value, tf.int32)
        better = value > old.loss_best
        x_best, gradient_best = (
            tf.where(spread(better), new, kept)
            for new, kept in ((x_adv, old.x_best), (gradient, old.gradient_best))
        )
        loss_best = tf.maximum(value, old.loss_best)
        taken = fooled & tf.where(
            old.done, tf.logical_not(early) & (value > old.result_value), True
        )

        window = windows[index]
        check = window > 0
        few = tf.cast(rises, tf.float32) < _RISES * tf.cast(window, tf.float32)
        stuck = (old.step == old.step_checked) & (loss_best == old.loss_checked)
        halve = check & (few | stuck)
        return (
            _State(
                index=index,
                x_adv=tf.where(spread(halve), x_best, x_adv),
                x_previous=old.x_adv,
                x_best=x_best,
                value=tf.where(halve, loss_best, value),
                loss_best=loss_best,
                gradient=tf.where(spread(halve), gradient_best, gradient),
                gradient_best=gradient_best,
                step=tf.where(halve, old.step / 2, old.step),
                step_checked=tf.where(check, old.step, old.step_checked),
                loss_checked=tf.where(check, loss_best, old.loss_checked),
                rises=tf.where(check, 0, rises),
                result=tf.where(spread(taken), x_adv, old.result),
                result_value=tf.where(taken, value, old.result_value),
                done=old.done | fooled,
            ),
        )

    value, gradient, fooled = ascent(logits, loss, start, y, goal, scored, weight)
    size = tf.fill(tf.shape(value), 2 * epsilon)
    state = _State(
        index=tf.constant(0),
        **dict.fromkeys(("x_adv", "x_previous", "x_best", "result"), start),
        **dict.fromkeys(("value", "loss_best", "loss_checked", "result_value"), value),
        **dict.fromkeys(("gradient", "gradient_best"), gradient),
        step=size,
        step_checked=size,
        rises=tf.zeros_like(value, tf.int32),
        done=fooled,
    )
    (state,) = tf.while_loop(
        lambda state: (
            (state.index + 1 < windows.shape[0]) & tf.logical_not(early & tf.reduce_all(state.done))
        ),
        step,
        (state,),
    )
    return tf.where(spread(state.done), state.result, state.x_best)


@dataclasses.dataclass(frozen=True)
class APGD(RepeatedAttack):
    """Auto-PGD; see the module's docstring. It has no parameter but its budget of iterations.

    Attributes:
        norm: linf or l2.
        loss: a row of `OBJECTIVES`; a targeted one is run for the `targets` most likely wrong
            classes of each image, or all where there are no more.
        restarts: random starts (of each target).
        early: whether an image stops at its first success; if not, it goes on to the largest
            objective, for images that are to be carried over to another model.
    """

    name: ClassVar[str] = "apgd"
    norm: str = parameter("linf")
    epsilon: float = parameter(0.3)
    loss: str = parameter("cross_entropy")
    iterations: int = parameter(100, minimum=1)
    restarts: int = parameter(1, minimum=1)
    targets: int = parameter(TARGETS, minimum=1, maximum=MOST_CLASSES - 1)
    early: bool = parameter(True)

    def __post_init__(self) -> None:
        super().__post_init__()
        lookup(OBJECTIVES, self.loss, "loss")

    @property
    def runs(self) -> int:
        """Restarts, times the target classes of a targeted loss."""
        return self.restarts * (self.targets if self.loss in TARGETED else 1)

    def for_classes(self, classes: int) -> "APGD":
        """With the targets that there are, and a loss that is defined."""
        least, instead = LEAST_CLASSES.get(self.loss, (0, ""))
        if classes < least:
            return dataclasses.replace(self, loss=instead).for_classes(classes)
        targets = min(self.targets, classes - 1) if self.loss in TARGETED else self.targets
        return dataclasses.replace(self, targets=targets)

    def joint(self, target: DefendedModel) -> Joint:
        """What of the target the objective asks for beside its logits."""
        return None, 0.0

    def __call__(self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed) -> tf.Tensor:
        """See `RepeatedAttack`. Raises `UserError` for a loss that is not defined for so few
        classes.
        """
        least, instead = LEAST_CLASSES.get(self.loss, (0, ""))
        if least and (classes := int(_count(target.logits, x))) < least:
            raise UserError(
                f"Invalid {self.name} loss: received {self.loss!r} for {classes} classes, expected"
                f" at least {least}; use loss={instead!r}."
            )
        return super().__call__(target, x, y, seed)

    def run(
        self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed, number: int
    ) -> tf.Tensor:
        scored, weight = self.joint(target)
        goal = y
        if self.loss in TARGETED:
            goal = goals(target.logits, x, y, tf.constant(number % self.targets))
        points = checkpoints(self.iterations)
        windows = dict(
            zip(points, (b - a for a, b in zip([0, *points], points, strict=False)), strict=True)
        )
        start = random_start(x, self.epsilon, self.norm, image_seeds(x, seed))
        lengths = [windows.get(index, 0) for index in range(self.iterations + 1)]
        scalars = map(tf.constant, (self.epsilon, lengths, self.early, weight))
        return _ascend(target.logits, self.loss, self.norm, scored, x, y, goal, start, *scalars)
