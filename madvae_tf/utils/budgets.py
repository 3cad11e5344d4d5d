"""Which L-infinity budget images call for.

The budgets are those that the field attacks the known data sets with: 0.3 on MNIST (Madry et al.
2017), 0.1 on Fashion-MNIST, 8/255 on CIFAR-10 and other colour images (RobustBench; Croce et al.
2021). Other grey images get MNIST's where they are nearly black and white, else Fashion-MNIST's.
"""

import dataclasses

import numpy as np

from madvae_tf.utils.images import binary_share, nearly_binary

NEARLY_BINARY, GREY, COLOUR = 0.3, 0.1, 8 / 255
# A budget is unusual above twice the usual one, and below a sixteenth of it.
_LARGE, _SMALL = 2.0, 1 / 16


@dataclasses.dataclass(frozen=True)
class UsualBudget:
    """What is usual for some images.

    Attributes:
        epsilon: L-infinity, pixels in [0, 1].
        why: what the images are, for people.
    """

    epsilon: float
    why: str

    def warning(self, epsilon: float) -> str:
        """A sentence where another L-infinity budget is unusual; "" where it is not."""
        high = epsilon > _LARGE * self.epsilon * (1 + 1e-6)
        low = 0 < epsilon < _SMALL * self.epsilon
        if not (high or low):
            return ""
        return (
            f"an L-infinity budget of {budget_text(epsilon)} is unusually"
            f" {'large' if high else 'small'} for these images: {budget_text(self.epsilon)} is"
            f" usual for {self.why}."
        )


def usual_budget(images: np.ndarray) -> UsualBudget:
    """The budget that is usual for images (n, height, width, channels), uint8 or in [0, 1]."""
    if images.shape[-1] == 3:
        return UsualBudget(COLOUR, "colour images")
    where = f"{binary_share(images):.2f} of whose values are nearly black or white"
    if nearly_binary(images):
        return UsualBudget(NEARLY_BINARY, f"grey images, {where}, like MNIST's")
    return UsualBudget(GREY, f"grey images, {where}, like Fashion-MNIST's")


def budget_text(epsilon: float) -> str:
    """Like "0.3", or "8/255" where it is a whole number of such steps and not of hundredths."""
    steps = epsilon * 255
    if abs(steps - round(steps)) < 1e-6 and abs(100 * epsilon - round(100 * epsilon)) > 1e-6:
        return f"{round(steps)}/255"
    return f"{epsilon:g}"
