"""Table 3: three protocols, each with its threat model; clean images; what the substitutes are."""

import pytest

from madvae_tf.report import paper_value
from madvae_tf.report.black_box import lines_of


def fgsm(rate, hits, table, substitute, defense, metric="accuracy", **changes):
    parameters = {"substitute": substitute, **changes.pop("more", {}), "epsilon": 0.3}
    figure = paper_value(table, "fgsm", defense, metric, parameters)
    common = {"table": table, "parameters": parameters, "defense": defense, "metric": metric}
    return rate(hits, **{**common, "paper": figure, **changes})


def clean(rate, hits, table, substitute, defense="none", **changes):
    parameters = {"substitute": substitute}
    figure = paper_value(table, "none", defense, "accuracy", parameters)
    common = {"table": table, "attack": "none", "parameters": parameters, "defense": defense}
    return rate(hits, **{**common, "paper": figure, **changes})


@pytest.fixture
def rows(rate):
    transfer = {"threat_model": "transfer"}
    cost = {"queries": 4800, "rounds": 5}
    extracted = {**transfer, "more": cost}
    agreement = rate(
        810,
        table="table3c",
        attack="none",
        defense="pd",
        metric="substitute_agreement",
        parameters={"substitute": "B", **cost},
        **transfer,
    )
    return [
        fgsm(rate, 120, "table3a", "E", "none", "agreement"),
        fgsm(rate, 110, "table3a", "A", "none"),
        fgsm(rate, 130, "table3a", "A", "none", "agreement"),
        fgsm(rate, 870, "table3a", "A", "pd"),
        fgsm(rate, 880, "table3a", "A", "pd", "agreement"),
        clean(rate, 3972, "table3a", "A", n=4000),
        fgsm(rate, 740, "table3b", "A", "vanilla", **transfer),
        clean(rate, 991, "table3b", "A", **transfer),
        clean(rate, 983, "table3b", "A", "vanilla", **transfer),
        fgsm(rate, 660, "table3c", "B", "pd", **extracted),
        fgsm(rate, 930, "table3c", "B", "pd", "success_rate", **extracted),
        agreement,
    ]


def test_a_protocol_a_table(written, rows):
    parsed = written(rows).parsed
    assert parsed.errors == [] and len(parsed.ids) == len(set(parsed.ids))
    head, *body = parsed.lines("table3a")
    assert head == ["Substitute", "No attack", "No defence", "Proximity and distance"]
    assert [line[0].split()[0] for line in body] == ["A", "E"]
    assert body[0] == [
        "A FGSM, epsilon 0.3 n = 4000 clean, 1000 attacked · seed 0 oblivious",
        "0.9930 [0.9899, 0.9952] paper 0.9939",
        "0.110 [0.092, 0.131] agreement 0.130 [0.111, 0.152] paper 0.0487",
        "0.870 [0.848, 0.889] agreement 0.880 [0.858, 0.899] paper 0.5879",
    ]
    # What was not measured is a dash and not a zero.
    assert body[1][1:] == ["–", "agreement 0.120 [0.101, 0.142] paper 0.0155", "–"]


def test_clean_figures_of_the_purifiers_stand_under_theirs(written, rows):
    head, line = written(rows).parsed.lines("table3b")
    assert head == ["Substitute", "No attack", "No defence", "Vanilla"]
    assert line[0].endswith("n = 1000 · seed 0 transfer")
    assert line[1].startswith("0.991 ") and line[2] == "–"
    assert line[3] == "0.740 [0.712, 0.766] clean 0.983 [0.973, 0.989]"
    assert "paper" not in " ".join(line)


def test_extraction_lists_queries_and_the_substitute(written, rows):
    parsed = written(rows).parsed
    # Nothing was measured without an attack, so there is no such column.
    head, line = parsed.lines("table3c")
    assert head == ["Substitute", "Proximity and distance"] and line[1].startswith("0.660 ")
    assert "queries" not in line[0] and "rounds 5" in line[0]
    head, line = parsed.lines("table3c-substitutes")
    assert head[2:] == ["Queries", "Agreement with the target", "Success on the substitute"]
    assert line[:3] == ["B n = 1000 · seed 0", "Behind Proximity and distance", "4800"]
    assert line[3].startswith("0.810 [") and line[4].startswith("0.930 [")


def test_every_protocol_says_what_the_attacker_knows(written, rows):
    page = written(rows).page
    captions = [
        part.split("</p>")[0]
        for part in page.split('<p class="caption"')[1:]
        if "table3" in part[:30]
    ]
    assert len(captions) == 4
    for caption, model, word in zip(
        captions,
        ("oblivious", "transfer", "transfer", "transfer"),
        ("(a)", "(b)", "(c)", "Queries"),
        strict=True,
    ):
        assert (
            f"threat model: {model} (the attacker" in caption
            and word in caption
            and "seed 0" in caption
        )
    assert "n = 1000 to 4000, seed 0" in captions[0] and "the paper’s figure" in captions[0]
    assert "the paper’s figure" not in captions[1]
    assert "Other measurements" not in page


def test_settings_of_one_substitute_stay_apart(rate):
    stronger = {"more": {"seed_images": 150}}
    rows = [
        fgsm(rate, 700, "table3a", "A", "pd"),
        fgsm(rate, 600, "table3a", "A", "pd", **stronger),
        clean(rate, 990, "table3a", "A"),
    ]
    lines = lines_of(rows)
    assert [line.attacked["pd"][0]["value"] for line in lines] == [0.7, 0.6]
    # A clean image has no attack's parameters: its figure belongs to both.
    assert all(line.clean["none"] == [rows[2]] for line in lines)


def test_queries_may_differ_from_target_to_target(rate):
    rows = [
        fgsm(rate, 700, "table3c", "A", defense, more={"queries": queries})
        for defense, queries in (("none", 4800), ("pd", 4700))
    ]
    (line,) = lines_of(rows)
    assert list(line.attacked) == ["none", "pd"]


def test_a_substitute_without_an_attack_has_a_line(rate):
    (line,) = lines_of([clean(rate, 990, "table3a", "D")])
    assert (line.substitute, line.attack, list(line.clean)) == ("D", "none", ["none"])
