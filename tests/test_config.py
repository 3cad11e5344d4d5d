"""Configuration: overrides parsed by type, refusals in one line, round trips."""

import dataclasses
from pathlib import Path

import pytest

from madvae_tf.config import Config, from_dict, to_dict
from madvae_tf.config.overrides import load_config, override
from madvae_tf.train import overrides_of
from madvae_tf.utils.errors import UserError
from pipeline.graph.stages import build_stages

CONFIGS = Path(__file__).parents[1] / "configs"


@pytest.mark.parametrize(
    ("assignment", "section", "field", "expected"),
    [
        ("vae.epochs=3", "vae", "epochs", 3),
        ("vae.alpha=1", "vae", "alpha", 1.0),
        ("vae.sigma=1e-6", "vae", "sigma", 1e-6),
        ("vae.variants=[cls,pd]", "vae", "variants", ("cls", "pd")),
        ("vae.variants=cls", "vae", "variants", ("cls",)),
        ("attack.train_epsilons=0.1,0.2", "attack", "train_epsilons", (0.1, 0.2)),
        ("attack.exhaustive=true", "attack", "exhaustive", True),
        ("data.path=/some/folder=x", "data", "path", "/some/folder=x"),
    ],
)
def test_override_parses_by_type(assignment, section, field, expected):
    value = getattr(getattr(override(Config(), [assignment]), section), field)
    assert value == expected
    assert type(value) is type(expected)


def test_override_changes_nothing_else():
    changed = to_dict(override(Config(), ["seed=7", "vae.gamma=0.2"]))
    expected = to_dict(Config())
    expected["seed"], expected["vae"]["gamma"] = 7, 0.2
    assert changed == expected


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("vae.epoch=3", "Unknown configuration key 'vae.epoch'. Did you mean 'vae.epochs'"),
        ("vea.epochs=3", "Unknown configuration key 'vea.epochs'. Did you mean 'vae.epochs'"),
        ("vae=3", "Unknown configuration key 'vae'"),
        ("vae.epochs.x=3", "Unknown configuration key"),
        ("vae.epochs", "expected section.field=value"),
        ("vae.epochs=two", "Invalid vae.epochs: received 'two', expected a value of type int"),
        ("vae.epochs=2.5", "Invalid vae.epochs: received '2.5', expected a value of type int"),
        ("vae.epochs=True", "Invalid vae.epochs"),
        ("vae.epochs=0", "Invalid vae.epochs: received 0, expected a value above 0"),
        (
            "attack.test_epsilon=-0.3",
            "Invalid attack.test_epsilon: received -0.3, expected a value of at least 0",
        ),
        ("attack.train_epsilons=0.1,-1.0", "Invalid attack.train_epsilons"),
        # Sets are named by six digits: of these two one would be lost.
        ("attack.train_epsilons=0.3,0.3000001", "each one once, in six digits"),
        ("vae.learning_rate=1e999", "Invalid vae.learning_rate: received inf, expected finite"),
        (
            "attack.exhaustive=yes",
            "Invalid attack.exhaustive: received 'yes', expected a value of type bool",
        ),
        ("attack.shard_size=130", "expected a multiple of attack.batch_size"),
        ("vae.precision=half", "expected one of auto, float32, mixed_bfloat16"),
        ("vae.variants=cls,cls", "each variant once"),
        ("classifier.dropout=1.0", "expected a value below 1"),
        ("seed=-1", "Invalid config.seed"),
        ("attack.test_epsilon=1.5", "expected at most 1, the range of a pixel"),
        (
            "robust.threshold_l2=true",
            "Invalid robust.norm: received 'linf', expected l2 or both, with threshold_l2",
        ),
        (
            "attack.alpha=0.28",
            "Invalid attack.alpha: received 0.28, expected at most every epsilon (0.25)",
        ),
    ],
)
def test_a_bad_override_is_one_clear_line(assignment, message):
    with pytest.raises(UserError) as caught:
        override(Config(), [assignment])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_values_that_belong_together_come_in_any_order():
    """README's for colour images: each alone would be refused beside MNIST's."""
    given = [
        "attack.test_epsilon=0.03",
        "attack.train_epsilons=[0.02,0.03,0.04]",
        "attack.validation_epsilon=0.025",
        "attack.alpha=0.01",
        "robust.epsilon=0.03",
        "robust.start_epsilon=0.005",
    ]
    for order in (given, given[::-1]):
        config = override(Config(), order)
        assert (config.attack.alpha, config.attack.train_epsilons) == (0.01, (0.02, 0.03, 0.04))
        assert config.robust.start_epsilon == 0.005
    assert override(Config(), ["vae.epochs=2", "vae.epochs=3"]).vae.epochs == 3
    with pytest.raises(UserError, match="Invalid attack.alpha: received 0.05"):
        override(Config(), given[:3])


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("[a-z]*.py")), ids=lambda path: path.stem)
@pytest.mark.parametrize("loss", ["cls", "robust"])
def test_one_purifier_of_any_configuration_can_be_trained(path, loss):
    """What `python -m madvae_tf.train` asks for; defences that the configuration attacks beside it
    are no matter.
    """
    stages = build_stages(override(load_config(path), overrides_of(loss)), "run")
    trained = {stage.instance.partition("-seed")[0] for stage in stages["vae"]}
    assert loss in trained and trained <= {loss, "warmup"} and not stages["robustness"]


def test_threshold_l2_needs_a_squash():
    given = ["robust.norm=both", "robust.scale=0", "robust.threshold_l2=true"]
    with pytest.raises(
        UserError, match=r"Invalid robust\.scale: received 0(\.0)?, expected above 0"
    ):
        override(Config(), given)
    assert override(Config(), [given[0], given[2]]).robust.threshold_l2


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["robust.norm_mix=linf,l2"], "none, or norm=both"),
        (
            ["robust.norm=both", "robust.norm_mix=linf,square"],
            "names of linf, l2, threshold_l2, joined by commas",
        ),
        (
            ["robust.norm=both", "robust.norm_mix=linf,threshold_l2", "robust.scale=0"],
            "or a squash",
        ),
    ],
)
def test_a_norm_mix_is_of_known_kinds_for_both_norms(given, expected):
    with pytest.raises(UserError, match=f"Invalid robust.norm_mix: received 'linf,.*{expected}"):
        override(Config(), given)
    assert override(
        Config(), ["robust.norm=both", "robust.norm_mix=linf,l2,threshold_l2,l2"]
    ).robust.norm_mix


def test_what_is_not_trained_goes_on_from_nothing():
    with pytest.raises(
        UserError, match="Invalid robust.start: received 'a.keras', expected none beside"
    ):
        override(Config(), ["robust.path=b.keras", "robust.start=a.keras"])


def test_sections_check_types_on_construction():
    with pytest.raises(UserError, match="Invalid vae.epochs: received 1.5"):
        dataclasses.replace(Config().vae, epochs=1.5)


def test_round_trip_through_a_dict():
    config = override(Config(), ["vae.variants=pd", "attack.train_confidences=1.0,2.0"])
    assert from_dict(to_dict(config)) == config


def test_from_dict_refuses_an_unknown_key():
    with pytest.raises(UserError, match=r"'vae\.epoch'"):
        from_dict({"vae": {"epoch": 1}})


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_the_committed_configs_load_and_plan(path):
    config = load_config(path)
    assert config.name == path.stem
    assert all(build_stages(config, "run")[kind] for kind in ("data", "vae", "report", "export"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No config file"),
        ("x = 1\n", "has no attribute 'get_config'"),
        (
            "def get_config():\n    return 3\n",
            "get_config() returned int, expected a madvae_tf.config.Config",
        ),
        ("def get_config(:\n", "SyntaxError"),
    ],
)
def test_a_bad_config_file_is_one_clear_line(tmp_path, content, message):
    path = tmp_path / "mine.py"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError) as caught:
        load_config(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_former_keys_and_values_work_with_a_notice(caplog):
    given = ["robust.norm=both", "robust.turns=linf,crossing", "robust.falling=true"]
    with caplog.at_level("WARNING", "absl"):
        own = override(Config(), given).robust
    assert (own.norm_mix, own.decaying_steps) == ("linf,threshold_l2", True)
    notices = [record.getMessage() for record in caplog.records]
    assert notices == [
        (
            "--set=robust.turns=linf,crossing is --set=robust.norm_mix=linf,threshold_l2 in this"
            " release; the former name goes with the next one."
        ),
        (
            "--set=robust.falling=true is --set=robust.decaying_steps=true in this release; "
            "the former name goes with the next one."
        ),
    ]
