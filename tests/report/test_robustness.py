"""The section of attacks on whole systems: a table for each budget, curves, restarts, the checklist."""

import pytest

END = {"table": "robustness", "threat_model": "end_to_end"}
LINF, L2 = {"norm": "linf", "epsilon": 0.3}, {"norm": "l2", "epsilon": 2.0}


@pytest.fixture
def rows(rate):
    found = []
    for defense, clean, apgd, worst in (("none", 99, 1, 0), ("pd", 97, 40, 30)):
        own = {**END, "defense": defense, "n": 100}
        found += [
            rate(clean, **own, attack="none", parameters=LINF),
            rate(apgd, **own, attack="apgd_ce_restarts", parameters={**LINF, "iterations": 100}),
            rate(worst, **own, attack="worst_case", parameters=LINF),
        ]
    found += [
        rate(
            90,
            **{**END, "threat_model": "oblivious"},
            defense="pd",
            n=100,
            attack="worst_case",
            parameters=LINF,
        ),
        rate(
            29,
            **END,
            defense="pd",
            n=100,
            attack="worst_case",
            parameters={**LINF, "over": "oblivious+end_to_end"},
        ),
        rate(50, **END, defense="pd", n=100, attack="autoattack_standard", parameters=L2),
        rate(3, **END, defense="pd", n=100, attack="none", parameters=LINF, metric="zero_gradient_share"),
        rate(
            7, **END, defense="pd", n=57, attack="apgd_ce_restarts", parameters=LINF, metric="restart_share"
        ),
    ]
    for at, hits in ((0.0, 97), (0.3, 40), (0.5, 8)):
        curve = {**LINF, "curve": "epsilon", "at": at}
        found.append(rate(hits, **END, defense="pd", n=100, attack="pgd_curve", parameters=curve))
    return found


def test_a_table_for_each_budget(written, rows):
    parsed = written(rows).parsed
    head, none, oblivious, end = parsed.lines("robustness-linf-0-3")
    assert head == ["Defence", "No attack (clean)", "APGD, cross-entropy", "Worst case over all attacks"]
    assert none[0] == "No defence n = 100 · seed 0 end_to_end" and none[3].startswith("0.0000 [")
    assert oblivious[0].endswith("oblivious") and oblivious[1:3] == ["–", "–"]
    assert end[2].startswith("0.4000") and end[3].startswith("0.3000") and "0.2900" in end[3]
    assert end[3].endswith("of all") and end[3].count("of all") == 1
    assert parsed.lines("robustness-l2-2")[1][1].startswith("0.5000")
    assert not parsed.errors and "other" not in parsed.tables


def test_curves_and_shares(written, rows):
    parsed = written(rows).parsed
    head, pd = parsed.lines("robustness-by-epsilon")
    assert head[1:] == ["ε = 0", "ε = 0.3", "ε = 0.5"]
    assert [value.split()[0] for value in pd[1:]] == ["0.9700", "0.4000", "0.0800"]
    assert "robustness-by-steps" not in parsed.tables
    vanished, restarts = parsed.lines("robustness-sanity")[1:]
    assert vanished[3].startswith("0.0300") and restarts[3].startswith("0.1228") and restarts[4] == "57"


def test_the_checklist_says_what_was_and_what_was_not_measured(written, rows):
    text = written(rows).parsed.text()
    assert "Measured for defences: oblivious, end_to_end." in text
    assert "It keeps at most 0.0000 in the worst case" in text
    assert "Attacks without gradients?Not measured" in text.replace("? ", "?")
    assert "AutoAttack standard set?AutoAttack standard" in text.replace("? ", "?")
    assert "No check found otherwise." in text
    warned = written(rows, {"warnings": ["pd: black-box beats white-box: ..."]}).parsed.text()
    assert "No check found otherwise." not in warned and "Warnings of this page say where not." in warned


def test_the_verdict_names_who_knows_of_the_purifier(written, rows, rate):
    said = "Against one who knows of it (threat model: end_to_end, L ∞ 0.3, n = 100), they keep 0.3000 in the worst case"
    words = " ".join(written(rows).parsed.text().split()).replace("L∞", "L ∞")
    assert said in words and words.count("Against one who knows") == 1
    assert "Against one who knows" not in written([rate(3, 4)]).parsed.text()


def test_bpda_and_eot_are_named(written, rate):
    row = rate(5, **END, defense="pd", n=10, attack="bpda_apgd_dlr", parameters=LINF)
    text = written([row]).parsed.text().replace("? ", "?")
    assert "gradients that mislead?BPDA: APGD, DLR" in text


def test_without_rows_there_is_no_section(written, rate):
    assert "robustness-section" not in written([rate(3, 4)]).page
