"""torchattacks' APGD, FAB and Square on the published system in PyTorch: none of this project's
attacks, models or frameworks.
"""

from typing import Any

import numpy as np
import torch
import torchattacks
from torch import nn

from benchmarks.material import weights_in
from benchmarks.workers.torch_models import Table5, table6_with

_state: dict[str, Any] = {}


class Squashed(nn.Module):
    """sigmoid(k (x - b)), written so that its gradient is no exact 0 at white pixels (sigmoid's own
    is, in float32, from k = 34 on).
    """

    def __init__(self, scale: float, center: float):
        super().__init__()
        self.scale, self.center = scale, center

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 1 / (1 + torch.exp((self.scale * (self.center - images)).clamp(max=80.0)))


class Defended(nn.Module):
    """classifier(purifier(squash(x))): (batch, 1, 28, 28) in [0, 1] -> logits (batch, 10)."""

    def __init__(self, squash: nn.Module, purifier: nn.Module, classifier: nn.Module):
        super().__init__()
        self.squash, self.purifier, self.classifier = squash, purifier, classifier

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.sigmoid(self.purifier(self.squash(images))[0]))


def purifier_with(values: Any) -> Table5:
    """Table 5 with the weights of ours, `p.<layer>.<name>` in the order of the layers.

    Raises:
        ValueError: arrays of other shapes.
    """
    model = Table5(values["p.mean.kernel"].shape[1]).eval()
    parts = [("encoder", model.encoder), ("decoder", model.decoder)]
    with torch.no_grad():
        for name, part in parts:
            number = 0
            for layer in part:
                if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                    # (h, w, in, out), and (h, w, out, in) of a transposed one: PyTorch has the same
                    # order behind.
                    _set(layer.weight, values[f"p.{name}.{number}.kernel"].transpose(3, 2, 0, 1))
                    if layer.bias is not None:
                        _set(layer.bias, values[f"p.{name}.{number}.bias"])
                elif isinstance(layer, nn.BatchNorm2d):
                    layer.eps = float(values[f"p.{name}.{number}.epsilon"])
                    for ours, theirs in (
                        *(("gamma", layer.weight), ("beta", layer.bias)),
                        *(("mean", layer.running_mean), ("variance", layer.running_var)),
                    ):
                        _set(theirs, values[f"p.{name}.{number}.{ours}"])
                    number += 1
        # Ours flattens (4, 4, 256) with the channels last, PyTorch with the channels first.
        mean = values["p.mean.kernel"]
        _set(model.mean.weight, mean.reshape(4, 4, 256, -1).transpose(3, 2, 0, 1).reshape(-1, 4096))
        _set(model.mean.bias, values["p.mean.bias"])
        dense: Any = model.decoder[0]
        kernel = values["p.dense.kernel"]
        _set(dense.weight, kernel.reshape(-1, 4, 4, 256).transpose(3, 1, 2, 0).reshape(4096, -1))
        _set(dense.bias, values["p.dense.bias"].reshape(4, 4, 256).transpose(2, 0, 1).reshape(-1))
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model


def _set(parameter: Any, values: np.ndarray) -> None:
    if tuple(parameter.shape) != values.shape:
        raise ValueError(f"Weights of shape {values.shape}, expected {tuple(parameter.shape)}.")
    parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)))


def load(material: str, threads: int) -> None:
    """The system with the weights of `material`, and its images and labels."""
    torch.set_num_threads(threads)
    values = np.load(material)
    model: nn.Module = table6_with(weights_in(values))
    if "squash" in values.files:
        scale, center = values["squash"]
        squash = Squashed(float(scale), float(center)) if scale else nn.Identity()
        model = Defended(squash, purifier_with(values), model)
    _state["model"] = model.eval()
    _state["x"] = torch.from_numpy(np.ascontiguousarray(values["images"].transpose(0, 3, 1, 2)))
    _state["y"] = torch.from_numpy(values["labels"])


def logits(count: int) -> list[list[float]]:
    """Of the first images, to see that both frameworks compute the same function."""
    with torch.no_grad():
        return _state["model"](_state["x"][:count]).tolist()


def _attack(name: str, epsilon: float, seed: int) -> Any:
    model, common = _state["model"], {"eps": epsilon, "norm": "Linf", "n_restarts": 1, "seed": seed}
    return {
        "apgd_ce": lambda: torchattacks.APGD(model, loss="ce", steps=100, **common),
        "apgd_t": lambda: torchattacks.APGDT(model, n_classes=10, steps=100, **common),
        "fab_t": lambda: torchattacks.FAB(
            model, n_classes=10, steps=100, multi_targeted=True, **common
        ),
        "square": lambda: torchattacks.Square(model, n_queries=5000, **common),
    }[name]()


def attack(name: str, epsilon: float, seed: int, rows: list[int], batch: int) -> list[bool]:
    """Whether each image of `rows` is still right after the attack, judged here: within `epsilon`
    and [0, 1], whatever it returns.

    Raises:
        ValueError: the attack left its budget.
    """
    crafter = _attack(name, epsilon, seed)
    right: list[bool] = []
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        x, y = _state["x"][part], _state["y"][part]
        attacked = crafter(x, y).detach()
        far = float((attacked - x).abs().max())
        if far > epsilon + 1e-5 or attacked.min() < 0 or attacked.max() > 1:
            raise ValueError(f"{name} left its budget: distance {far}, expected at most {epsilon}.")
        with torch.no_grad():
            right += (_state["model"](attacked).argmax(1) == y).tolist()
    return right


OPERATIONS = {"load": load, "logits": logits, "attack": attack}
