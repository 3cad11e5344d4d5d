"""The variants as defences: what each learns from, and that the registry and the plan name the same
things.
"""

import numpy as np
import pytest

from madvae_tf.config import Config
from madvae_tf.config.defenses import BASELINES, purifier_parameters
from madvae_tf.config.variants import VARIANTS
from madvae_tf.data.adversarial_sets import AdversarialSet, PairedSets, ShardWriter
from madvae_tf.data.prepare import Split
from madvae_tf.defenses import DEFENSES
from madvae_tf.defenses.base import TrainingInputs
from madvae_tf.training.classifier import build_classifier
from madvae_tf.utils.errors import UserError
from pipeline.graph.reference_settings import REFERENCE_SETTINGS, reference_parameters
from tests.small import SmallVAE

CLEAN = np.arange(4 * 784, dtype=np.uint8).reshape(4, 28, 28, 1)
LABELS = np.arange(4)


@pytest.fixture
def inputs(tmp_path):
    """Four clean images, two of them attacked, and all four as an unattacked set."""
    sets = []
    for attack, rows in (("fgsm", [1, 3]), ("none", [0, 1, 2, 3])):
        writer = ShardWriter(tmp_path / attack, 10)
        writer.write(
            0, np.full((len(rows), 28, 28, 1), 0.5, np.float32), np.array(rows), LABELS[rows]
        )
        writer.finish(
            {"dataset": "mnist", "split": "train", "attack": attack, "parameters": {}, "seed": 0}
        )
        sets.append(AdversarialSet.open(tmp_path / attack))
    split = Split(CLEAN, LABELS)
    pairs = PairedSets(sets, CLEAN, LABELS)
    classifier = build_classifier("table6", 0.0, "float32")
    return TrainingInputs(
        split, split, pairs, pairs, classifier, "table6", 0, "float32", tmp_path / "scratch"
    )


def test_the_identity_vae_sees_clean_images_only(inputs):
    pairs = DEFENSES["identity"]().pairs_of(inputs)  # pyright: ignore[reportAttributeAccessIssue]
    x_adv, x, label = pairs.batch(np.array([2, 0]))
    np.testing.assert_array_equal(x_adv, x)
    np.testing.assert_allclose(x, CLEAN[[2, 0]] / np.float32(255), atol=1e-7)
    assert len(pairs) == 4 and label.tolist() == [2, 0]


def test_defense_vae_sees_attacked_images_only(inputs):
    pairs = DEFENSES["defense_vae"]().pairs_of(inputs)  # pyright: ignore[reportAttributeAccessIssue]
    x_adv, x, label = pairs.batch(np.arange(len(pairs)))
    assert len(pairs) == 2 and label.tolist() == [1, 3]
    assert (x_adv == 0.5).all()
    np.testing.assert_allclose(x, CLEAN[[1, 3]] / np.float32(255), atol=1e-7)


def test_attacked_images_that_are_not_there_are_asked_for(inputs):
    clean = PairedSets(inputs.pairs.sets[1:], CLEAN, LABELS)
    object.__setattr__(inputs, "pairs", clean)
    with pytest.raises(
        UserError, match="defense_vae: received clean images only, expected attacked ones"
    ):
        DEFENSES["defense_vae"]().pairs_of(inputs)  # pyright: ignore[reportAttributeAccessIssue]


def test_a_loaded_purifier_is_the_composition(tmp_path, inputs):
    purifier = SmallVAE(4)
    purifier.save(tmp_path / "purifier.keras")
    system = DEFENSES["pd"]().load(tmp_path, inputs.classifier)
    images = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
    assert system.purify is not None and system.encode is not None and system.detect is None
    np.testing.assert_allclose(system.purify(images), purifier(images), atol=1e-6)
    np.testing.assert_allclose(
        system.logits(images), inputs.classifier(purifier(images)), atol=1e-5
    )
    np.testing.assert_allclose(system.encode(images), purifier.encode(images)[0], atol=1e-5)


def test_samples_have_the_codes_mean_and_deviation_and_an_images_own_seed(tmp_path, inputs):
    purifier = SmallVAE(3)
    purifier.save(tmp_path / "purifier.keras")
    system = DEFENSES["pd"]().load(tmp_path, inputs.classifier)
    images = np.repeat(np.random.default_rng(0).random((1, 28, 28, 1), np.float32), 400, axis=0)
    seeds = np.stack([np.arange(400), np.full(400, 7)], axis=1).astype(np.int32)
    assert system.sample is not None and system.decode is not None
    z = system.sample(images, seeds).numpy()
    mean, log_variance = (part.numpy()[0] for part in purifier.encode(images[:1]))
    deviation = np.exp(log_variance / 2)
    np.testing.assert_allclose((z.mean(axis=0) - mean) / deviation, 0, atol=0.2)
    np.testing.assert_allclose(z.std(axis=0) / deviation, 1, atol=0.15)
    np.testing.assert_allclose(system.sample(images[:1], seeds[5:6])[0], z[5], atol=1e-5)
    np.testing.assert_allclose(system.decode(z[:2]), purifier.decode(z[:2]), atol=1e-6)


def test_the_plan_and_the_registry_name_the_same_defences():
    assert set(DEFENSES) == {*VARIANTS, *BASELINES}


@pytest.mark.parametrize("name", BASELINES)
def test_the_plan_gives_each_baseline_parameters_that_it_takes(name):
    parameters = BASELINES[name].parameters(Config())
    defense = DEFENSES[name](**parameters)
    assert {key: defense.parameters[key] for key in parameters} == parameters
    assert defense.requires == BASELINES[name].requires


def test_reference_settings_differ_from_ours_in_what_they_say():
    ours = reference_parameters(Config(), "ours")
    changed = {
        setting: {key for key in made if made.get(key) != ours.get(key)}
        for setting in REFERENCE_SETTINGS
        for made in [reference_parameters(Config(), setting)]
    }
    assert changed == {
        "ours": set(),
        "mean_losses": {"reduction"},
        "linear_scale": {"latent_scale"},
        "batch_512": {"batch_size"},
        "no_clean_images": {"attacked_only"},
        "slow_decay": {"final_learning_rate"},
        "reference": {
            "reduction",
            "latent_scale",
            "batch_size",
            "attacked_only",
            "final_learning_rate",
        },
    }


def test_a_variant_depends_on_its_own_weights_only():
    assert {"alpha", "beta"} <= purifier_parameters(Config().vae, "cls").keys()
    assert not {"gamma", "sigma", "proximity"} & purifier_parameters(Config().vae, "cls").keys()
    assert not {"alpha", "beta"} & purifier_parameters(Config().vae, "defense_vae").keys()
