"""Sets of suites by name: what attacks a system where a user names none."""

from collections.abc import Callable, Mapping

from madvae_tf.attacks import DefendedModel
from madvae_tf.attacks.apgd import APGD
from madvae_tf.attacks.square import Square
from madvae_tf.attacks.threshold_l2 import ThresholdL2
from madvae_tf.evaluation.suites import Suite, Trial, auto_attack, crossing
from madvae_tf.evaluation.threats import Threat
from madvae_tf.utils.errors import lookup

DEFAULT = "standard"


def fast(threat: Threat, crossable: bool) -> list[Suite]:
    """AutoAttack's kinds of attack in a fraction of its time, each on what the former left.

    About a minute for 100 MNIST images on two cores. Square asks for no gradient: what it still
    finds says that gradients mislead.
    """
    own = {"norm": threat.norm, "epsilon": threat.epsilon}
    trials = [
        Trial("apgd_ce", APGD(**own, iterations=50)),
        Trial("apgd_t", APGD(**own, loss="dlr_targeted", iterations=30, targets=3)),
        Trial("square", Square(**own, queries=200)),
    ]
    if crossable:
        trials.insert(
            0,
            Trial(
                "crossing",
                ThresholdL2(epsilon=threat.epsilon, iterations=50, restarts=1),
                "straight_through",
            ),
        )
    return [Suite("fast", tuple(trials), sequential=True)]


def standard(threat: Threat, crossable: bool) -> list[Suite]:
    """AutoAttack's standard set; in L2, on a system that begins with a squash, the attack made for
    such systems too.
    """
    suites = [auto_attack(threat.norm, threat.epsilon)]
    return [*suites, crossing(threat.epsilon)] if crossable else suites


PRESETS: dict[str, Callable[[Threat, bool], list[Suite]]] = {"fast": fast, "standard": standard}


def preset_suites(preset: str, threat: Threat, targets: Mapping[str, DefendedModel]) -> list[Suite]:
    """The suites of a preset.

    Args:
        preset: a name of `PRESETS`.
        targets: further targets of the attacker, see `evaluate`.

    Raises:
        UserError: an unknown preset.
    """
    crossable = (
        threat.norm == "l2"
        and "straight_through" in targets
        and targets["straight_through"].squash is not None
    )
    return lookup(PRESETS, str(preset).strip().lower(), "preset")(threat, crossable)
