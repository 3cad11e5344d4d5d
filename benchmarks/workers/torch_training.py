"""The peer of the training step: Table 5 and the losses of section 2.2 in PyTorch, eager."""

import time
from typing import Any

import torch
from torch.nn import functional

from benchmarks.workers.torch_models import Table5, table6

_PIXELS, _LATENT, _CLASSES = 784, 128, 10
_FLOOR = 1e-12
_steps: dict[tuple, Any] = {}


def _distance(difference: torch.Tensor) -> torch.Tensor:
    return torch.sqrt(difference.square().sum(-1) + _FLOOR)


def _loss(
    variant: str,
    out: tuple[torch.Tensor, ...],
    clean: torch.Tensor,
    label: torch.Tensor,
    extra: Any,
) -> torch.Tensor:
    """(L_r + 0.1 L_kl) / pixels [+ 0.1 L_c] [+ 0.01 L_p - 1e-5 L_d], batch mean."""
    logits, mean, log_variance, z = out
    reconstruction = functional.binary_cross_entropy_with_logits(
        logits, clean, reduction="none"
    ).sum((1, 2, 3))
    divergence = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1)
    loss = (reconstruction + 0.1 * divergence) / _PIXELS
    classifier, centers = extra
    if variant in ("cls", "combined"):
        loss = loss + 0.1 * functional.cross_entropy(
            classifier(torch.sigmoid(logits)).float(), label, reduction="none"
        )
    if variant in ("pd", "combined"):
        own = centers[label]
        others = 1 - functional.one_hot(label, _CLASSES).float()
        far = _distance(z[:, None] - centers[None]) + _distance(own[:, None] - centers[None])
        loss = loss + 0.01 * _distance(z - own) - 1e-5 * (others * far).sum(1) / (_CLASSES - 1)
    return loss.mean()


def _make_step(variant: str, batch: int, precision: str, layout: str) -> Any:
    torch.manual_seed(0)
    order = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    purifier = Table5(_LATENT).to(memory_format=order)
    classifier = table6().eval().to(memory_format=order).requires_grad_(False)
    centers = torch.nn.Parameter(torch.randn(_CLASSES, _LATENT))
    parameters = [*purifier.parameters(), *([centers] if variant in ("pd", "combined") else [])]
    # The fastest of its own Adams.
    optimizer = torch.optim.Adam(parameters, 1e-3, fused=True)
    attacked, clean = (
        torch.rand(batch, 1, 28, 28).contiguous(memory_format=order) for _ in range(2)
    )
    label = torch.randint(0, _CLASSES, (batch,))

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            out = purifier(attacked, torch.randn(batch, _LATENT))
            loss = _loss(variant, out, clean, label, (classifier, centers))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        return float(loss)

    return step


def images_per_second(variant: str, batch: int, precision: str, layout: str, steps: int) -> float:
    """Of `steps` steps; the first call of a setting warms up with two."""
    key = (variant, batch, precision, layout)
    if key not in _steps:
        _steps[key] = _make_step(*key)
        for _ in range(2):
            _steps[key]()
    start = time.perf_counter()
    for _ in range(steps):
        _steps[key]()
    return batch * steps / (time.perf_counter() - start)


def forget() -> None:
    """Frees what was made for the settings so far."""
    _steps.clear()


def first_loss(variant: str) -> float:
    """For a test: the loss of one step at batch 4, which must be finite."""
    return _make_step(variant, 4, "float32", "contiguous")()


OPERATIONS = {"images_per_second": images_per_second, "forget": forget, "first_loss": first_loss}
