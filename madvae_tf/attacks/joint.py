"""PGD and Auto-PGD on the joint loss: classification and the purifier's distance from its input.

    maximise  L(x', y) + weight ||purify(x') - x'||_2     in the ball around x

Meng & Chen 2017 guard a classifier with that distance; Carlini & Wagner 2017 ("MagNet and Efficient
Defenses ...") attack both parts at once. See `objectives`.
"""

import dataclasses
from typing import ClassVar

from madvae_tf.attacks.apgd import APGD
from madvae_tf.attacks.descent import RestartedPGD
from madvae_tf.attacks.objectives import Joint, with_reconstruction
from madvae_tf.attacks.repeated import RepeatedAttack
from madvae_tf.config.parameters import parameter
from madvae_tf.models.defended_model import DefendedModel
from madvae_tf.utils.errors import UserError


@dataclasses.dataclass(frozen=True)
class _JointLoss(RepeatedAttack):
    """An attack of `objectives` on the joint loss. Its target needs `purify`.

    Attributes:
        weight: of the distance, of either sign.
    """

    weight: float = parameter(1.0, minimum=-1e6)

    def joint(self, target: DefendedModel) -> Joint:
        """The purifier and the weight; raises `UserError` without a purifier."""
        if target.purify is None:
            raise UserError(
                "Invalid target of a joint loss: received one without purify, expected one with it."
            )
        return with_reconstruction(target.logits, target.purify, target.classify), self.weight


@dataclasses.dataclass(frozen=True)
class JointPGD(_JointLoss, RestartedPGD):
    """`RestartedPGD` on the joint loss."""

    name: ClassVar[str] = "joint_pgd"


@dataclasses.dataclass(frozen=True)
class JointAPGD(_JointLoss, APGD):
    """`APGD` on the joint loss."""

    name: ClassVar[str] = "joint_apgd"
