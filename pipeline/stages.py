"""What the stages are: the graph of a configuration.

    data -> classifier -> attack (one per setting) -> vae (one per variant) -> evaluate (one per defence) -> report
                                                                           -> export (one per variant)

A stage's config holds exactly what it reads, so that a change re-runs only what depends on it.
"""

import dataclasses
from typing import Any

from madvae_tf.config import Config, to_dict
from madvae_tf.data.sources import DATASETS
from madvae_tf.errors import lookup
from madvae_tf.precision import resolve_precision
from madvae_tf.variants import weights_of
from pipeline import steps
from pipeline.runner import Stage
from pipeline.settings import SetSetting, test_settings, train_settings, validation_settings

STAGES = ("data", "classifier", "attack", "vae", "evaluate", "report", "export")


def build_stages(config: Config, command: str) -> dict[str, list[Stage]]:
    """Every stage of `config`, by kind.

    Args:
        config: the configuration.
        command: what the report says it was made by.

    Raises:
        UserError: the name of a data set, classifier, attack or variant is unknown.
    """
    lookup(DATASETS, config.data.name, "dataset")
    lookup({"table6": None}, config.classifier.name, "classifier")
    seed = config.seed
    data = Stage("data", config.data.name, 1, _own(config.data, "name", "path"), {}, steps.prepare_data)
    common = {"dataset": config.data.name, "validation_images": config.data.validation_images, "seed": seed}
    classifier = Stage(
        "classifier",
        "",
        1,
        {**common, **_own(config.classifier), "precision": resolve_precision(config.classifier.precision)},
        {"data": data},
        steps.train_classifier,
    )
    both = {"data": data, "classifier": classifier}

    def adversarial(setting: SetSetting) -> Stage:
        # Training settings draw their own images; all test attacks share theirs.
        draw = (
            [setting.split]
            if setting.split != "train"
            else [setting.split, setting.instance.removeprefix("train-")]
        )
        precision = (
            resolve_precision(config.attack.train_precision) if setting.split == "train" else "float32"
        )
        own = (
            dataclasses.asdict(setting)
            | _own(config.attack, "batch_size", "shard_size")
            | {"draw": draw, "precision": precision}
        )
        return Stage("attack", setting.instance, 1, common | own, both, steps.generate_adversarial_set)

    train = {s.instance: adversarial(s) for s in train_settings(config.attack)}
    validation = {s.instance: adversarial(s) for s in validation_settings(config.attack)}
    tests = {s.attack: adversarial(s) for s in test_settings(config.attack)}
    learned = {
        **both,
        **{f"train:{name}": stage for name, stage in train.items()},
        **{f"validation:{name}": stage for name, stage in validation.items()},
    }
    warmup = {"warmup": _warmup(config, common, learned)} if config.vae.warmup_epochs else {}
    learned = learned | warmup
    vaes = {name: _vae(config, name, common, learned) for name in config.vae.variants}
    sets = {f"set:{name}": stage for name, stage in tests.items()}
    evaluations = {
        name: Stage(
            "evaluate",
            name,
            1,
            {**common, "defense": name, **_own(config.evaluate)},
            {**both, **sets, **({"vae": vaes[name]} if name in vaes else {})},
            steps.evaluate_defense,
        )
        for name in ("none", *vaes)
    }
    report = Stage(
        "report",
        "",
        1,
        {"config": to_dict(config), "command": command, "precision": resolve_precision(config.vae.precision)},
        {
            **both,
            **{f"vae:{name}": stage for name, stage in vaes.items()},
            **{f"evaluate:{name}": stage for name, stage in evaluations.items()},
        },
        steps.write_report,
        publish_to="report",
    )
    exports = [
        Stage("export", name, 1, {}, inputs, steps.export_defense, publish_to=f"export/{name}")
        for name, inputs in {
            "classifier": {"classifier": classifier},
            **{name: {"classifier": classifier, "vae": stage} for name, stage in vaes.items()},
        }.items()
    ]
    return {
        "data": [data],
        "classifier": [classifier],
        "attack": [*train.values(), *validation.values(), *tests.values()],
        "vae": [*warmup.values(), *vaes.values()],
        "evaluate": list(evaluations.values()),
        "report": [report],
        "export": exports,
    }


def _vae(
    config: Config, name: str, common: dict[str, Any], inputs: dict[str, Stage], **changes: Any
) -> Stage:
    vae = config.vae
    own = _own(
        vae,
        *(
            "latent_size",
            "epochs",
            "batch_size",
            "learning_rate",
            "final_learning_rate",
            "clip_norm",
            "max_shift",
        ),
        *("checkpoint_steps", "image_steps"),
    )
    settings = {
        **common,
        **own,
        "variant": name,
        "classifier": config.classifier.name,
        "weights": weights_of(changes.pop("loss", name), dataclasses.asdict(vae)),
        "precision": resolve_precision(vae.precision),
        "first_epoch": vae.warmup_epochs,
        **changes,
    }
    return Stage("vae", name, 1, settings, inputs, steps.train_purifier)


def _warmup(config: Config, common: dict[str, Any], inputs: dict[str, Stage]) -> Stage:
    """The vanilla purifier, at the first learning rate throughout, that every variant goes on from."""
    vae = config.vae
    changes = {"epochs": vae.warmup_epochs, "final_learning_rate": vae.learning_rate, "first_epoch": 0}
    return _vae(config, "warmup", common, inputs, loss="vanilla", **changes)


def _own(section: Any, *names: str) -> dict[str, Any]:
    values = dataclasses.asdict(section)
    return {name: values[name] for name in names} if names else values
