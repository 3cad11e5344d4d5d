"""The section of attacks on whole systems: a table for each budget, curves, restarts, the
checklist.
"""

import re

import pytest

from madvae_tf.report import validate_rows
from madvae_tf.utils.errors import UserError

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
        rate(
            3,
            **END,
            defense="pd",
            n=100,
            attack="none",
            parameters=LINF,
            metric="zero_gradient_share",
        ),
        rate(
            7,
            **END,
            defense="pd",
            n=57,
            attack="apgd_ce_restarts",
            parameters={**LINF, "restarts": 2},
            metric="restart_share",
        ),
        # Target classes, which results of before counted as restarts.
        rate(
            57,
            **END,
            defense="pd",
            n=57,
            attack="fab_t",
            parameters={**LINF, "restarts": 1},
            metric="restart_share",
        ),
    ]
    for at, hits in ((0.0, 97), (0.3, 40), (0.5, 8)):
        curve = {**LINF, "curve": "epsilon", "at": at}
        found.append(rate(hits, **END, defense="pd", n=100, attack="pgd_curve", parameters=curve))
    return found


def test_a_table_for_each_budget(written, rows):
    parsed = written(rows).parsed
    head, none, oblivious, end = parsed.lines("robustness-linf-0-3")
    assert head == [
        "Defence",
        "No attack (clean)",
        "APGD, cross-entropy",
        "Worst case over all attacks",
    ]
    assert none[0] == "No defence n = 100 · seed 0 end_to_end" and none[3].startswith("0.000 [")
    assert oblivious[0].endswith("oblivious") and oblivious[1:3] == ["–", "–"]
    assert end[2].startswith("0.400") and end[3].startswith("0.300") and "0.290" in end[3]
    assert end[3].endswith("of all") and end[3].count("of all") == 1
    assert parsed.lines("robustness-l2-2")[1][1].startswith("0.500")
    assert not parsed.errors and "other" not in parsed.tables


def test_curves_and_shares(written, rows):
    page = written(rows)
    parsed, figures = page.parsed, page.folder / "figures"
    head, pd = parsed.lines("robustness-by-epsilon")
    assert head[1:] == ["ε = 0", "ε = 0.3", "ε = 0.5"]
    assert "Proximity and distance, end to end" in (figures / "curve-by-epsilon.svg").read_text()
    assert (figures / "curve-by-epsilon.pdf").read_bytes().startswith(b"%PDF")
    assert [value.split()[0] for value in pd[1:]] == ["0.970", "0.400", "0.080"]
    assert "robustness-by-steps" not in parsed.tables
    vanished, restarts = parsed.lines("robustness-sanity")[1:]
    assert (
        vanished[3].startswith("0.030") and restarts[3].startswith("0.123") and restarts[4] == "57"
    )


def test_curves_of_two_norms_stand_apart(written, rows, rate):
    for at, hits in ((0.0, 97), (2.0, 60), (14.0, 3)):
        curve = {**L2, "curve": "epsilon", "at": at}
        rows.append(rate(hits, **END, defense="pd", n=100, attack="pgd_curve", parameters=curve))
    written_page = written(rows)
    parsed = written_page.parsed
    assert parsed.lines("robustness-by-epsilon")[0][1:] == ["ε = 0", "ε = 0.3", "ε = 0.5"]
    head, pd = parsed.lines("robustness-by-epsilon-l2")
    assert head[1:] == ["ε = 0", "ε = 2", "ε = 14"]
    assert [value.split()[0] for value in pd[1:]] == ["0.970", "0.600", "0.030"]
    said = of(written_page.page, "up to chance")
    assert (
        "up to 0.5 (L∞), where at most 0.080" in said
        and "up to 14 (L2), where at most 0.030" in said
    )


def test_the_checklist_judges_detectors_by_the_images_that_fool(written, rows, rate):
    own = {"table": "detection", "defense": "pd", "threat_model": "end_to_end", "attack": "evasion"}
    for among, n, area in (("all", 50, 0.9), ("fooling", 20, 0.1)):
        blank = rate(n, n, **own, metric="auc", parameters={"detector": "l2", "among": among})
        rows.append({**blank, "value": area, "ci_low": None, "ci_high": None})
    said = of(written(rows).page, "detected rather")
    assert (
        said.startswith("Among images that fool, end_to_end: least AUC 0.100") and "n = 20" in said
    )
    # Where none fools there is no such figure, and the one there is says what it is of.
    unfooled = [row for row in rows if row["parameters"].get("among") != "fooling"]
    said = of(written(unfooled).page, "detected rather")
    assert said.startswith("Among all images, end_to_end: least AUC 0.900") and "n = 50" in said


def answers(page):
    """Question -> answer of the checklist."""
    listed = page.split("<h3>Checklist</h3>")[1].split("</dl>")[0]
    pairs = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", listed)
    return {question: re.sub(r"<[^>]*>", "", answer) for question, answer in pairs}


def of(page, words):
    (found,) = [answer for question, answer in answers(page).items() if words in question]
    return found


def test_the_checklist_says_what_was_and_what_was_not_measured(written, rows, rate):
    page = written(rows).page
    assert (
        of(page, "knows everything")
        == "Measured for defences: oblivious, end_to_end. Not measured: transfer."
    )
    assert of(page, "Which budgets") == "L∞ 0.3, L2 2."
    assert (
        of(page, "without an attack given")
        == "No defence 0.990 (n = 100), Proximity and distance 0.970 (n = 100)."
    )
    assert of(page, "undefended").startswith(
        "It keeps at most 0.000 in the worst case of a budget: 0.000 (No defence"
    )
    # Asked of fewer images at another budget, wherever that row stands.
    few = rate(
        9, **END, defense="pd", n=10, attack="none", parameters={"norm": "l2", "epsilon": 2.0}
    )
    for ordered in ([*rows, few], [few, *rows]):
        assert "distance 0.970 (n = 100)." in of(written(ordered).page, "without an attack given")
    losses = of(page, "Several losses")
    # Of the two rows the defence's least, and not the classifier's own 0.01.
    assert (
        "APGD, cross-entropy (n = 100, 100 iterations; least: 0.400, Proximity and distance,"
        " end_to_end, L∞ 0.3)" in losses
    )
    assert of(page, "Attacks without gradients").rstrip(".") == "Not measured"
    assert (
        "Not measured."
        == of(page, "every single pixel")
        == of(page, "detected rather")
        == of(page, "no attack:")
    )
    assert of(page, "AutoAttack standard").startswith("AutoAttack standard (n = 100; least: 0.500")
    assert of(page, "restarts bring").startswith(
        "Of an attack’s successes, restarts brought at most 0.123"
    )
    assert "by budget up to 0.5 (L∞), where at most 0.080 is left" in of(page, "up to chance")
    assert of(page, "gradients vanish").startswith("Exactly 0 at a share of at most 0.030")
    assert of(page, "white-box beat") == "No check found otherwise."
    alone = rate(
        1,
        **END,
        defense="pd",
        n=50,
        attack="simba",
        parameters=LINF,
        metric="beyond_gradients_share",
    )
    page = written([*rows, alone]).page
    assert (
        "fool a share of at most 0.020 of their images that no attack with one, adaptive ones among"
        " them, fools (SimBA (values only), n = 50" in of(page, "white-box beat")
    )
    warned = written(rows, {"warnings": ["pd: black-box beats white-box: ..."]}).page
    assert of(warned, "white-box beat") == "Warnings of this page say where not."


def test_the_checklist_names_the_query_attacks_with_their_budgets(written, rows, rate):
    own = {**END, "defense": "pd", "n": 10}
    queries = {**LINF, "queries": 20_000}
    page = written(
        [
            *rows,
            rate(6, **own, attack="hop_skip_jump", parameters=queries),
            rate(7, **own, attack="one_pixel", parameters={"norm": "l0", "epsilon": 1.0}),
            rate(4, **own, attack="joint_apgd", parameters={**LINF, "weight": -0.1}),
            rate(5, **own, attack="joint_apgd", parameters={**LINF, "weight": 1.0}),
        ]
    ).page
    found = of(page, "Attacks without gradients")
    assert found.startswith("HopSkipJump (labels only) (n = 10, up to 20000 queries; least: 0.600")
    assert "least: 0.700, Proximity and distance, end_to_end, L0 1" in of(
        page, "every single pixel"
    )
    assert "Joint loss: APGD (n = 10; least: 0.400" in of(page, "own parts")


NATURAL = {"table": "natural", "defense": "pd", "n": 50}


def test_what_is_no_attack_has_a_table_of_its_own(written, rate):
    fog = {"kind": "fog", "severity": 3}
    page = written(
        [
            rate(49, **NATURAL, attack="none", parameters={}),
            rate(
                20,
                **NATURAL,
                attack="rotation_translation",
                parameters={"max_angle": 30.0, "max_shift": 3.0},
            ),
            rate(30, **NATURAL, attack="corruption", parameters=fog),
            rate(10, **NATURAL, attack="corruption", parameters={**fog, "severity": 5}),
        ]
    )
    head, pd = page.parsed.lines("natural")
    assert head[1:] == [
        *("No corruption", "Rotation and translation worst of a grid ±30.0° ±3.0 px"),
        *("fog severity 3", "fog severity 5"),
    ]
    assert [value.split()[0] for value in pd[1:]] == ["0.980", "0.400", "0.600", "0.200"]
    assert not page.parsed.errors and "other" not in page.parsed.tables


def test_detection_has_a_table_and_a_figure(written, rate):
    found = []
    for model, weight, area in (("oblivious", {}, 0.9), ("end_to_end", {"weight": -0.1}, 0.4)):
        for among, n in (("all", 50), ("fooling", 20)):
            own = {
                "table": "detection",
                "defense": "pd",
                "threat_model": model,
                "attack": "joint_apgd",
            }
            parameters = {**weight, "detector": "l2", "among": among, "clean": 60}
            blank = rate(n, n, **own, metric="auc", parameters=parameters)
            found.append({**blank, "value": area, "ci_low": None, "ci_high": None})
            for fpr, hits in ((0.05, 10), (0.5, 15)):
                found.append(
                    rate(hits, n, **own, metric="tpr", parameters={**parameters, "fpr": fpr})
                )
    page = written(found)
    head, oblivious, adaptive = page.parsed.lines("detection")
    assert (
        len(head) == 2
        and oblivious[1].startswith("AUC 0.900 flagged 0.200 [")
        and "of 20 that fool: AUC 0.900 of 20 that fool: flagged 0.500" in oblivious[1]
    )
    assert (
        "weight -0.1" in adaptive[0]
        and "n = 50" in adaptive[0]
        and adaptive[1].startswith("AUC 0.400")
    )
    assert (page.folder / "figures" / "detection-pd.svg").stat().st_size > 5000
    assert not page.parsed.errors and all(page.parsed.alts)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"parameters": {"detector": "l7", "among": "all"}}, "'detector' to be one of"),
        ({"parameters": {"detector": "l2", "among": "some"}}, "'among' to be one of"),
        (
            {"metric": "tpr", "parameters": {"detector": "l2", "among": "all"}},
            "'fpr' to be a number in",
        ),
        (
            {"table": "natural", "metric": "accuracy", "attack": "corruption", "parameters": {}},
            "'kind' to be",
        ),
    ],
)
def test_rows_say_what_they_are_about(change, words, rate):
    with pytest.raises(UserError, match=words):
        validate_rows([{**rate(3, 4), "table": "detection", "metric": "auc", **change}])


def test_the_few_that_met_every_attack_are_told_in_the_table_of_the_budget(written, rows, rate):
    met = [
        rate(
            hits,
            **END,
            defense=name,
            n=4,
            attack="worst_case",
            parameters={**LINF, "met": "every attack"},
        )
        for name, hits in (("pd", 0), ("none", 2))
    ]
    words = written([*rows, *met]).parsed.text()
    assert "of the 4 that met every attack" in words


def test_bpda_and_eot_are_named(written, rate):
    row = rate(5, **END, defense="pd", n=10, attack="bpda_apgd_dlr", parameters=LINF)
    assert of(written([row]).page, "gradients that mislead").startswith("BPDA: APGD, DLR (n = 10")


def test_without_rows_there_is_no_section(written, rate):
    assert "robustness-section" not in written([rate(3, 4)]).page
