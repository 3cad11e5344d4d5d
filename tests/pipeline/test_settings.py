"""The settings of a configuration: every one constructs its attack, and has a name of its own."""

import dataclasses

import pytest

from madvae_tf.attacks import ATTACKS
from madvae_tf.config import AttackConfig
from madvae_tf.config.attacks import ATTACK_SPECS
from madvae_tf.config.overrides import load_config
from madvae_tf.utils.errors import UserError
from pipeline.graph.attack_sets import test_settings, train_settings, validation_settings

# pytest would take it for a test.
settings_of_test = test_settings
del test_settings

CONFIGS = {name: load_config(f"configs/{name}.py").attack for name in ("smoke", "quick", "paper")}
KINDS = (train_settings, validation_settings, settings_of_test)


def test_the_test_attacks_are_those_of_the_registry():
    assert {name: attack.name for name, attack in ATTACKS.items()} == {
        name: name for name in ATTACK_SPECS
    }
    assert set(AttackConfig().test_attacks) <= set(ATTACKS) - {"none"}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_setting_constructs_its_attack(name):
    for make in KINDS:
        for setting in make(CONFIGS[name]):
            attack = ATTACKS[setting.attack](**setting.parameters)
            assert {key: attack.parameters[key] for key in setting.parameters} == setting.parameters


@pytest.mark.parametrize("name", CONFIGS)
def test_every_setting_has_a_name_of_its_own(name):
    names = [setting.instance for make in KINDS for setting in make(CONFIGS[name])]
    assert len(set(names)) == len(names)
    assert all(name.split("-")[0] in ("train", "validation", "test") for name in names)


def table(settings):
    return [
        (s.attack, s.parameters.get("epsilon", s.parameters.get("confidence")), s.images)
        for s in settings
    ]


def test_the_defaults_are_the_papers():
    config = AttackConfig(train_images=7, train_cw_images=5, train_clean_images=3)
    expected = [("none", None, 3)]
    for epsilon, confidence in ((0.25, 5.0), (0.3, 10.0), (0.35, 15.0)):
        expected += [("fgsm", epsilon, 7), ("rand_fgsm", epsilon, 7), ("cw", confidence, 5)]
    assert sorted(table(train_settings(config)), key=str) == sorted(expected, key=str)
    assert table(validation_settings(config)) == [
        ("fgsm", 0.275, 1000),
        ("rand_fgsm", 0.275, 1000),
        ("cw", 7.5, 200),
        ("none", None, 1000),
    ]
    tests = {setting.attack: setting.parameters for setting in settings_of_test(config)}
    once = {"epsilon": 0.3}
    assert tests["fgsm"] == once and tests["rand_fgsm"] == {**once, "alpha": 0.05}
    assert tests["pgd"] == {**once, "step_size": 0.01, "iterations": 40}
    assert tests["mi_fgsm"] == {**tests["pgd"], "decay": 1.0}
    assert (
        tests["cw"]["confidence"],
        tests["cw"]["max_iterations"],
        tests["cw"]["binary_search_steps"],
    ) == (
        10.0,
        1500,
        9,
    )
    assert tests["single_pixel"] == {"max_pixels": 100, "exhaustive": False} and tests["none"] == {}


def test_validation_shares_no_setting_with_training_or_test():
    config = AttackConfig()
    others = table(train_settings(config)) + table(settings_of_test(config))
    shared = {row[:2] for row in table(validation_settings(config))} & {row[:2] for row in others}
    assert shared == {("none", None)}


def test_clean_training_images_can_be_left_out():
    assert "none" not in [s.attack for s in train_settings(AttackConfig(train_clean=False))]


def test_an_unknown_attack_names_the_known_ones():
    with pytest.raises(UserError, match="Unknown attack 'fsgm'. Did you mean 'fgsm'"):
        settings_of_test(dataclasses.replace(AttackConfig(), test_attacks=("pgd", "fsgm")))


@pytest.mark.parametrize("field", ["train_epsilons", "train_confidences", "test_attacks"])
def test_a_setting_named_twice_is_refused(field):
    """Two sets of one name would silently be one."""
    value = getattr(AttackConfig(), field)
    with pytest.raises(UserError, match=f"attack.{field}: .*each one once") as caught:
        AttackConfig(**{field: (*value, value[0])})
    assert "\n" not in str(caught.value)
