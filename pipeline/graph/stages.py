"""What the stages are: the graph of a configuration.

    data -> classifier -> attack (one per setting) -> vae (one per variant)
         -> evaluate (one per defence) -> report
         -> export (one per variant)

`experiments` hangs the paper's further experiments on this graph. A stage's config holds exactly
what it reads, so that a change re-runs only what depends on it.
"""

import dataclasses
from typing import Any

from madvae_tf.config import Config, to_dict
from madvae_tf.config.attacks import ATTACK_SPECS
from madvae_tf.config.costs import robust_seconds
from madvae_tf.config.defenses import robust_parameters, variant_parameters
from madvae_tf.config.variants import VARIANTS
from madvae_tf.data.catalogue import dataset_name
from madvae_tf.utils.errors import lookup
from madvae_tf.utils.precision import resolve_precision
from pipeline import steps
from pipeline.engine.channels import channel, members
from pipeline.engine.plan import Stage
from pipeline.graph import costs, experiments, robustness
from pipeline.graph.attack_sets import (
    SetSetting,
    test_settings,
    train_settings,
    validation_settings,
)
from pipeline.graph.baselines import baseline_surrogates
from pipeline.graph.datasets import available, data_stage
from pipeline.graph.imported_models import imported_classifier, imported_purifier
from pipeline.graph.main_stages import (
    MainStages,
    named,
    own_fields,
    train_stage,
    version_in,
    warmup_stage,
)

STAGES = (
    *(
        "data",
        "classifier",
        "attack",
        "vae",
        "tune",
        "baseline",
        "reference",
        "substitute",
        "black_box",
    ),
    *("evaluate", "clusters", "time", "robustness", "report", "export"),
)


def build_stages(config: Config, command: str) -> dict[str, list[Stage]]:
    """Every stage of `config`, by kind.

    Args:
        config: the configuration.
        command: what the report says it was made by.

    Raises:
        UserError: the name of a data set, classifier, attack, variant, baseline or reference
            setting is unknown.
    """
    main = _main_stages(config)
    extra_stages = experiments.build(config, main)
    again, seed = robustness.surrogates(config), config.robustness.surrogate_seed
    variant_surrogates = {
        name: (
            main.vaes[f"{name}-seed{seed}"][2]
            if seed in config.seeds
            else _variant(main, name, seed)
        )
        for name in again
        if name in config.vae.variants
    }
    extra = [] if seed in config.seeds else list(variant_surrogates.values())
    others = baseline_surrogates(
        main, [name for name in again if name not in variant_surrogates], seed
    )
    tested = robustness.build(
        config, main, extra_stages.stages["baseline"], variant_surrogates | others
    )
    extra_stages.stages["baseline"] += others.values()
    evaluations = {
        "none": main.evaluation("none", "none"),
        **{
            instance: main.evaluation(instance, name, stage, details=instance == name, seed=seed)
            for instance, (name, seed, stage) in main.vaes.items()
        },
    }
    variants = {name: main.vaes[name][2] for name in config.vae.variants}
    report = Stage(
        "report",
        "",
        4,
        {
            "config": to_dict(config),
            "command": command,
            "precision": resolve_precision(config.vae.precision),
        },
        {
            **main.base,
            **channel("vae", variants),
            **channel("evaluate", evaluations),
            **extra_stages.reported,
            **channel("robustness", {stage.instance: stage for stage in tested}),
        },
        steps.write_report,
        publish_to="report",
    )
    exports = [
        Stage("export", name, 3, {}, inputs, steps.export_defense, publish_to=f"export/{name}")
        for name, inputs in {
            "classifier": {"classifier": main.classifier},
            **{
                name: {"classifier": main.classifier, "vae": stage}
                for name, stage in variants.items()
            },
        }.items()
    ]
    stages = {
        "data": [main.data],
        "classifier": [main.classifier],
        "attack": [*main.learned.values(), *main.tests.values()],
        "vae": _purifiers(main, extra),
        **extra_stages.stages,
        "robustness": tested,
        "report": [report],
        "export": exports,
    }
    stages["evaluate"] = [*evaluations.values(), *extra_stages.stages["evaluate"]]
    return {kind: stages[kind] for kind in STAGES}


def _main_stages(config: Config) -> MainStages:
    data = data_stage(config)
    lookup({"table6": None}, config.classifier.name, "classifier")
    for name in config.vae.variants:
        lookup(VARIANTS, name, "variant")
    common = {
        "dataset": dataset_name(config.data),
        "validation_images": config.data.validation_images,
        "seed": config.seed,
    }
    there = available(config)
    classifier = (
        imported_classifier(config, common, data)
        if config.classifier.path
        else _trained_classifier(config, common, data, there["train"])
    )
    base = {"data": data, "classifier": classifier}

    def adversarial(setting: SetSetting) -> Stage:
        # Training settings draw their own images; all test attacks share theirs.
        draw = (
            [setting.split]
            if setting.split != "train"
            else [setting.split, setting.instance.removeprefix("train-")]
        )
        # One of the user's own computes as it does.
        ours = setting.split == "train" and not config.classifier.path
        precision = resolve_precision(config.attack.train_precision) if ours else "float32"
        own = (
            dataclasses.asdict(setting)
            | own_fields(config.attack, "batch_size", "shard_size")
            | {
                "draw": draw,
                "precision": precision,
            }
        )
        images = min(setting.images or there[setting.split], there[setting.split])
        cost = costs.attack_seconds(setting.attack, setting.parameters, images, precision)
        # Two more where images are drawn for: seeds are folded from canonical values. One more
        # where a loss is climbed: it does not vanish.
        spec = ATTACK_SPECS[setting.attack]
        newer = 2 * spec.draws + spec.follows_gradient
        version = version_in(precision) + newer
        run = steps.generate_adversarial_set
        return Stage("attack", setting.instance, version, common | own, base, run, cost=cost)

    train = channel("train", {s.instance: adversarial(s) for s in train_settings(config.attack)})
    validation = channel(
        "validation", {s.instance: adversarial(s) for s in validation_settings(config.attack)}
    )
    pairs = sum(
        min(s.images or there["train"], there["train"]) for s in train_settings(config.attack)
    )
    main = MainStages(
        config=config,
        common=common,
        base=base,
        learned=train | validation,
        tests=channel("set", {s.attack: adversarial(s) for s in test_settings(config.attack)}),
        pairs=pairs,
        train_images=there["train"],
    )
    for seed in config.seeds or (config.seed,):
        _add_variants(main, seed)
    return main


def _purifiers(main: MainStages, surrogates: list[Stage]) -> list[Stage]:
    """The variants and surrogates, and before them what they go on from: warm-ups, and the start of
    `robust`.
    """
    variants = [*(stage for _, _, stage in main.vaes.values()), *surrogates]
    before = {
        id(each): each for stage in variants for each in members(stage.inputs, "trained").values()
    }
    return [*before.values(), *variants]


def _trained_classifier(
    config: Config, common: dict[str, Any], data: Stage, train_images: int
) -> Stage:
    precision = resolve_precision(config.classifier.precision)
    return Stage(
        "classifier",
        "",
        version_in(precision),
        {**common, **own_fields(config.classifier), "precision": precision},
        {"data": data},
        steps.train_classifier,
        cost=costs.classifier_seconds(
            config.classifier.train_images or train_images, config.classifier.epochs
        ),
    )


def _add_variants(main: MainStages, seed: int) -> None:
    """The variants trained with `seed`, and the warm-up that they share, where there is one."""
    for name in main.config.vae.variants:
        main.vaes[named(main, name, seed)] = (name, seed, _variant(main, name, seed))


def _robust(main: MainStages, seed: int) -> Stage:
    """The variant `robust`: it makes its attacks itself, so that it needs neither adversarial sets
    nor the warm-up.
    """
    own, inputs = main.config.robust, main.base
    parameters = robust_parameters(main.config, seed)
    # Another seed's is trained, from nothing: it stands for what an attacker has, or for the
    # spread.
    if seed == main.config.seed and own.path:
        return imported_purifier(main, "robust", "path", parameters)
    if seed == main.config.seed and own.start:
        inputs = inputs | channel(
            "trained", {"start": imported_purifier(main, "robust-start", "start", parameters)}
        )
    cost = robust_seconds(parameters, main.train_images)
    return train_stage(main, "vae", named(main, "robust", seed), "robust", parameters, inputs, cost)


def _variant(main: MainStages, name: str, seed: int) -> Stage:
    """One variant trained with `seed`."""
    if name == "robust":
        return _robust(main, seed)
    vae, inputs = main.config.vae, main.base | main.learned
    if vae.warmup_epochs:
        inputs = inputs | channel("trained", {"warmup": warmup_stage(main, seed)})
    parameters = variant_parameters(vae, name, seed=seed)
    images = vae.epoch_steps * vae.batch_size or main.pairs
    cost = costs.purifier_seconds(images, vae.epochs)
    return train_stage(main, "vae", named(main, name, seed), name, parameters, inputs, cost)
