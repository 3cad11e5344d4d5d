"""Attacks on the Table 6 classifier with equal parameters, images/s, all in float32 and on the same
weights.

cleverhans is called as its tutorial calls it (TensorFlow); ART, foolbox and torchattacks attack the
same classifier in PyTorch.
"""

from typing import Any

import numpy as np

from benchmarks.rows import Row, interleave, row_of
from benchmarks.session import Session
from benchmarks.worker import Worker

ITERATED = {"epsilon": 0.3, "step_size": 0.01, "iterations": 40}
ATTACKS = {
    "fgsm": {"epsilon": 0.3},
    "rand_fgsm": {"epsilon": 0.3, "alpha": 0.05},
    "pgd": ITERATED,
    "mi_fgsm": {**ITERATED, "decay": 1.0},
}
TORCH_PEERS = ("ART", "foolbox", "torchattacks")
CLEVERHANS_TARGET, BEST_TARGET = 2.0, 1.0
# The largest difference of logits between the libraries that rounding explains.
_TOLERANCE = 1e-3


def check_logits(ours: list[list[float]], peer: list[list[float]]) -> None:
    """Raises `ValueError` unless both classifiers are the same function."""
    difference = float(np.abs(np.subtract(ours, peer)).max())
    if not difference < _TOLERANCE * (1 + float(np.abs(ours).max())):
        raise ValueError(
            f"The carried weights give other logits: they differ by up to {difference}."
        )


def measure(session: Session) -> list[Row]:
    """A row for every attack and peer; the best peer's carries the target."""
    material, rates = str(session.material()), session.rates()
    batch = session.size(250, 2)
    rows: list[Row] = []
    with (
        session.ours("ours_attacks") as ours,
        session.ours("cleverhans_attacks") as cleverhans,
        session.peer("torch_attacks") as torch,
    ):
        loaded = 0
        for name, parameters in ATTACKS.items():
            steps = int(parameters.get("iterations", 1))
            # Forty steps on one batch take as long as one step on forty: more images would only
            # take longer.
            count = session.size(1000, 4) if steps == 1 else batch
            if count != loaded:
                for worker in (ours, cleverhans, torch):
                    worker.call("load", material=material, images=count)
                check_logits(
                    *(worker.call("logits", count=min(count, 64)) for worker in (ours, torch))
                )
                loaded = count
            flops = session.once("attacks/flops", lambda: ours.call("flops_per_gradient"))
            settings = {"attack": name, "parameters": parameters, "batch": batch}

            def rounds(settings=settings) -> dict[str, list[float]]:
                contestants = {
                    "ours": lambda: ours.call("images_per_second", **settings),
                    "ours bfloat16": lambda: ours.call(
                        "images_per_second", precision="mixed_bfloat16", **settings
                    ),
                    "cleverhans": lambda: cleverhans.call("images_per_second", **settings),
                    **{
                        peer: lambda peer=peer: torch.call(
                            "images_per_second", library=peer, **settings
                        )
                        for peer in TORCH_PEERS
                    },
                }
                for each in contestants.values():  # compiles, and is not counted
                    each()
                single = settings["parameters"].get("iterations") is None
                return interleave(contestants, session.size(9 if single else 5, 1))

            measured = session.once(f"attacks/{name}", rounds)
            limit = rates["float32"] / (flops * steps)
            peers = {
                peer: row_of(
                    *("attacks", name, measured["ours"], peer, measured[peer], "images/s"),
                    of_limit=max(measured["ours"]) / limit,
                )
                for peer in ("cleverhans", *TORCH_PEERS)
            }
            best = min(peers, key=lambda peer, seen=peers: seen[peer]["ratio"])
            peers[best]["target"] = BEST_TARGET
            peers["cleverhans"]["target"] = CLEVERHANS_TARGET
            rows.extend(peers.values())
            rows.extend(
                _in_bfloat16(session, ours, settings, measured, rates["bfloat16"] / (flops * steps))
            )
    return rows


def _in_bfloat16(
    session: Session,
    ours: Worker,
    settings: dict[str, Any],
    measured: dict[str, list[float]],
    limit: float,
) -> list[Row]:
    """Gradients of the classifier's bfloat16 twin, as training sets are made with: how much faster,
    and whether as strong.

    The images are judged by the float32 classifier.
    """
    name = settings["attack"]
    case, seen = f"{name}, ours in bfloat16", measured["ours bfloat16"]
    fast = row_of(
        *("attacks", case, seen, "cleverhans (float32)", measured["cleverhans"], "images/s"),
        target=CLEVERHANS_TARGET,
        of_limit=max(seen) / limit,
    )

    def judged() -> dict[str, float]:
        return {
            p: ours.call("success", precision=p, **settings) for p in ("float32", "mixed_bfloat16")
        }

    rates = session.once(f"attacks/{name}-success", judged)
    if min(rates.values()) <= 0:  # so few images that none fell: there is nothing to compare
        return [fast]
    strong = row_of(
        *(
            "attacks",
            f"{case}, success",
            [rates["mixed_bfloat16"]],
            "ours (float32)",
            [rates["float32"]],
        ),
        "success rate",
    )
    return [fast, strong]
