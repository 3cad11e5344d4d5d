"""--profile: asked of the trainings that are ahead, and said where there is none."""

import pytest
from absl import logging

from madvae_tf.training import profiling
from pipeline import run
from pipeline.engine.plan import PlanStep, Stage


@pytest.mark.parametrize(
    ("kind", "state", "profiled"),
    [
        ("vae", "run", True),
        ("classifier", "resume", True),
        ("vae", "done", False),
        ("report", "run", False),
    ],
)
def test_profile_is_asked_of_trainings_that_are_ahead(tmp_path, monkeypatch, kind, state, profiled):
    said = []
    steps = [PlanStep(Stage(kind, "", 1, {}, {}, lambda context: None), tmp_path, state)]
    monkeypatch.setattr(run, "plan", lambda wanted, workdir: steps)
    monkeypatch.setattr(run, "_WORKDIR", type("Flag", (), {"value": str(tmp_path)}))
    monkeypatch.setattr(logging, "warning", lambda message, *values: said.append(message))
    try:
        run.profile_trainings(tmp_path / "profile", [])
        assert [callback.folder for callback in profiling.callbacks()] == [
            tmp_path / "profile"
        ] * profiled
    finally:
        profiling.request(None)
    assert bool(said) != profiled and all("Nothing is left to train" in message for message in said)
