"""The page with every experiment on it: sections only where there are rows, each figure with what
it takes to judge it.
"""

import json
import re

import numpy as np
import pytest

from madvae_tf.report.names import POOLED_ATTACK, TABLES

SECTIONS = ("black-box", "baselines", "reference", "clusters", "tuning", "image-time")


@pytest.fixture
def rows(row, rate):
    """One row of each table of the further experiments, with a value that occurs nowhere else."""
    return [
        row(),
        rate(901, table="table3a", parameters={"substitute": "A", "epsilon": 0.3}),
        rate(
            902,
            table="table3b",
            parameters={"substitute": "A", "epsilon": 0.3},
            threat_model="transfer",
        ),
        rate(
            903,
            table="table3c",
            parameters={"substitute": "A", "epsilon": 0.3},
            threat_model="transfer",
        ),
        rate(
            904,
            table="table3c",
            parameters={"substitute": "A"},
            metric="success_rate",
            threat_model="transfer",
        ),
        rate(905, table="table4", defense="defense_vae"),
        rate(906, table="baselines", defense="blur"),
        rate(
            907,
            table="reference",
            parameters={"setting": "ours", "difference": "none", "epsilon": 0.3},
        ),
        row(
            table="clusters",
            attack=POOLED_ATTACK,
            defense="pd",
            metric="knn_purity",
            parameters={"of": "output", "labels": "label", "space": "umap", "k": 10},
            value=0.908,
            ci_low=None,
            ci_high=None,
        ),
        row(
            table="time",
            attack="none",
            parameters={"batch": 1},
            metric="ms_per_image",
            value=0.909,
            ci_low=None,
            ci_high=None,
        ),
        rate(910, table="validation"),
    ]


@pytest.fixture
def report(written, rows):
    label = np.arange(10)
    points = {
        "output/pd/xy": np.zeros((10, 2)),
        "output/pd/label": label,
        "output/pd/predicted": label,
    }
    tuning = {"hand_picked": {"weights": {"beta": 0.1}, "value": 0.911}, "n": 7}
    return written(rows, {"seed": 0, "tuning": tuning}, clusters=points)


def test_a_run_without_them_has_none_of_their_sections(written, row, rate):
    report = written([row(), rate(970, table="validation")], {"seed": 0}, clusters={})
    assert not any(f'id="{name}-section"' in report.page for name in SECTIONS)
    assert [name for name in report.parsed.ids if name.endswith("-section")] == [
        f"{name}-section"
        for name in ("result", "run", "pipeline", "results", "other-rows", "warnings", "reproduce")
    ]


def test_every_table_is_on_the_page_once(report):
    parsed = report.parsed
    assert parsed.errors == [] and parsed.open == [] and len(parsed.ids) == len(set(parsed.ids))
    assert all(f"{name}-section" in parsed.ids for name in SECTIONS)
    assert set(parsed.headers) == {"row", "col"} and all(parsed.alts)
    cells = " ".join(" ".join(line) for name in parsed.tables for line in parsed.lines(name))
    for value in range(901, 912):
        shown = "0.909 ms" if value == 909 else f"{value / 1000:.3f}"
        assert cells.count(shown) >= 1, shown
    # Only Table 4's row is repeated, in the table of the baselines.
    assert cells.count("0.905") == 2 and cells.count("0.901") == 1
    assert len(parsed.lines("other")) == 2 and "0.910" in " ".join(parsed.lines("other")[1])


def test_a_section_comes_after_table_1(report):
    places = [report.parsed.ids.index(f"{name}-section") for name in ("results", *SECTIONS)]
    assert places == sorted(places)


def test_every_robustness_figure_has_threat_model_n_and_seed(report):
    captions = [part.split("</p>")[0] for part in report.page.split('<p class="caption"')[1:]]
    captions += [part.split("</figcaption>")[0] for part in report.page.split("<figcaption>")[1:]]
    robust = [text for text in captions if not re.search("Rows of results.json|Milliseconds", text)]
    # The result; Tables 1 (and its chart), 3a, 3b, 3c and its substitutes, 4, baselines, reference;
    # clusters and Figure 4; tuning.
    assert len(robust) == 13
    for text in robust:
        assert "threat model: " in text and "seed 0" in text and re.search(r"n = \d+", text), text


def test_results_json_keeps_its_form(report, rows):
    results = json.loads((report.folder / "results.json").read_text(encoding="utf-8"))
    assert results["schema"] == 1 and results["rows"] == rows
    assert {row["table"] for row in results["rows"]} < set(TABLES)
