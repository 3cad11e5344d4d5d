"""What a preset's metadata and model card say."""

from collections.abc import Mapping
from typing import Any

from madvae_tf.evaluation import Evaluation
from madvae_tf.evaluation.tables import budgets, share
from madvae_tf.report.names import attack_title


def facts_of(
    info: Mapping[str, Any], variant: str, dataset: str, found: Evaluation | None
) -> dict[str, Any]:
    """Of `metadata.json`: variant, data set, threat, figures, and how the defence was made.

    Args:
        info: `FittedDefense.info`.
        found: what its figures are to be; None: those that training ended with.
    """
    held = info.get("figures") or {}
    threat, figures = "", {}
    if found is not None:
        threat = budgets(found)
        suites = dict.fromkeys(outcome.suite.name for outcome in found.outcomes)
        attack = " and ".join(map(attack_title, suites))
        figures = {
            "clean": share(found.clean),
            "robust": share(found.worst),
            "attack": f"{attack}, {found.threat_model}, seed {found.seed}",
        }
    elif "defense" in held:
        threat = " and ".join(held["threats"])
        own = held["defense"]
        figures = {
            "clean": own["clean"],
            "robust": own["aware"],
            "attack": f"{held['attack']}, end_to_end, seed {held['seed']}, held-out images",
        }
    return {
        "variant": variant,
        "dataset": dataset,
        "threat": threat,
        "figures": figures,
        "info": dict(info),
    }


def card_of(
    name: str, facts: Mapping[str, Any], shape: tuple[int, int, int], classifier: bool, text: str
) -> str:
    """The model card, in Markdown.

    Args:
        shape: height, width and channels of the images.
        classifier: whether the preset holds one.
        text: further paragraphs: data, training, limits.
    """
    figures = facts["figures"]
    behind = "with the classifier behind it" if classifier else "for a classifier of your own"
    taken = " x ".join(map(str, shape))
    lines = [
        f"# {name}",
        "",
        f"A purifier, the variant `{facts['variant']}` of MAD-VAE, {behind}. It takes images of"
        f" {taken} in [0, 1]{', ' + facts['dataset'] if facts['dataset'] else ''}.",
        "",
        "    defense = madvae_tf.from_preset(...)  # this folder, or its name",
        "    defense.predict(images)",
        "",
    ]
    if figures:
        lines += [
            "| | accuracy | 95% interval | n |",
            "|---|---|---|---|",
            *(
                f"| {title} | {cell['accuracy']:.3f} | {cell['ci_low']:.3f} to"
                f" {cell['ci_high']:.3f} | {cell['n']} |"
                for title, cell in (
                    ("clean", figures["clean"]),
                    (f"attacked, {facts['threat']}", figures["robust"]),
                )
            ),
            "",
            f"Attack: {figures['attack']}.",
        ]
    else:
        lines.append("What it withstands was not measured: take it that an attacker wins.")
    lines += [
        "",
        "Of other budgets, norms and data these figures say nothing. A purifier changes clean"
        " images too.",
    ]
    return "\n".join([*lines, *(["", text.strip()] if text.strip() else [])]) + "\n"
