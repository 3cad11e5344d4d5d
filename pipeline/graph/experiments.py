"""The stages of the paper's further experiments: baselines, reference settings, black-box attacks, clusters, tuning.

Each is on where its section of the configuration names something; none of them is an input of the main job.
"""

import dataclasses
from typing import Any

from madvae_tf.config import SUBSTITUTES, Config, to_dict
from madvae_tf.config.defenses import BASELINES
from madvae_tf.utils.errors import lookup
from madvae_tf.utils.precision import resolve_precision
from pipeline import steps
from pipeline.engine.plan import Stage
from pipeline.graph import costs
from pipeline.graph.baselines import evaluation_seconds, train_baselines
from pipeline.graph.core import Core, own_fields, train_stage
from pipeline.graph.reference_settings import REFERENCE_SETTINGS, reference_parameters

# The fully connected substitutes of Table 7.
_FULLY_CONNECTED = ("D", "E")


@dataclasses.dataclass
class Further:
    """Stages by kind, and what of them the report reads, by the name it reads it under."""

    stages: dict[str, list[Stage]]
    reported: dict[str, Stage]


def build(config: Config, core: Core) -> Further:
    """The stages that `config` asks for beside the main job.

    Raises:
        UserError: the name of a baseline or of a reference setting is unknown, or a baseline lacks another one.
    """
    kinds = ("tune", "baseline", "reference", "substitute", "black_box", "evaluate", "clusters", "time")
    further = Further({kind: [] for kind in kinds}, {})
    _tuning(config, core, further)
    _baselines(config, core, further)
    _reference(config, core, further)
    _black_box(config, core, further)
    _clusters(config, core, further)
    _time(config, core, further)
    return further


def _baselines(config: Config, core: Core, further: Further) -> None:
    for name, stage in train_baselines(core, config.baselines.names, config.seed).items():
        evaluation = core.evaluation(
            f"baseline-{name}",
            name,
            stage,
            table="baselines",
            images=BASELINES[name].images(config),
            cost=evaluation_seconds(core, name),
        )
        further.stages["baseline"].append(stage)
        further.stages["evaluate"].append(evaluation)
        further.reported[f"evaluate:baseline-{name}"] = evaluation


def _reference(config: Config, core: Core, further: Further) -> None:
    for setting in config.reference.settings:
        difference = lookup(REFERENCE_SETTINGS, setting, "reference setting")
        stage = train_stage(
            core,
            "reference",
            setting,
            "vanilla",
            reference_parameters(config, setting),
            core.both | core.learned,
            costs.purifier_seconds(core.pairs, config.reference.epochs),
        )
        evaluation = core.evaluation(
            f"reference-{setting}",
            "vanilla",
            stage,
            table="reference",
            note={"setting": setting, "difference": difference, "epochs": config.reference.epochs},
        )
        further.stages["reference"].append(stage)
        further.stages["evaluate"].append(evaluation)
        further.reported[f"evaluate:reference-{setting}"] = evaluation


def _black_box(config: Config, core: Core, further: Further) -> None:
    own, attack = config.black_box, config.attack
    defenses = {name: core.vaes[name][2] for name in config.vae.variants}
    measured = {
        **core.common,
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
            core.common | settings,
            {"data": core.data},
            steps.train_classifier,
            cost=costs.substitute_seconds(
                letter, config.classifier.train_images or core.train_images, epochs
            ),
        )
        further.stages["substitute"].append(substitute)
        transfer = Stage(
            "black_box",
            f"transfer-{letter}",
            2,
            {**measured, "substitute": letter, "clean_images": attack.test_clean_images},
            {
                **core.both,
                "substitute": substitute,
                **{f"defense:{name}": stage for name, stage in defenses.items()},
            },
            steps.attack_substitute,
            cost=10,
        )
        extractions = [
            _extraction(core, letter, name, defenses.get(name), measured) for name in ("none", *defenses)
        ]
        for stage in (transfer, *(extractions if own.extract else ())):
            further.stages["black_box"].append(stage)
            further.reported[f"black_box:{stage.instance}"] = stage


def _extraction(core: Core, letter: str, name: str, defense: Stage | None, measured: dict[str, Any]) -> Stage:
    own = core.config.black_box
    settings = {
        **measured,
        **own_fields(own, "seed_images", "rounds", "augmentation"),
        "substitute": letter,
        "defense": name,
        "epochs": own.extraction_epochs,
        "learning_rate": own.extraction_learning_rate,
        "precision": resolve_precision(core.config.classifier.precision),
    }
    inputs = core.both | ({} if defense is None else {"defense": defense})
    # A round trains on all images so far: 1 + 2 + ... + 2**rounds times the first.
    images = own.seed_images * (2 ** (own.rounds + 1) - 1)
    cost = costs.substitute_seconds(letter, images, own.extraction_epochs)
    return Stage(
        "black_box", f"extract-{letter}-{name}", 2, settings, inputs, steps.extract_and_attack, cost=cost + 5
    )


def _clusters(config: Config, core: Core, further: Further) -> None:
    own = config.clusters
    if not own.images:
        return
    pictures: list[tuple[str, str]] = [("test", "none"), ("adversarial", "none")]
    pictures += [(of, name) for of in ("output", "latent") for name in config.vae.variants]
    sets = {
        key: core.tests[key]
        for key in ("set:none", "set:fgsm", "set:rand_fgsm", "set:cw")
        if key in core.tests
    }
    for of, name in pictures:
        inputs = core.both | sets | ({"vae": core.vaes[name][2]} if name != "none" else {})
        settings = {
            **core.common,
            **own_fields(config.evaluate),
            "of": of,
            "defense": name,
            "images": own.images,
            "k": own.neighbors,
        }
        stage = Stage(
            "clusters", f"{of}-{name}", 1, settings, inputs, steps.measure_clusters, cost=own.images / 120
        )
        further.stages["clusters"].append(stage)
        further.reported[f"clusters:{of}-{name}"] = stage


def _time(config: Config, core: Core, further: Further) -> None:
    if not config.baselines.time:
        return
    trained = {name: core.vaes[name][2] for name in config.vae.variants}
    trained |= {stage.instance: stage for stage in further.stages["baseline"]}
    settings = {
        **core.common,
        "batches": [1, 256],
        "defenses": {name: stage.config["parameters"] for name, stage in trained.items()},
    }
    inputs = core.both | {f"defense:{name}": stage for name, stage in trained.items()}
    stage = Stage("time", "", 1, settings, inputs, steps.time_defenses, cost=140)
    further.stages["time"].append(stage)
    further.reported["time"] = stage


def _tuning(config: Config, core: Core, further: Further) -> None:
    own, vae = config.tune, config.vae
    if not own.trials:
        return
    settings = {
        **core.common,
        "classifier": core.classifier_name,
        **own_fields(own),
        **own_fields(vae, "batch_size", "learning_rate", "final_learning_rate", "latent_size", "clip_norm"),
        "weights": own_fields(vae, "beta", "gamma", "proximity", "sigma"),
        "precision": resolve_precision(vae.precision),
        # What the trials depend on: a change of another experiment must not search again.
        "config": {name: to_dict(config)[name] for name in ("seed", "data", "classifier", "attack", "vae")},
    }
    inputs = core.both | core.learned
    if config.seed in core.warmups:
        inputs["warmup"] = core.warmups[config.seed]
    cost = costs.purifier_seconds(min(own.images, core.pairs), own.trials) * 1.1
    stage = Stage("tune", "", 1, settings, inputs, steps.tune_weights, publish_to="tuned", cost=cost)
    further.stages["tune"].append(stage)
    further.reported["tune"] = stage
