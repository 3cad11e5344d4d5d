"""The peer of purifying: Table 5 in PyTorch, eager, in evaluation mode without gradients."""

import time
from typing import Any

import torch

from benchmarks.workers.torch_models import Table5

_models: dict[str, Any] = {}


def milliseconds(batch: int, calls: int, layout: str) -> float:
    """An image, over `calls` calls."""
    order = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    if layout not in _models:
        _models[layout] = Table5().eval().to(memory_format=order)
    images = torch.rand(batch, 1, 28, 28).contiguous(memory_format=order)
    with torch.inference_mode():
        start = time.perf_counter()
        for _ in range(calls):
            torch.sigmoid(_models[layout](images)[0]).numpy()
        return 1000 * (time.perf_counter() - start) / (batch * calls)


OPERATIONS = {"milliseconds": milliseconds}
