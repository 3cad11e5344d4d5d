"""The verdict: a line a defence, on the page and in Markdown."""

import pytest

from madvae_tf.report.markdown import tables_markdown
from madvae_tf.report.verdict import verdicts

LINF = {"norm": "linf", "epsilon": 0.3}


L2 = {"norm": "l2", "epsilon": 2.0}


@pytest.fixture
def one(rate):
    """A function that makes a row of table "robustness"."""

    def make(hits, defense, attack, model="end_to_end", ball=LINF, n=100, **more):
        own = {"table": "robustness", "threat_model": model, "defense": defense, "n": n}
        return rate(hits, **own, attack=attack, parameters={**ball, **more})

    return make


@pytest.fixture
def rows(one):
    return [
        one(98, "robust", "none"),
        one(97, "robust", "none", "oblivious"),
        one(96, "robust", "pgd_restarts", "oblivious"),
        one(95, "robust", "pgd_restarts", "transfer"),
        one(94, "robust", "pgd_restarts"),
        one(93, "robust", "apgd_margin"),
        one(92, "robust", "autoattack_standard"),
        one(91, "robust", "worst_case"),
        one(
            90,
            "robust",
            "worst_case",
            over="oblivious+transfer+end_to_end",
            partial="hop_skip_jump 10, spsa 10",
        ),
        one(
            9,
            "robust",
            "worst_case",
            over="oblivious+transfer+end_to_end",
            met="every attack",
            n=10,
        ),
        one(10, "robust", "worst_case", "transfer"),
        one(60, "robust", "autoattack_standard", ball=L2),
        one(12, "robust", "overpowered", ball=L2, n=20),
        one(2, "robust", "overpowered", ball={"norm": "l2", "epsilon": 4.0}, n=20),
        one(0, "none", "pgd_restarts"),
        # Without an attack there is nothing to judge.
        one(99, "blur", "none"),
        one(50, "pd", "pgd_restarts", ball=L2),
    ]


def test_a_line_a_defence_on_the_page(written, rows):
    parsed = written(rows).parsed
    head, none, robust = parsed.lines("verdict-linf-0-3")
    assert head == [
        "Defence",
        "No attack (clean)",
        "PGD, oblivious",
        "Worst case, transfer",
        "PGD, end to end",
        "AutoAttack standard, end to end",
        "Overpowered, end to end",
        "Worst case",
    ]
    figures = [value.split()[0] for value in robust[1:]]
    # Under transfer the worst of its attacks; of two worst cases the one over all threat models; of
    # two budgets of the overpowered attack the larger.
    assert figures == ["0.970", "0.960", "0.100", "0.940", "0.920", "0.100", "0.900"]
    assert "n = 20" in robust[6] and none[0].startswith("No defence")
    assert [value.split()[0] for value in none[1:]] == ["–", "–", "–", "0.000", "–", "–", "–"]
    words = " ".join(parsed.text().split())
    assert (
        "count as right under them: HopSkipJump (labels only) 10, SPSA (values only) 10." in words
    )
    assert not parsed.errors


def test_the_same_in_markdown(rows):
    text = tables_markdown({"rows": rows})
    words = " ".join(text.split())
    assert (
        "**The verdict, L∞ 0.3.** Accuracy against the label" in words
        and "n = 20 to 100, seed 0; threat model: oblivious (the attacker attacks the classifier"
        in words
    )
    line = next(line for line in text.splitlines() if line.startswith("| Robust (n = 20 to 100"))
    assert (
        "| 0.920 [0.850, 0.959] (n = 100) |" in line
        and "0.100 [0.028, 0.301] (L2 4 · n = 20)" in line
    )
    assert "Blur" not in text and "Proximity" in text


def test_an_l2_budget_has_a_verdict_of_its_own(written, rows, one):
    crossed = one(3, "robust", "crossing", ball=L2)
    parsed = written([*rows, crossed]).parsed
    head, pd, robust = parsed.lines("verdict-l2-2")
    columns = ("PGD", "AutoAttack standard", "Overpowered", "Crossing")
    assert head == ["Defence", *(f"{column}, end to end" for column in columns)]
    # Its own budget of the overpowered attack, not the largest.
    assert [value.split()[0] for value in robust[1:]] == ["–", "0.600", "0.600", "0.030"]
    assert [value.split()[0] for value in pd[1:]] == ["0.500", "–", "–", "–"]
    assert list(verdicts(rows)) == [("linf", 0.3), ("l2", 2.0), ("l2", 4.0)]
    text = tables_markdown({"rows": [*rows, crossed]})
    assert "**The verdict, L2 2.**" in text and "| 0.030 [0.010, 0.085] (n = 100) |" in text


def test_nothing_without_rows():
    assert verdicts([]) == {} and "verdict" not in tables_markdown({"rows": []})
