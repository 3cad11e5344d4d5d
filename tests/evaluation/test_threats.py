"""Budgets as people write them, and presets by name."""

import pytest

from madvae_tf.attacks import DefendedModel
from madvae_tf.evaluation import Threat, threat_of
from madvae_tf.evaluation.presets import preset_suites
from madvae_tf.utils.errors import UserError

LINF, L2 = Threat("linf", 0.3), Threat("l2", 1.5)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        *(
            (text, LINF)
            for text in (
                "linf:0.3",
                "Linf: 0.3",
                "LINF=0.3",
                "inf 0.3",
                "l_inf:.3",
                "L-infinity:3e-1",
            )
        ),
        *((given, LINF) for given in (("inf", 0.3), ["L∞", "0.3"], LINF)),
        *((text, L2) for text in ("L2:1.5", "l2 : 1.5", "l_2:1.5", " L-2 1.5 ", "l2:3/2", "2:1.5")),
        ("linf:8/255", Threat("linf", 8 / 255)),
    ],
)
def test_one_budget_in_many_spellings(written, expected):
    assert threat_of(written) == expected


def test_a_threat_reads_as_it_is_written():
    assert (str(LINF), LINF.title) == ("linf:0.3", "L-infinity 0.3")
    assert threat_of(str(L2)) == L2


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("l1:12", "expected a norm .linf or l2. and a budget, like 'linf:0.3'"),
        *(
            (given, "expected a norm .linf or l2. and a budget")
            for given in ("linf", "0.3", 0.3, "", None)
        ),
        *(
            (text, "expected a budget above 0")
            for text in ("linf:0", "l2:-1", "linf:x", "linf:1/0", "l2:nan", "l2:inf")
        ),
        ("linf:8", "at most 1 in L-infinity.*write 'linf:8/255'"),
    ],
)
def test_what_is_no_budget_gets_one_line(written, words):
    with pytest.raises(UserError, match=words) as caught:
        threat_of(written)
    assert repr(written) in str(caught.value) and "\n" not in str(caught.value)


def attacks(preset, threat, targets=None):
    suites = preset_suites(preset, threat, targets or {})
    for suite in suites:
        for trial in suite.trials:
            assert (
                getattr(trial.attack, "norm", None) == threat.norm
                and trial.attack.epsilon == threat.epsilon
            )
    return [(suite.name, [trial.label for trial in suite.trials]) for suite in suites]


def test_presets_attack_within_the_budget():
    kinds = ["apgd_ce", "apgd_t", "fab_t", "square"]
    for threat in (LINF, L2):
        assert (
            attacks("standard", threat)
            == attacks(" Standard", threat)
            == [("autoattack_standard", kinds)]
        )
        assert attacks("fast", threat) == [("fast", ["apgd_ce", "apgd_t", "square"])]


def test_a_system_with_a_squash_meets_the_attack_that_crosses_it():
    """In L2 the gradient through a squash finds too little (docs/results/norms-and-data.md); in
    L-infinity its signs are those around it.
    """
    begins = {"straight_through": DefendedModel(lambda x: x, squash=lambda x: x)}
    assert attacks("fast", L2, begins) == [("fast", ["crossing", "apgd_ce", "apgd_t", "square"])]
    assert attacks("standard", L2, begins)[1] == ("crossing", ["crossing"])
    assert attacks("fast", LINF, begins) == attacks("fast", LINF)
    assert attacks("fast", L2, {"straight_through": DefendedModel(lambda x: x)}) == attacks(
        "fast", L2
    )


def test_another_preset_is_named():
    with pytest.raises(UserError, match="Unknown preset 'quick'. Expected one of: fast, standard"):
        preset_suites("quick", LINF, {})
