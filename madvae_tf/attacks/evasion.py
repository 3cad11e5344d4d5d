"""Auto-PGD that fools the classifier and keeps a detector's score low.

    maximise  min(margin(x'), 0.1) - weight score(x')     in the ball around x

Of the iterates that fool it keeps the one with the largest objective, which is the one with the
lowest score once the margin is at its cap. A weight that is too small ends at a high score, one
that is too large does not fool: one runs several (Carlini & Wagner 2017, "Adversarial Examples Are
Not Easily Detected", section 2.4; Tramer et al. 2020).
"""

import dataclasses
from typing import ClassVar

from madvae_tf.attacks.apgd import APGD
from madvae_tf.attacks.objectives import Joint, beside
from madvae_tf.config.parameters import parameter
from madvae_tf.models.defended_model import DefendedModel
from madvae_tf.utils.errors import UserError


@dataclasses.dataclass(frozen=True)
class Evasion(APGD):
    """`APGD` on the objective above. Its target needs `score`.

    Attributes:
        weight: of the score, above 0.
    """

    name: ClassVar[str] = "evasion"
    loss: str = parameter("margin_capped")
    early: bool = parameter(False)
    weight: float = parameter(1.0, open_minimum=True)

    def joint(self, target: DefendedModel) -> Joint:
        """The score and the weight, negative; raises `UserError` without a score."""
        if target.score is None:
            raise UserError(
                "Invalid target of evasion: received one without score, expected one with it."
            )
        return beside(target.logits, target.score), -self.weight
