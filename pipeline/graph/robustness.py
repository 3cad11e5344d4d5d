"""The stages that attack whole systems: one for each defence, budget, threat model and suite, which
is the grain of resuming.

robustness vanilla-linf-0.3-end_to_end-autoattack     one suite robustness vanilla-linf-0.3-worst
the worst case of all of them robustness vanilla-sanity                             curves and
gradients robustness vanilla-natural                            rotations, translations, corruptions
robustness vanilla-detection                          whether the purifier's doubts tell attacked
images from clean ones
"""

from typing import Any

from madvae_tf.config import Config
from madvae_tf.config.defenses import BASELINES, parts_of
from madvae_tf.config.variants import VARIANTS
from madvae_tf.utils.errors import UserError, lookup
from pipeline import steps
from pipeline.engine.channels import channel
from pipeline.engine.plan import Stage
from pipeline.graph import costs
from pipeline.graph.main_stages import MainStages

# Suites that ask for nothing but logits: the classifier alone has no more.
_LOGITS_ONLY = ("gradient", "autoattack", "score", "decision", "one_pixel")
_SANITY_STEPS, _SQUASH_STEPS = 6 * 40 + 186, 100
# The gradient through a latent projection takes some one and a half times as long as the
# projection: it goes through one start's search of all.
_PROJECTION_GRADIENT = 1.5
_NONE, _VARIANTS = "none", "variants"
# A grid of 775 places and some dozens of corruptions; three fifths of MNIST's pixels changed to
# black or white.
_NATURAL_QUERIES, _ONE_PIXEL_QUERIES = 830, 940
# Images fall early, so that a suite takes this share of the time that it would take if none did; a
# defence that holds takes nearly all of it.
_LEFT = {"robust": 0.9}
_LEFT_ELSEWHERE = 0.2
# The first attack of the sequence leaves nothing; the overpowered one searches on for long.
_LEFT_OF_A_SUITE = {"autoattack": 0.01, "overpowered": 0.5}
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
    trained: dict[str, Stage | None] = {_NONE: None}
    trained |= {name: main.vaes[name][2] for name in config.vae.variants}
    trained |= {stage.instance: stage for stage in baselines}
    stages = []
    for name in own.brief:
        lookup({_NONE: None, **VARIANTS, **BASELINES}, name, "defence in robustness.brief")
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
        for norm, epsilon in _balls(config):
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
                    cost=_cost(config, given),
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
            cost = costs.robustness_seconds(name != _NONE, own.images, 0, _NATURAL_QUERIES)
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
            looks = _SANITY_STEPS + (_SQUASH_STEPS if "squash" in given else 0)
            cost = costs.robustness_seconds(name != _NONE, own.sanity_images, looks, 0)
            stages.append(
                Stage(
                    "robustness", f"{name}-sanity", 2, given, system, steps.check_sanity, cost=cost
                )
            )
    return stages


def _balls(config: Config) -> list[tuple[str, float]]:
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
    # Evasion of three detectors, of the images that fell.
    fallen = 1 - _LEFT.get(name, _LEFT_ELSEWHERE)
    gradients = own.iterations * (1 + fallen * 2 * 3 * len(given["weights"]))
    cost = costs.robustness_seconds(True, own.detection_images, gradients, 0)
    inputs = {**system, **main.tests}
    return Stage(
        "robustness", f"{name}-detection", 2, given, inputs, steps.measure_detection, cost=cost
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
            carried = name != _NONE and suite in own.carried_suites
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


def _cost(config: Config, given: dict[str, Any]) -> float:
    own = config.robustness
    name, suite = given["defense"], given["suite"]
    defended = name != _NONE and given["threat_model"] != "oblivious"
    images = min(given.get("subset", given["images"]), given["images"])
    if suite in ("decision", "score", "one_pixel"):
        queries = given.get("queries", _ONE_PIXEL_QUERIES)
        return costs.robustness_seconds(defended, images, 0, queries)
    if suite == "autoattack":
        # FAB looks once more at each step.
        gradients, queries = own.iterations * (1 + 2.5 * own.targets), own.queries
    elif suite == "overpowered":
        # Five looks at each step.
        gradients, queries = own.overpowered_iterations * own.overpowered_restarts * 5, 0
    else:
        attacks = {"joint": 1 + len(own.joint_weights), "crossing": 1}.get(suite, 4)
        gradients = own.iterations * attacks * own.restarts * (own.draws if suite == "eot" else 1)
        queries = 0
    left = _LEFT.get(name, _LEFT_OF_A_SUITE.get(suite, _LEFT_ELSEWHERE))
    if given["threat_model"] != "end_to_end":
        left = 1.0  # What fools the attacked model need not fool the system: no attack ends early.
    once = costs.projection_seconds(given["parameters"], images)
    # The overpowered attack searches with the generator itself.
    if once and defended and suite != "overpowered":
        # A batch goes on until its last image has fallen; of a sequence, what follows meets only
        # what is left.
        return (
            once
            * (_PROJECTION_GRADIENT * gradients + queries)
            * (left if suite == "autoattack" else 1)
        )
    return costs.robustness_seconds(defended, images, gradients, queries) * left
