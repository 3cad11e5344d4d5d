"""What people call a stage, in the log and as a run of TensorBoard's: "purifier pd, seed 1" for the
stage vae of the instance pd-seed1.
"""

import re
from collections.abc import Callable

_ALONE = "the classifier alone"
_NORMS = {"linf": "L-infinity", "l2": "L2", "l0": "L0"}
# As the page has them, whose module draws figures, too.
_ATTACKS = {
    "fgsm": "FGSM",
    "rand_fgsm": "Rand-FGSM",
    "cw": "CW-L2",
    "mi_fgsm": "MI-FGSM",
    "pgd": "PGD",
    "single_pixel": "Single Pixel",
}
_SPLITS = {"train": "training", "validation": "validation", "test": "test"}
_BALL = re.compile(r"(?P<name>.+)-(?P<norm>linf|l2|l0)-(?P<epsilon>.+)")
_THREAT = re.compile(r"(?P<place>.+)-(?P<threat>end_to_end|transfer|oblivious)-(?P<suite>\w+)")
_FACTS = {
    "worst": "worst case of {}",
    "sanity": "soundness of the attacks on {}",
    "natural": "natural changes against {}",
    "detection": "detection by {}",
}
# Kinds whose name is another one to people.
_WORDS = {
    "data": "data set",
    "reference": "reference setting",
    "tune": "search for weights",
    "time": "time per image",
}
# Those that write event files.
_BOARDS = {
    "classifier": "classifier",
    "vae": "purifier",
    "tune": "search",
    "baseline": "baseline",
    "reference": "reference",
    "substitute": "substitute",
    "evaluate": "evaluation",
}


def title_of(stage: str, instance: str) -> str:
    """Of any stage; the kind and the instance where there are no better words."""
    words = _TITLES.get(stage, _plain)(stage, instance)
    return re.sub(r"-seed(\d+)", r", seed \1", words).strip()


def board_of(stage: str, instance: str) -> str:
    """The name of its run in TensorBoard, such as purifier/pd: a path of one or two names; "" for a
    stage that has none.
    """
    kind = _BOARDS.get(stage, "")
    # There is one, whoever trained it: a name cannot be a folder of names, too.
    return f"{kind}/{instance}".rstrip("/") if kind and stage != "classifier" else kind


def _plain(stage: str, instance: str) -> str:
    return f"{_WORDS.get(stage, stage)} {instance}".replace("_", " ")


def _purifier(stage: str, instance: str) -> str:
    return f"purifier {instance.replace('warmup', 'warm-up')}"


def _attack(stage: str, instance: str) -> str:
    split, _, attack = instance.partition("-")
    name, _, strength = attack.partition("-")
    where = f"{_SPLITS.get(split, split)} images"
    if name == "none":
        return f"clean {where}"
    return f"attack {' '.join(filter(None, (_ATTACKS.get(name, name), strength)))}, {where}"


def _evaluation(stage: str, instance: str) -> str:
    return f"evaluation of {_system(instance)}".replace("baseline-", "baseline ").replace(
        "reference-", "reference setting "
    )


def _export(stage: str, instance: str) -> str:
    return f"export of {instance}"


def _black_box(stage: str, instance: str) -> str:
    protocol, letter, *whom = instance.split("-", 2)
    if protocol == "transfer":
        return f"black box, images made on substitute {letter}"
    return f"black box, substitute {letter} of {_system(*whom)}"


def _clusters(stage: str, instance: str) -> str:
    of, _, name = instance.partition("-")
    return f"clusters, {of} images" if name == "none" else f"clusters, {of} of {name}"


def _robustness(stage: str, instance: str) -> str:
    if found := _THREAT.fullmatch(instance):
        threat, suite = found["threat"].replace("_", " "), found["suite"].replace("_", " ")
        return f"attack on {_placed(found['place'])}, {threat}: {suite}"
    place, _, fact = instance.rpartition("-")
    return _FACTS.get(fact, f"{fact} of {{}}").format(_placed(place))


def _placed(place: str) -> str:
    found = _BALL.fullmatch(place)
    if found is None:
        return _system(place)
    return f"{_system(found['name'])}, {_NORMS[found['norm']]} {found['epsilon']}"


def _system(name: str) -> str:
    return _ALONE if name == "none" else name


_TITLES: dict[str, Callable[[str, str], str]] = {
    "attack": _attack,
    "vae": _purifier,
    "evaluate": _evaluation,
    "export": _export,
    "black_box": _black_box,
    "clusters": _clusters,
    "robustness": _robustness,
}
