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
