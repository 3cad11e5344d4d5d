"""What docs/results/published holds belongs to the weights and the configuration that are committed beside it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from madvae_tf.overrides import load_config
from madvae_tf.report import validate_rows
from madvae_tf.robustness.__main__ import lines
from pipeline.stages import build_stages

ROOT = Path(__file__).parents[2]
FOUND = ROOT / "docs" / "results" / "published" / "artifacts" / "robustness"
# A figure as `python -m madvae_tf.robustness` prints it.
QUOTED = re.compile(r"^    (\w+, (?:oblivious|transfer|end_to_end), .* n = \d+.*)$", re.MULTILINE)


def test_every_folder_is_a_stage_of_the_configuration(monkeypatch):
    """On every machine: the keys of the variants have the precision in them that "auto" stood for where they were trained."""
    for module in ("core", "experiments", "stages"):
        monkeypatch.setattr(
            f"pipeline.{module}.resolve_precision", lambda p: "mixed_bfloat16" if p == "auto" else p
        )
    stages = build_stages(load_config(ROOT / "configs" / "published.py"), "run")["robustness"]
    known = {Path(stage.folder_name).name for stage in stages}
    folders = {path.name.removesuffix(".partial") for path in FOUND.iterdir()}
    assert folders and folders <= known


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
    "told", sorted((ROOT / "docs" / "results").glob("*/README.md")), ids=lambda path: path.parent.name
)
def test_every_line_that_a_readme_quotes_is_printed(told):
    quoted = set(QUOTED.findall(told.read_text()))
    assert quoted
    assert quoted <= set(lines([told.parent]))
