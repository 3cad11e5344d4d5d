"""What docs/results/published holds belongs to the weights and the configuration that are committed beside it."""

import json
from pathlib import Path

import numpy as np

from madvae_tf.overrides import load_config
from madvae_tf.report import validate_rows
from pipeline.stages import build_stages

ROOT = Path(__file__).parents[2]
FOUND = ROOT / "docs" / "results" / "published" / "artifacts" / "robustness"


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
