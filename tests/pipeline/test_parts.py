"""What attacks may ask of a defence is what its row of BASELINES says, and what it has."""

import dataclasses

import pytest

from madvae_tf.config import Config
from madvae_tf.config.defenses import BASELINES, DefenseSpec
from madvae_tf.config.overrides import override
from madvae_tf.defenses import DEFENSES
from madvae_tf.utils.errors import UserError
from pipeline.engine.plan import Context
from pipeline.graph.stages import build_stages
from pipeline.steps.common import defended


def loaded(tmp_path, name):
    tmp_path.joinpath(name).mkdir()
    DEFENSES[name]().train(None, tmp_path / name)
    settings = {"defense": name, "parameters": {}}
    return defended(
        Context(tmp_path, tmp_path, {"defense": tmp_path / name}, settings), lambda images: images
    )


def test_a_new_defence_meets_bpda_without_a_word(monkeypatch):
    """The Steps of docs/project/extending.md, whose rounding has no gradient: without BPDA it would
    look robust.
    """
    monkeypatch.setitem(
        BASELINES, "steps", DefenseSpec("Steps", lambda config: {"levels": 4}, trained=False)
    )
    given = [
        "baselines.names=steps",
        "robustness.defenses=steps",
        "robustness.suites=gradient,bpda,joint,eot",
    ]
    labels = {
        stage.instance for stage in build_stages(override(Config(), given), "run")["robustness"]
    }
    place = "steps-linf-0.3-end_to_end"
    assert {
        f"{place}-gradient",
        f"{place}-bpda",
        f"{place}-joint",
    } <= labels and f"{place}-eot" not in labels


def test_parts_that_are_there_are_the_systems(tmp_path):
    for name in ("blur", "binarization"):
        assert loaded(tmp_path, name).purify is not None


@pytest.mark.parametrize(
    ("parts", "expected"),
    [((), "nothing"), (("purify", "decode", "sample"), "purify, decode, sample")],
)
def test_a_row_that_says_something_else_is_refused(tmp_path, monkeypatch, parts, expected):
    """Less would leave attacks out, and more could not run."""
    monkeypatch.setitem(BASELINES, "blur", dataclasses.replace(BASELINES["blur"], parts=parts))
    with pytest.raises(
        UserError,
        match=f"Invalid defence blur: .* has purify .* expected {expected}; correct parts=",
    ):
        loaded(tmp_path, "blur")
