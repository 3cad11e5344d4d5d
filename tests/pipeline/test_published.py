"""What docs/results/published holds belongs to the weights and the configuration that are committed
beside it.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from madvae_tf.config.overrides import load_config
from madvae_tf.evaluation.__main__ import lines
from madvae_tf.report import validate_rows
from pipeline.graph.stages import build_stages

ROOT = Path(__file__).parents[2]
FOUND = ROOT / "docs" / "results" / "published" / "artifacts" / "robustness"
# A figure as `python -m madvae_tf.evaluation` prints it.
QUOTED = re.compile(r"^    (\w+, (?:oblivious|transfer|end_to_end), .* n = \d+.*)$", re.MULTILINE)


def test_every_folder_is_a_stage_of_the_configuration(monkeypatch):
    """On every machine: the keys of the variants have the precision in them that "auto" stood for
    where they were trained.
    """
    for module in ("main_stages", "experiments", "stages"):
        monkeypatch.setattr(
            f"pipeline.graph.{module}.resolve_precision",
            lambda p: "mixed_bfloat16" if p == "auto" else p,
        )
    stages = build_stages(load_config(ROOT / "configs" / "published.py"), "run")["robustness"]
    known = {Path(stage.folder_name).name for stage in stages}
    others = [path for path in FOUND.iterdir() if path.name.removesuffix(".partial") not in known]
    assert len(others) < len(list(FOUND.iterdir()))
    # The paper's variants learn from adversarial sets, and detection tells them apart. Of these,
    # those that are drawn have a newer version: another key, the same settings.
    settings = {stage.instance: stage.config for stage in stages}
    for path in others:
        manifest = json.loads((path / "manifest.json").read_text())
        learned = manifest["config"]["defense"] in ("vanilla", "cls", "pd", "combined")
        assert learned or manifest["instance"].endswith("-detection"), path.name
        assert manifest["config"] == settings[manifest["instance"]]


def test_finished_ones_hold_rows_and_begun_ones_trials():
    for folder in FOUND.iterdir():
        if folder.suffix == ".partial":
            trials = list(folder.rglob("trials/*.npz"))
            assert trials and all(np.load(path)["right"].dtype == bool for path in trials)
        else:
            assert json.loads((folder / "manifest.json").read_text())["key"].startswith(
                folder.name.rpartition("-")[2]
            )
            validate_rows(json.loads((folder / "rows.json").read_text()))


@pytest.mark.parametrize(
    "told",
    sorted((ROOT / "docs" / "results").glob("*/README.md")),
    ids=lambda path: path.parent.name,
)
def test_every_line_that_a_readme_quotes_is_printed(told):
    quoted = set(QUOTED.findall(told.read_text()))
    assert quoted
    assert quoted <= set(lines([told.parent]))


# How README's verdict calls what results.json knows by name.
DEFENCES = {
    "classifier alone": "none",
    "vanilla": "vanilla",
    "classification": "cls",
    "proximity and distance": "pd",
    "combined": "combined",
    "`robust`": "robust",
    "binarization": "binarization",
    "blur": "blur",
    "identity VAE": "identity",
    "Defense-VAE (REC": "defense_vae",
    "Defense-VAE (E2E": "defense_vae_e2e",
    "mixture prior": "mixture",
    "MagNet": "magnet",
    "Defense-GAN (": "defense_gan",
    "Defense-GAN with": "mad_gan",
    "adversarial training, FGSM": "adversarial_fgsm",
    "adversarial training, PGD": "adversarial_pgd",
}
VERDICTS = {
    "README.md": [
        ("clean", "none", None),
        ("oblivious", "worst_case", "oblivious"),
        ("transfer", "worst_case", "transfer"),
        ("PGD-100", "pgd_restarts", "end_to_end"),
        ("AutoAttack", "autoattack_standard", "end_to_end"),
        ("worst case", "worst_case", "end_to_end"),
    ],
    "docs/robustness.md": [
        ("clean", "none", None),
        ("PGD-100", "pgd_restarts", "end_to_end"),
        ("AutoAttack", "autoattack_standard", "end_to_end"),
        ("worst case", "worst_case", "end_to_end"),
        ("overpowered", "overpowered", "end_to_end"),
    ],
}
FIGURE = re.compile(r"(\d\.\d{3})(?: \((\d\.\d{3})–(\d\.\d{3})\))?")


def table_of(path, first):
    """The cells of the page's first table whose first column is titled `first`, without bold:
    titles, then rows.
    """
    text = (ROOT / path).read_text().replace("**", "")
    lines_of = text[text.index(f"| {first} |") :].partition("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines_of]
    return rows[0], rows[2:]


@pytest.mark.parametrize(
    ("path", "first"), [("README.md", "defence | n"), ("docs/robustness.md", "system")]
)
def test_the_verdict_is_what_the_stages_hold(path, first):
    """Every accuracy of the table, and its interval where it is told, is of a row of that defence,
    attack and threat model, at L-infinity 0.3 (overpowered: L2 4.0).
    """
    known = [
        row
        for row in json.loads((ROOT / "docs/results/published/results.json").read_text())["rows"]
        if row["table"] == "robustness"
        and row["metric"] == "accuracy"
        and (row["parameters"].get("norm"), row["parameters"].get("epsilon"))
        == (("l2", 4.0) if row["attack"] == "overpowered" else ("linf", 0.3))
    ]
    titles, rows = table_of(path, first)
    checked = set()
    for cells in rows:
        (defence,) = {name for title, name in DEFENCES.items() if cells[0].startswith(title)}
        for words, attack, model in VERDICTS[path]:
            (column,) = [
                number
                for number, title in enumerate(titles)
                if title.startswith((words, f"end to end, {words}"))
            ]
            told = FIGURE.match(cells[column])
            if told is None:
                assert cells[column] == "" or cells[column].startswith("has no ")
                assert attack == "overpowered" or (attack == "worst_case" and model != "end_to_end")
                continue
            held = {
                tuple(f"{row[name]:.3f}" for name in ("value", "ci_low", "ci_high"))
                for row in known
                if (row["defense"], row["attack"]) == (defence, attack)
                and model in (None, row["threat_model"])
            }
            value, *interval = told.groups()
            assert held, (defence, attack, model)
            assert any(
                value == row[0] and (interval[0] is None or tuple(interval) == row[1:])
                for row in held
            ), (
                cells[0],
                titles[column],
                told[0],
                held,
            )
        checked.add(defence)
    assert checked == set(DEFENCES.values())
