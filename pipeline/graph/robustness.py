"""The stages that attack whole systems: one for each defence, budget, threat model and suite, which
is the grain of resuming.

    robustness vanilla-linf-0.3-end_to_end-autoattack     one suite
    robustness vanilla-linf-0.3-worst                     the worst case of all of them
    robustness vanilla-sanity                             curves and gradients
    robustness vanilla-natural                            rotations, translations, corruptions
    robustness vanilla-detection                          whether scores of what the purifier does
                                                          tell attacked images from clean ones
"""

from typing import Any

from madvae_tf.config import Config
from madvae_tf.config.defenses import BASELINES, parts_of
from madvae_tf.config.variants import VARIANTS
from madvae_tf.utils.errors import UserError, lookup
from pipeline import steps
from pipeline.engine.channels import channel
from pipeline.engine.plan import Stage
from pipeline.graph.main_stages import MainStages
from pipeline.graph.robustness_costs import (
    NONE,
    detection_seconds,
    natural_seconds,
    sanity_seconds,
    suite_seconds,
)

# Suites that ask for nothing but logits: the classifier alone has no more.
_LOGITS_ONLY = ("gradient", "autoattack", "score", "decision", "one_pixel")
_VARIANTS = "variants"
# Of suites whose attacks are others than before.
_VERSIONS = {"eot": 2, "joint": 2, "overpowered": 2}


def attacked(config: Config) -> list[str]:
    """`robustness.defenses`, each once, with the configuration's variants in the place of
    "variants".
    """
    names = config.robustness.defenses
    return list(
        dict.fromkeys(
            each
            for name in names
            for each in (config.vae.variants if name == _VARIANTS else (name,))
        )
    )


def surrogates(config: Config) -> list[str]:
    """The defences that a transfer attack needs trained once more, with `surrogate_seed`: variants
    and baselines.

    One without training is its own surrogate, and so end to end.

    Raises:
        UserError: it is the seed of the defences themselves.
    """
    own = config.robustness
    if "transfer" not in own.threat_models:
        return []
    trained = {
        *config.vae.variants,
        *(name for name in config.baselines.names if BASELINES[name].trained),
    }
    found = [name for name in attacked(config) if name in trained]
    if found and own.surrogate_seed == config.seed:
        raise UserError(
            f"Invalid robustness.surrogate_seed: received {own.surrogate_seed}, the defences' own"
            " seed; expected another one."
        )
    return found


def build(
    config: Config, main: MainStages, baselines: list[Stage], surrogates: dict[str, Stage]
) -> list[Stage]:
    """The stages of section `robustness`; none without defences.

    Raises:
        UserError: a defence that the configuration does not have, or one in `brief` that there is
            not.
    """
    own = config.robustness
    trained: dict[str, Stage | None] = {NONE: None}
    trained |= {name: main.vaes[name][2] for name in config.vae.variants}
    trained |= {stage.instance: stage for stage in baselines}
    stages = []
    for name in own.brief:
        lookup({NONE: None, **VARIANTS, **BASELINES}, name, "defence in robustness.brief")
    for name in attacked(config):
        defense = lookup(trained, name, "defence of section robustness")
        system = main.base | ({} if defense is None else {"defense": defense})
        settings = {
            **main.common,
            "defense": name,
            "parameters": {} if defense is None else defense.config["parameters"],
            "images": own.images,
            "batch_size": own.batch_size,
        }
        for norm, epsilon in _budgets(config):
            ball = {"norm": norm, "epsilon": epsilon}
            images = (norm == "l2" and own.l2_images) or own.images
            place = f"{name}-{norm}-{epsilon:g}"
            parts: dict[str, Stage] = {}
            for threat_model, suite in _wanted(config, name, norm, name in surrogates):
                given = {**settings, **ball, "images": images, **_numbers(config, suite)}
                given |= {"threat_model": threat_model, "suite": suite}
                inputs = dict(system)
                if threat_model == "transfer":
                    inputs["surrogate"] = surrogates[name]
                    given["surrogate_parameters"] = surrogates[name].config["parameters"]
                    if name in own.brief:
                        given |= _subset(own.brief_transfer_images)
                part = Stage(
                    "robustness",
                    f"{place}-{threat_model}-{suite}",
                    _VERSIONS.get(suite, 1),
                    given,
                    inputs,
                    steps.attack_system,
                    cost=suite_seconds(config, given),
                )
                parts[f"{threat_model}:{suite}"] = part
            if parts:
                inputs = channel("part", parts)
                given = {
                    **{key: settings[key] for key in ("dataset", "seed", "defense")},
                    **ball,
                    "parts": {label: part.config for label, part in parts.items()},
                }
                stages += parts.values()
                stages.append(
                    Stage("robustness", f"{place}-worst", 5, given, inputs, steps.take_worst)
                )
        if "natural" in _suites(config, name):
            given = {**settings, "severities": own.severities}
            cost = natural_seconds(name, own.images)
            stages.append(
                Stage(
                    "robustness",
                    f"{name}-natural",
                    1,
                    given,
                    system,
                    steps.attack_naturally,
                    cost=cost,
                )
            )
        doubted = "purify" in parts_of(name) and name not in own.brief
        if own.detection_images and doubted and (own.linf or own.l2):
            stages.append(_detection(config, main, name, settings, system))
        if own.sanity_images:
            given = {**settings, "images": own.sanity_images, **_sanity(config, name)}
            cost = sanity_seconds(name, own.sanity_images, "squash" in given)
            stages.append(
                Stage(
                    "robustness", f"{name}-sanity", 2, given, system, steps.check_sanity, cost=cost
                )
            )
    return stages


def _budgets(config: Config) -> list[tuple[str, float]]:
    """Norms and budgets; one pixel is a ball of its own."""
    own = config.robustness
    found = [("linf", epsilon) for epsilon in own.linf] + [("l2", epsilon) for epsilon in own.l2]
    return [*found, ("l0", 1.0)] if "one_pixel" in own.suites else found


def _sanity(config: Config, name: str) -> dict[str, Any]:
    """The budget, and whether there is a squash to go around. Both came later: named only where
    they differ from what was, so that keys stay.
    """
    own = config.robustness
    norm = own.sanity_norm or ("l2" if own.l2 and not own.linf else "linf")
    epsilon = (*getattr(own, norm), 0.3)[0]
    found: dict[str, Any] = (
        {} if (norm, epsilon) == ("linf", 0.3) else {"norm": norm, "epsilon": epsilon}
    )
    return found | ({"squash": True} if _squashed(config, name) else {})


def _squashed(config: Config, name: str) -> bool:
    return name == "robust" and config.robust.scale > 0


def _detection(
    config: Config, main: MainStages, name: str, settings: dict[str, Any], system: dict[str, Stage]
) -> Stage:
    own = config.robustness
    given = {
        **settings,
        "images": own.detection_images,
        "norm": "linf" if own.linf else "l2",
        "epsilon": [*own.linf, *own.l2][0],
        "iterations": own.iterations,
        "weights": list(own.evasion_weights),
    }
    inputs = {**system, **main.tests}
    return Stage(
        "robustness",
        f"{name}-detection",
        2,
        given,
        inputs,
        steps.measure_detection,
        cost=detection_seconds(config, name),
    )


def _suites(config: Config, name: str) -> list[str]:
    own = config.robustness
    return [suite for suite in own.suites if name not in own.brief or suite in own.brief_suites]


def _wanted(config: Config, name: str, norm: str, surrogate: bool) -> list[tuple[str, str]]:
    """The threat models and suites that a defence can be attacked under."""
    found = []
    own = config.robustness
    suites, threat_models = _suites(config, name), own.threat_models
    if norm == "l2" and own.l2_suites:
        suites = [suite for suite in suites if suite in own.l2_suites]
    if norm == "l2" and own.l2_threat_models:
        threat_models = tuple(model for model in threat_models if model in own.l2_threat_models)
    squashed, parts = _squashed(config, name), parts_of(name)
    for threat_model in threat_models:
        for suite in suites:
            carried = name != NONE and suite in own.carried_suites
            known = {
                "end_to_end": True,
                "transfer": carried and surrogate,
                "oblivious": carried and suite in _LOGITS_ONLY,
            }[threat_model]
            has = {
                "bpda": "purify" in parts,
                # In L-infinity a step follows signs, which the squash leaves as they are: the
                # sanity stage measures that.
                "bpda_squash": squashed and norm == "l2",
                "crossing": squashed and norm == "l2",
                "eot": "sample" in parts,
                "latent": "sample" in parts,
                "overpowered": "decode" in parts and norm == "l2",
                "joint": "purify" in parts,
                "natural": False,
            }.get(suite, True)
            if known and has and (suite == "one_pixel") == (norm == "l0"):
                found.append((threat_model, suite))
    return found


def _numbers(config: Config, suite: str) -> dict[str, Any]:
    own = config.robustness
    if suite == "autoattack":
        return {"iterations": own.iterations, "targets": own.targets, "queries": own.queries}
    if suite == "overpowered":
        numbers = {"iterations": own.overpowered_iterations, "restarts": own.overpowered_restarts}
        return numbers | _subset(own.overpowered_images)
    if suite in ("decision", "score"):
        images, queries = (getattr(own, f"{suite}_{what}") for what in ("images", "queries"))
        return {"subset": images, "queries": queries}
    if suite == "one_pixel":
        return {}
    numbers = {"iterations": own.iterations, "restarts": own.restarts}
    if suite == "joint":
        return {**numbers, "weights": own.joint_weights}
    return numbers | {"draws": own.draws} | _subset(own.eot_images) if suite == "eot" else numbers


def _subset(images: int) -> dict[str, int]:
    # Came later: named only where it is used, so that keys stay what they were.
    return {"subset": images} if images else {}
