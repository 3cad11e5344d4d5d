"""The result: what a reader is told to use, on the page, in Markdown and at the end of `make run`."""  # noqa: E501

import json

import pytest

from madvae_tf.report import opening, recommendation, result

LINF, L2 = {"norm": "linf", "epsilon": 0.3}, {"norm": "l2", "epsilon": 2.0}
PAPER = ("vanilla", "cls", "pd", "combined")


@pytest.fixture
def unaware(rate):
    """A function that makes rows of Table 1: hits of 1,000 for each attack."""

    def make(defense, **hits):
        epsilon = {"none": {}, "cw": {"confidence": 10.0}}
        return [
            rate(
                count,
                defense=defense,
                attack=attack,
                n=1000,
                parameters=epsilon.get(attack, {"epsilon": 0.3}),
            )
            for attack, count in hits.items()
        ]

    return make


@pytest.fixture
def aware(rate):
    """A function that makes the rows of a robustness stage's suite: the worst case, and hits of 100
    for each attack.
    """

    def make(defense, worst, budget=LINF, n=100, **hits):
        own = {
            "table": "robustness",
            "threat_model": "end_to_end",
            "defense": defense,
            "parameters": budget,
        }
        return [
            rate(count, n, **own, attack=attack)
            for attack, count in {"worst_case": worst, **hits}.items()
        ]

    return make


@pytest.fixture
def quick(unaware, aware):
    """Rows such as `make run` has: the paper's hold unaware attackers best and fall to aware ones,
    `robust` the other way round.
    """
    paper = {"vanilla": 977, "cls": 982, "pd": 976, "combined": 981}
    rows = unaware("none", none=993, fgsm=155, cw=1, pgd=0) + aware(
        "none", 0, pgd_restarts=0, apgd_margin=0
    )
    for name, hits in paper.items():
        rows += unaware(name, none=985, fgsm=985, cw=hits, pgd=984)
        rows += aware(name, 0, pgd_restarts=2, apgd_margin=0)
    rows += unaware("robust", none=988, fgsm=962, cw=638, pgd=966)
    return rows + aware("robust", 93, pgd_restarts=96, apgd_ce_restarts=95, apgd_margin=94)


def words(rows):
    return " ".join(recommendation.sentences(result.systems(rows)))


def test_the_system_that_holds_against_aware_attackers_is_the_one_to_use(quick):
    chosen = result.choice(result.systems(quick))
    assert chosen.system.name == "robust" and chosen.budget == ("linf", 0.3) and not chosen.rivals
    said = words(quick)
    assert said.startswith(
        "Use Robust. It holds best against attackers who know of it: it keeps 0.930 (0.8"
    )
    assert "n = 100) at L-infinity 0.3; the classifier alone keeps 0.000." in said
    assert "CW-L2, which knows no budget, leaves 0.638 even unaware of it." in said
    names = "Vanilla, Classification, Proximity and distance, Combined"
    assert f"Not for attackers who know of them: {names}, which keep 0.000." in said


def test_the_page_opens_with_it(written, quick):
    page = written(quick)
    assert [name for name in page.parsed.ids if name.endswith("-section")][:3] == [
        *("result-section", "run-section", "pipeline-section")
    ]
    head, alone, *paper, robust = page.parsed.lines("result")
    assert [title.split(" (")[0] for title in head] == [
        *("System", "Clean", "Attacker unaware", "Attacker aware")
    ]
    assert [line[0] for line in (alone, *paper)] == [
        *("Classifier alone", "Vanilla", "Classification", "Proximity and distance", "Combined")
    ]
    # Wilson intervals of 0 of 100, 0 of 1000, 638 of 1000 and 93 of 100, worked out apart.
    assert alone[2] == "0.000 [0.000, 0.004] PGD, epsilon 0.3, n = 1000"
    assert alone[3] == "0.000 [0.000, 0.037] PGD, restarts, L-infinity 0.3, n = 100"
    assert [line[3].split(" [")[0] for line in paper] == ["0.000"] * 4
    assert "APGD, margin" in paper[0][3]
    assert robust == [
        "Robust use this one",
        "0.988 [0.979, 0.993] n = 1000",
        (
            "0.638 [0.608, 0.667] CW-L2, no budget, n = 1000 "
            "0.962 [0.948, 0.972] the worst with a budget: FGSM, epsilon 0.3, n = 1000"
        ),
        "0.930 [0.863, 0.966] APGD, margin, L-infinity 0.3, n = 100",
    ]
    assert "Use Robust." in page.parsed.text() and not page.parsed.errors
    assert "None: no check of this run found anything to warn of." in page.parsed.text()


def test_what_was_not_measured_is_said_in_the_cell_and_in_a_warning(written, quick, aware):
    bare = [row for row in quick if row["table"] == "table1"]
    page = written(bare)
    assert {line[3] for line in page.parsed.lines("result")[1:]} == {"not measured"}
    assert words(bare) == "This run cannot say which purifier to use."
    (warning,) = json.loads((page.folder / "results.json").read_text())["run"]["warnings"]
    assert "for Vanilla, Classification, Proximity and distance, Combined, Robust." in warning
    assert page.parsed.text().count("Not measured: attackers who know of the purifier") == 2
    assert "None: no check" not in page.parsed.text()
    (warning,) = result.warnings(bare + aware("robust", 93))
    assert "for Vanilla, Classification, Proximity and distance, Combined." in warning
    assert result.warnings(quick) == [] == result.warnings([])


@pytest.mark.parametrize(
    ("kept", "said"),
    [(5, "0.050 (0.022 to 0.112, n = 100)"), (55, "0.550 (0.452 to 0.644, n = 100)")],
)
def test_where_none_holds_the_sentence_says_so(quick, aware, kept, said):
    # Of 55 of 100 the interval reaches down to 0.4524: it may be less than one half.
    rows = [row for row in quick if (row["table"], row["defense"]) != ("robustness", "robust")]
    rows += aware("robust", kept)
    assert result.choice(result.systems(rows)) is None
    assert (
        words(rows)
        == "No purifier of this run holds against attackers who know of it. Robust keeps most,"
        f" {said} at L-infinity 0.3. They are for attackers who do not know of them only: there"
        " Classification keeps most, 0.982 under its worst attack, CW-L2."
    )


def test_a_purifier_that_holds_against_nobody_is_recommended_to_nobody(unaware, aware):
    rows = unaware("none", fgsm=30) + unaware("pd", fgsm=33) + aware("pd", 12)
    assert words(rows).endswith(
        "Nor does any of them hold against attackers who do not know of it."
    )


def test_a_system_must_beat_the_classifier_alone(unaware, aware):
    # 60 of 100 is [0.5020, 0.6906], and the classifier's 55 of 100 up to 0.6439.
    rows = unaware("pd", pgd=980) + aware("pd", 60)
    assert result.choice(result.systems(rows)).system.name == "pd"
    assert result.choice(result.systems(rows + aware("none", 55))) is None


def test_of_equal_figures_the_attack_with_a_budget_is_named(unaware):
    (system,) = result.systems(unaware("none", cw=0, pgd=0))
    assert system.unaware["attack"] == "pgd" and system.bounded is None


def test_rivals_are_named_where_intervals_overlap(quick, aware):
    rows = quick + aware("adversarial_pgd", 91) + aware("binarization", 70)
    found = result.systems(rows)
    assert [system.name for system in found][-2:] == ["binarization", "adversarial_pgd"]
    assert [system.name for system in result.choice(found).rivals] == ["adversarial_pgd"]
    assert "Its interval overlaps with: Adversarial training, PGD 0.910." in words(rows)


def test_every_budget_has_a_column_and_its_own_figure(written, quick, aware):
    rows = quick + aware("robust", 4, L2, crossing=4) + aware("none", 10, L2)
    page = written(rows)
    head, *_, robust = page.parsed.lines("result")
    assert [title.split(", ")[1] for title in head[3:]] == ["L-infinity 0.3", "L2 2"]
    assert robust[4].startswith("0.040 [") and "Crossing the squash" in robust[4]
    assert page.parsed.lines("result")[2][4] == "not measured"
    assert "leaves 0.638 even unaware of it; L2 2 leaves 0.040." in words(rows)
    # Made for L2, it is chosen there.
    other = aware("robust", 0) + aware("robust", 72, L2) + aware("none", 10, L2)
    assert result.choice(result.systems(other)).budget == ("l2", 2.0)
    assert "it keeps 0.720" in words(other) and "L-infinity 0.3 leaves 0.000" in words(other)


def test_an_aware_attacker_may_do_what_the_others_do(aware, rate):
    own = {
        "table": "robustness",
        "threat_model": "end_to_end",
        "defense": "robust",
        "attack": "worst_case",
    }
    joined = rate(90, 100, **own, parameters={**LINF, "over": "oblivious+end_to_end"})
    part = rate(0, 10, **own, parameters={**LINF, "met": "every attack"})
    (system,) = result.systems([*aware("robust", 93), joined, part])
    assert system.aware["linf", 0.3].worst["value"] == 0.9


def test_make_run_ends_with_three_rows_the_page_and_the_next_command(quick):
    lines = opening.last_lines({"run": {"command": "run"}, "rows": quick}, "runs/quick", True)
    figures = [line.split("  ")[0] for line in lines[1:7:2]]
    # Of the paper's the one that keeps most of unaware attackers.
    assert lines[0].startswith("Result") and figures == [
        "Classifier alone",
        "Classification",
        "Robust",
    ]
    assert "0.638 [0.608, 0.667]" in lines[5] and "0.930 [0.863, 0.966]" in lines[5]
    assert (
        "CW-L2, no budget, n = 1000" in lines[6]
        and "APGD, margin, L-infinity 0.3, n = 100" in lines[6]
    )
    assert lines[7].startswith("Use Robust.")
    assert lines[-3:] == [
        "Page: runs/quick/report/index.html",
        "Next, attack and purify digits in the browser:",
        "  make playground WORKDIR=runs/quick",
    ]
    assert not any("Warning" in line for line in lines)
    lines = opening.last_lines({"run": {"command": "run --stage=all"}, "rows": quick}, "w", False)
    assert lines[-2:] == ["Next, export them as SavedModels:", "  run --stage=all --workdir=w"]


def test_make_run_without_aware_attackers_ends_with_what_measures_them(quick):
    rows = [row for row in quick if row["table"] == "table1"]
    command = "python -m pipeline.run --stage=all --config=configs/demo.py"
    lines = opening.last_lines({"run": {"command": command}, "rows": rows}, "w", True)
    assert (
        lines[1].endswith("not measured") and "This run cannot say which purifier to use." in lines
    )
    assert any(line.startswith("Warning: Not measured") for line in lines)
    assert lines[-1].startswith(f"  {command} --workdir=w --set=robustness.defenses=none,variants")
    assert opening.last_lines({"run": {}, "rows": []}, "w", False) == ["Page: w/report/index.html"]


def test_markdown_has_the_same(quick):
    text = opening.markdown({"rows": quick})
    (line,) = [line for line in text.splitlines() if line.startswith("| Robust (use this one) |")]
    assert line.endswith("| 0.930 [0.863, 0.966] (APGD, margin, L-infinity 0.3, n = 100) |")
    assert "Use Robust." in text and opening.markdown({"rows": []}) == ""
    bare = opening.markdown({"rows": [row for row in quick if row["table"] == "table1"]})
    assert "Not measured: attackers who know of the purifier" in bare
