"""The stages that train other defences: those of a configuration, and with another seed what a
transfer attack has in their place.
"""

from collections.abc import Iterable
from typing import Any

from madvae_tf.config.defenses import BASELINES
from madvae_tf.utils.errors import UserError, lookup
from pipeline.engine.channels import channel
from pipeline.engine.plan import Stage
from pipeline.graph import costs
from pipeline.graph.main_stages import MainStages, named, train_stage, warmup_stage


def train_baselines(main: MainStages, names: Iterable[str], seed: int) -> dict[str, Stage]:
    """The stages that train the baselines with `seed`, by name; what others start from comes first.

    Raises:
        UserError: a name is unknown, or a baseline lacks the one that it starts from.
    """
    trained: dict[str, Stage] = {}
    for name in sorted(names, key=lambda name: bool(lookup(BASELINES, name, "baseline").requires)):
        recipe = BASELINES[name]
        if missing := [other for other in recipe.requires if other not in trained]:
            raise UserError(
                f"Invalid baselines.names: received {name} without {', '.join(missing)}, which it"
                " starts from; expected both, or neither."
            )
        inputs = main.base | channel(
            "trained", {other: trained[other] for other in recipe.requires}
        )
        if recipe.pairs:
            inputs |= main.learned
        # That of the configuration's own seed is there where a variant starts from it; another
        # seed's follows it.
        if recipe.warmup and main.config.seed in main.warmups:
            inputs |= channel("trained", {"warmup": warmup_stage(main, seed)})
        parameters = recipe.parameters(main.config)
        cost = _training_seconds(main, name, parameters)
        trained[name] = train_stage(
            main, "baseline", named(main, name, seed), name, parameters, inputs, cost, seed
        )
    return trained


def baseline_surrogates(main: MainStages, names: Iterable[str], seed: int) -> dict[str, Stage]:
    """The same baselines trained with `seed`, by name, and with them what they start from."""
    wanted = dict.fromkeys(names)
    needed = [other for name in wanted for other in BASELINES[name].requires]
    return train_baselines(main, dict.fromkeys([*needed, *wanted]), seed)


def evaluation_seconds(main: MainStages, name: str) -> float:
    """How long a baseline's latent projection of all test sets takes; 0 for one without."""
    recipe, config = BASELINES[name], main.config
    images = recipe.images(config) or config.attack.test_images
    return costs.projection_seconds(recipe.parameters(config), images * len(main.tests))


def _training_seconds(main: MainStages, name: str, parameters: dict[str, Any]) -> float:
    epochs = parameters.get("epochs", 0)
    if name == "identity":
        return costs.purifier_seconds(main.train_images, epochs)
    if name in ("defense_vae", "mixture"):
        return costs.purifier_seconds(
            parameters.get("epoch_steps", 0) * parameters["batch_size"] or main.pairs, epochs
        )
    if name == "defense_vae_e2e":
        return costs.purifier_seconds(main.pairs, epochs) / 3
    if name.startswith("adversarial"):
        return costs.classifier_seconds(main.train_images, epochs) * (
            1 + parameters.get("steps", 1)
        )
    if name == "magnet":
        return main.train_images * epochs / 12_000
    if name in ("defense_gan", "mad_gan"):
        return costs.gan_seconds(
            parameters["width"], parameters["iterations"], parameters["critic_steps"]
        )
    return 0.0
