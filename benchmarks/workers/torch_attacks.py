"""The attacks of ART, foolbox, torchattacks and cleverhans (PyTorch) with the same parameters on
the same classifier.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.material import weights_in
from benchmarks.workers.torch_models import table6_with

_state: dict[str, Any] = {}
Crafter = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def load(material: str, images: int) -> None:
    """The classifier with the shared weights, and the first `images` images."""
    values = np.load(material)
    _state["model"] = table6_with(weights_in(values))
    pixels = values["images"][:images].transpose(0, 3, 1, 2).astype(np.float32) / 255
    _state["x"], _state["y"] = torch.from_numpy(pixels), torch.from_numpy(values["labels"][:images])


def logits(count: int) -> list[list[float]]:
    """Of the first images, to see that every library attacks the same function."""
    with torch.no_grad():
        return _state["model"](_state["x"][:count]).tolist()


def _noisy(x: torch.Tensor, alpha: float) -> torch.Tensor:
    return (x + alpha * torch.randn_like(x).sign()).clamp(0, 1)


def _torchattacks(name: str, p: dict[str, Any], batch: int) -> Crafter:
    import torchattacks

    made = {
        "fgsm": lambda: torchattacks.FGSM(_state["model"], eps=p["epsilon"]),
        "rand_fgsm": lambda: torchattacks.RFGSM(
            _state["model"], eps=p["epsilon"], alpha=p["alpha"], steps=1
        ),
        "pgd": lambda: torchattacks.PGD(
            _state["model"], eps=p["epsilon"], alpha=p["step_size"], steps=p["iterations"]
        ),
        "mi_fgsm": lambda: torchattacks.MIFGSM(
            _state["model"], p["epsilon"], p["step_size"], p["iterations"], p["decay"]
        ),
        "cw": lambda: torchattacks.CW(_state["model"], **p),
    }
    return made[name]()


def _foolbox(name: str, p: dict[str, Any], batch: int) -> Crafter:
    import foolbox

    model = foolbox.PyTorchModel(_state["model"], bounds=(0, 1), device="cpu")
    if name == "cw":
        attack: Any = foolbox.attacks.L2CarliniWagnerAttack(**p)
        return lambda x, y: attack(model, x, y, epsilons=None)[1]
    steps = {"abs_stepsize": p.get("step_size"), "steps": p.get("iterations")}
    attack, epsilon = {
        "fgsm": lambda: (foolbox.attacks.LinfFastGradientAttack(), p["epsilon"]),
        "rand_fgsm": lambda: (foolbox.attacks.LinfFastGradientAttack(), p["epsilon"] - p["alpha"]),
        "pgd": lambda: (foolbox.attacks.LinfPGD(**steps), p["epsilon"]),
        "mi_fgsm": lambda: (
            foolbox.attacks.mi_fgsm.LinfMomentumIterativeFastGradientMethod(
                momentum=p["decay"], **steps
            ),
            p["epsilon"],
        ),
    }[name]()
    if name == "rand_fgsm":
        return lambda x, y: attack(model, _noisy(x, p["alpha"]), y, epsilons=epsilon)[1]
    return lambda x, y: attack(model, x, y, epsilons=epsilon)[1]


def _art(name: str, p: dict[str, Any], batch: int) -> Crafter:
    from art.attacks import evasion
    from art.estimators.classification import PyTorchClassifier

    classifier = PyTorchClassifier(
        _state["model"],
        torch.nn.CrossEntropyLoss(),
        (1, 28, 28),
        10,
        clip_values=(0, 1),
        device_type="cpu",
    )
    iterated = {
        "eps": p.get("epsilon"),
        "eps_step": p.get("step_size"),
        "max_iter": p.get("iterations"),
    }
    attack: Any = {
        "fgsm": lambda: evasion.FastGradientMethod(classifier, eps=p["epsilon"], batch_size=batch),
        "rand_fgsm": lambda: evasion.FastGradientMethod(
            classifier, eps=p["epsilon"] - p["alpha"], batch_size=batch
        ),
        "pgd": lambda: evasion.ProjectedGradientDescent(
            classifier, num_random_init=1, batch_size=batch, verbose=False, **iterated
        ),
        "mi_fgsm": lambda: evasion.MomentumIterativeMethod(
            classifier, decay=p["decay"], batch_size=batch, verbose=False, **iterated
        ),
        "cw": lambda: evasion.CarliniL2Method(classifier, verbose=False, **p),
    }[name]()

    def craft(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        start = _noisy(x, p["alpha"]) if name == "rand_fgsm" else x
        return torch.from_numpy(attack.generate(start.numpy(), y.numpy()))

    return craft


def _cleverhans(name: str, p: dict[str, Any], batch: int) -> Crafter:
    from cleverhans.torch.attacks import carlini_wagner_l2

    if name != "cw":
        raise ValueError(f"cleverhans' PyTorch attacks are compared in cw only, not in {name}.")
    return lambda x, y: carlini_wagner_l2.carlini_wagner_l2(_state["model"], x, 10, y=y, **p)


LIBRARIES: dict[str, Callable[[str, dict[str, Any], int], Crafter]] = {
    "torchattacks": _torchattacks,
    "foolbox": _foolbox,
    "ART": _art,
    "cleverhans (PyTorch)": _cleverhans,
}


def _run(
    library: str, attack: str, parameters: dict[str, Any], batch: int
) -> tuple[torch.Tensor, float]:
    crafter = LIBRARIES[library](attack, parameters, batch)
    x, y = _state["x"], _state["y"]
    start = time.perf_counter()
    parts = [
        crafter(x[row : row + batch], y[row : row + batch]).detach()
        for row in range(0, len(x), batch)
    ]
    seconds = time.perf_counter() - start
    return torch.cat(parts), seconds


def images_per_second(library: str, attack: str, parameters: dict[str, Any], batch: int) -> float:
    """Of all images, batch by batch."""
    return len(_state["x"]) / _run(library, attack, parameters, batch)[1]


def craft(library: str, parameters: dict[str, Any], batch: int, path: str) -> float:
    """Seconds of one CW run; the attacked images go to `path` (.npy, float32 (n, 28, 28, 1))."""
    attacked, seconds = _run(library, "cw", parameters, batch)
    np.save(path, attacked.numpy().transpose(0, 2, 3, 1).astype(np.float32))
    return seconds


def farthest(library: str, attack: str, parameters: dict[str, Any], batch: int) -> float:
    """The largest L-infinity distance that the attack goes, to see that budgets are equal."""
    return float((_run(library, attack, parameters, batch)[0] - _state["x"]).abs().max())


OPERATIONS = {
    "load": load,
    "logits": logits,
    "images_per_second": images_per_second,
    "craft": craft,
    "farthest": farthest,
}
