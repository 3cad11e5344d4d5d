"""What the stages are: the graph of a configuration.

    data -> classifier -> attack (one per setting) -> vae (one per variant) -> evaluate (one per defence) -> report
                                                                           -> export (one per variant)

`experiments` hangs the paper's further experiments on this graph. A stage's config holds exactly what it reads, so that a
change re-runs only what depends on it.
"""

import dataclasses
from typing import Any

from madvae_tf.config import Config, to_dict
from madvae_tf.config.costs import robust_seconds
from madvae_tf.config.defenses import robust_parameters, variant_parameters
from madvae_tf.config.variants import VARIANTS
from madvae_tf.data.catalogue import dataset_name
from madvae_tf.utils.errors import lookup
from madvae_tf.utils.precision import resolve_precision
from pipeline import steps
from pipeline.engine.plan import Stage
from pipeline.graph import costs, experiments, robustness
from pipeline.graph.attack_sets import (
    CLIMBING,
    DRAWING,
    SetSetting,
    test_settings,
    train_settings,
    validation_settings,
)
from pipeline.graph.baselines import baseline_surrogates
from pipeline.graph.core import Core, named, own_fields, train_stage, version_in, warmup_stage
from pipeline.graph.datasets import available, data_stage
from pipeline.graph.imported_models import adopted_purifier, adopted_stage

STAGES = (
    *("data", "classifier", "attack", "vae", "tune", "baseline", "reference", "substitute", "black_box"),
    *("evaluate", "clusters", "time", "robustness", "report", "export"),
)


def build_stages(config: Config, command: str) -> dict[str, list[Stage]]:
    """Every stage of `config`, by kind.

    Args:
        config: the configuration.
        command: what the report says it was made by.

    Raises:
        UserError: the name of a data set, classifier, attack, variant, baseline or reference setting is unknown.
    """
    core = _core(config)
    further = experiments.build(config, core)
    again, seed = robustness.surrogates(config), config.robustness.surrogate_seed
    variant_surrogates = {
        name: core.vaes[f"{name}-seed{seed}"][2] if seed in config.seeds else _variant(core, name, seed)
        for name in again
        if name in config.vae.variants
    }
    extra = [] if seed in config.seeds else list(variant_surrogates.values())
    others = baseline_surrogates(core, [name for name in again if name not in variant_surrogates], seed)
    tested = robustness.build(config, core, further.stages["baseline"], variant_surrogates | others)
    further.stages["baseline"] += others.values()
    evaluations = {
        "none": core.evaluation("none", "none"),
        **{
            instance: core.evaluation(instance, name, stage, details=instance == name, seed=seed)
            for instance, (name, seed, stage) in core.vaes.items()
        },
    }
    variants = {name: core.vaes[name][2] for name in config.vae.variants}
    report = Stage(
        "report",
        "",
        4,
        {"config": to_dict(config), "command": command, "precision": resolve_precision(config.vae.precision)},
        {
            **core.both,
            **{f"vae:{name}": stage for name, stage in variants.items()},
            **{f"evaluate:{name}": stage for name, stage in evaluations.items()},
            **further.reported,
            **{f"robustness:{stage.instance}": stage for stage in tested},
        },
        steps.write_report,
        publish_to="report",
    )
    exports = [
        Stage("export", name, 3, {}, inputs, steps.export_defense, publish_to=f"export/{name}")
        for name, inputs in {
            "classifier": {"classifier": core.classifier},
            **{name: {"classifier": core.classifier, "vae": stage} for name, stage in variants.items()},
        }.items()
    ]
    stages = {
        "data": [core.data],
        "classifier": [core.classifier],
        "attack": [*core.learned.values(), *core.tests.values()],
        "vae": _purifiers(core, extra),
        **further.stages,
        "robustness": tested,
        "report": [report],
        "export": exports,
    }
    stages["evaluate"] = [*evaluations.values(), *further.stages["evaluate"]]
    return {kind: stages[kind] for kind in STAGES}


def _core(config: Config) -> Core:
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
        adopted_stage(config, common, data)
        if config.classifier.path
        else _trained_classifier(config, common, data, there["train"])
    )
    both = {"data": data, "classifier": classifier}

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
            | {"draw": draw, "precision": precision}
        )
        images = min(setting.images or there[setting.split], there[setting.split])
        cost = costs.attack_seconds(setting.attack, setting.parameters, images, precision)
        # Two more where images are drawn for: seeds are folded from canonical values. One more where a loss is climbed: it does not vanish.
        newer = 2 * (setting.attack in DRAWING) + (setting.attack in CLIMBING)
        version = version_in(precision) + newer
        run = steps.generate_adversarial_set
        return Stage("attack", setting.instance, version, common | own, both, run, cost=cost)

    train = {f"train:{s.instance}": adversarial(s) for s in train_settings(config.attack)}
    validation = {f"validation:{s.instance}": adversarial(s) for s in validation_settings(config.attack)}
    pairs = sum(min(s.images or there["train"], there["train"]) for s in train_settings(config.attack))
    core = Core(
        config=config,
        common=common,
        both=both,
        learned=train | validation,
        tests={f"set:{s.attack}": adversarial(s) for s in test_settings(config.attack)},
        pairs=pairs,
        train_images=there["train"],
    )
    for seed in config.seeds or (config.seed,):
        _add_variants(core, seed)
    return core


def _purifiers(core: Core, surrogates: list[Stage]) -> list[Stage]:
    """The variants and surrogates, and before them what they go on from: warm-ups, and the start of `robust`."""
    variants = [*(stage for _, _, stage in core.vaes.values()), *surrogates]
    before = {
        id(each): each
        for stage in variants
        for name, each in stage.inputs.items()
        if name.startswith("trained:")
    }
    return [*before.values(), *variants]


def _trained_classifier(config: Config, common: dict[str, Any], data: Stage, train_images: int) -> Stage:
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


def _add_variants(core: Core, seed: int) -> None:
    """The variants trained with `seed`, and the warm-up that they share, where there is one."""
    for name in core.config.vae.variants:
        core.vaes[named(core, name, seed)] = (name, seed, _variant(core, name, seed))


def _robust(core: Core, seed: int) -> Stage:
    """The variant `robust`: it makes its attacks itself, so that it needs neither adversarial sets nor the warm-up."""
    own, inputs = core.config.robust, core.both
    parameters = robust_parameters(core.config, seed)
    # Another seed's is trained, from nothing: it stands for what an attacker has, or for the spread.
    if seed == core.config.seed and own.path:
        return adopted_purifier(core, "robust", "path", parameters)
    if seed == core.config.seed and own.start:
        inputs = inputs | {"trained:start": adopted_purifier(core, "robust-start", "start", parameters)}
    cost = robust_seconds(parameters, core.train_images)
    return train_stage(core, "vae", named(core, "robust", seed), "robust", parameters, inputs, cost)


def _variant(core: Core, name: str, seed: int) -> Stage:
    """One variant trained with `seed`."""
    if name == "robust":
        return _robust(core, seed)
    vae, inputs = core.config.vae, core.both | core.learned
    if vae.warmup_epochs:
        inputs = inputs | {"trained:warmup": warmup_stage(core, seed)}
    parameters = variant_parameters(vae, name, seed=seed)
    images = vae.epoch_steps * vae.batch_size or core.pairs
    cost = costs.purifier_seconds(images, vae.epochs)
    return train_stage(core, "vae", named(core, name, seed), name, parameters, inputs, cost)
