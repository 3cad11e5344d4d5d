"""The stages of the paper's further experiments: baselines, reference settings, black-box attacks,
clusters, tuning.

Each is on where its section of the configuration names something; none of them is an input of the
main job.
"""

import dataclasses
from typing import Any

from madvae_tf.config import SUBSTITUTES, Config, to_dict
from madvae_tf.config.defenses import BASELINES
from madvae_tf.utils.errors import lookup
from madvae_tf.utils.precision import resolve_precision
from pipeline import steps
from pipeline.engine.channels import channel, members
from pipeline.engine.plan import Stage
from pipeline.graph import costs
from pipeline.graph.baselines import evaluation_seconds, train_baselines
from pipeline.graph.main_stages import MainStages, own_fields, train_stage
from pipeline.graph.reference_settings import REFERENCE_SETTINGS, reference_parameters

# The fully connected substitutes of Table 7.
_FULLY_CONNECTED = ("D", "E")


@dataclasses.dataclass
class ExperimentStages:
    """Stages by kind, and what of them the report reads, by the name it reads it under."""

    stages: dict[str, list[Stage]]
    reported: dict[str, Stage]


def build(config: Config, main: MainStages) -> ExperimentStages:
    """The stages that `config` asks for beside the main job.

    Raises:
        UserError: the name of a baseline or of a reference setting is unknown, or a baseline lacks
            another one.
    """
    kinds = (
        "tune",
        "baseline",
        "reference",
        "substitute",
        "black_box",
        "evaluate",
        "clusters",
        "time",
    )
    extra_stages = ExperimentStages({kind: [] for kind in kinds}, {})
    _tuning(config, main, extra_stages)
    _baselines(config, main, extra_stages)
    _reference(config, main, extra_stages)
    _black_box(config, main, extra_stages)
    _clusters(config, main, extra_stages)
    _time(config, main, extra_stages)
    return extra_stages


def _baselines(config: Config, main: MainStages, extra_stages: ExperimentStages) -> None:
    for name, stage in train_baselines(main, config.baselines.names, config.seed).items():
        evaluation = main.evaluation(
            f"baseline-{name}",
            name,
            stage,
            table="baselines",
            images=BASELINES[name].images(config),
            cost=evaluation_seconds(main, name),
        )
        extra_stages.stages["baseline"].append(stage)
        extra_stages.stages["evaluate"].append(evaluation)
        extra_stages.reported |= channel("evaluate", {f"baseline-{name}": evaluation})


def _reference(config: Config, main: MainStages, extra_stages: ExperimentStages) -> None:
    for setting in config.reference.settings:
        difference = lookup(REFERENCE_SETTINGS, setting, "reference setting")
        stage = train_stage(
            main,
            "reference",
            setting,
            "vanilla",
            reference_parameters(config, setting),
            main.base | main.learned,
            costs.purifier_seconds(main.pairs, config.reference.epochs),
        )
        evaluation = main.evaluation(
            f"reference-{setting}",
            "vanilla",
            stage,
            table="reference",
            note={"setting": setting, "difference": difference, "epochs": config.reference.epochs},
        )
        extra_stages.stages["reference"].append(stage)
        extra_stages.stages["evaluate"].append(evaluation)
        extra_stages.reported |= channel("evaluate", {f"reference-{setting}": evaluation})


def _black_box(config: Config, main: MainStages, extra_stages: ExperimentStages) -> None:
    own, attack = config.black_box, config.attack
    defenses = {name: main.vaes[name][2] for name in config.vae.variants}
    measured = {
        **main.common,
        **own_fields(config.evaluate),
        "images": attack.test_images,
        "epsilon": own.epsilon,
    }
    for letter in own.substitutes:
        connected = letter in _FULLY_CONNECTED
        epochs = own.epochs[SUBSTITUTES.index(letter)]
        # They are trained, whatever stands in Table 6's place.
        trained = dataclasses.replace(config.classifier, path="", outputs="auto")
        settings = own_fields(trained) | {
            "name": f"substitute_{letter.lower()}",
            "epochs": epochs,
            # Shifts are for convolutions: they cost fully connected layers accuracy.
            "max_shift": 0 if connected else config.classifier.max_shift,
            "precision": resolve_precision(config.classifier.precision),
        }
        substitute = Stage(
            "substitute",
            letter,
            1,
            main.common | settings,
            {"data": main.data},
            steps.train_classifier,
            cost=costs.substitute_seconds(
                letter, config.classifier.train_images or main.train_images, epochs
            ),
        )
        extra_stages.stages["substitute"].append(substitute)
        transfer = Stage(
            "black_box",
            f"transfer-{letter}",
            2,
            {**measured, "substitute": letter, "clean_images": attack.test_clean_images},
            {
                **main.base,
                "substitute": substitute,
                **channel("defense", defenses),
            },
            steps.attack_substitute,
            cost=10,
        )
        extractions = [
            _extraction(main, letter, name, defenses.get(name), measured)
            for name in ("none", *defenses)
        ]
        for stage in (transfer, *(extractions if own.extract else ())):
            extra_stages.stages["black_box"].append(stage)
            extra_stages.reported |= channel("black_box", {stage.instance: stage})


def _extraction(
    main: MainStages, letter: str, name: str, defense: Stage | None, measured: dict[str, Any]
) -> Stage:
    own = main.config.black_box
    settings = {
        **measured,
        **own_fields(own, "seed_images", "rounds", "augmentation"),
        "substitute": letter,
        "defense": name,
        "epochs": own.extraction_epochs,
        "learning_rate": own.extraction_learning_rate,
        "precision": resolve_precision(main.config.classifier.precision),
    }
    inputs = main.base | ({} if defense is None else {"defense": defense})
    # A round trains on all images so far: 1 + 2 + ... + 2**rounds times the first.
    images = own.seed_images * (2 ** (own.rounds + 1) - 1)
    cost = costs.substitute_seconds(letter, images, own.extraction_epochs)
    return Stage(
        "black_box",
        f"extract-{letter}-{name}",
        2,
        settings,
        inputs,
        steps.extract_and_attack,
        cost=cost + 5,
    )


def _clusters(config: Config, main: MainStages, extra_stages: ExperimentStages) -> None:
    own = config.clusters
    if not own.images:
        return
    pictures: list[tuple[str, str]] = [("test", "none"), ("adversarial", "none")]
    pictures += [(of, name) for of in ("output", "latent") for name in config.vae.variants]
    tests = members(main.tests, "set")
    pooled = ("none", "fgsm", "rand_fgsm", "cw")
    sets = channel("set", {attack: tests[attack] for attack in pooled if attack in tests})
    for of, name in pictures:
        inputs = main.base | sets | ({"vae": main.vaes[name][2]} if name != "none" else {})
        settings = {
            **main.common,
            **own_fields(config.evaluate),
            "of": of,
            "defense": name,
            "images": own.images,
            "k": own.neighbors,
        }
        stage = Stage(
            "clusters",
            f"{of}-{name}",
            1,
            settings,
            inputs,
            steps.measure_clusters,
            cost=own.images / 120,
        )
        extra_stages.stages["clusters"].append(stage)
        extra_stages.reported |= channel("clusters", {f"{of}-{name}": stage})


def _time(config: Config, main: MainStages, extra_stages: ExperimentStages) -> None:
    if not config.baselines.time:
        return
    trained = {name: main.vaes[name][2] for name in config.vae.variants}
    trained |= {stage.instance: stage for stage in extra_stages.stages["baseline"]}
    settings = {
        **main.common,
        "batches": [1, 256],
        "defenses": {name: stage.config["parameters"] for name, stage in trained.items()},
    }
    inputs = main.base | channel("defense", trained)
    stage = Stage("time", "", 1, settings, inputs, steps.time_defenses, cost=140)
    extra_stages.stages["time"].append(stage)
    extra_stages.reported["time"] = stage


def _tuning(config: Config, main: MainStages, extra_stages: ExperimentStages) -> None:
    own, vae = config.tune, config.vae
    if not own.trials:
        return
    settings = {
        **main.common,
        "classifier": main.classifier_name,
        **own_fields(own),
        **own_fields(
            vae, "batch_size", "learning_rate", "final_learning_rate", "latent_size", "clip_norm"
        ),
        "weights": own_fields(vae, "beta", "gamma", "proximity", "sigma"),
        "precision": resolve_precision(vae.precision),
        # What the trials depend on: a change of another experiment must not search again.
        "config": {
            name: to_dict(config)[name] for name in ("seed", "data", "classifier", "attack", "vae")
        },
    }
    inputs = main.base | main.learned
    if config.seed in main.warmups:
        inputs["warmup"] = main.warmups[config.seed]
    cost = costs.purifier_seconds(min(own.images, main.pairs), own.trials) * 1.1
    stage = Stage(
        "tune", "", 1, settings, inputs, steps.tune_weights, publish_to="tuned", cost=cost
    )
    extra_stages.stages["tune"].append(stage)
    extra_stages.reported["tune"] = stage
