"""PyTorch's GEMM rates, to hold the machine's limit against."""

import time

import torch


def rates(size: int, repeats: int = 8) -> dict[str, float]:
    """FLOP/s by precision: the best of `repeats`."""
    found = {}
    for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        left, right = (torch.randn(size, size).to(dtype) for _ in range(2))
        seconds = []
        for _ in range(repeats + 1):
            start = time.perf_counter()
            torch.mm(left, right)
            seconds.append(time.perf_counter() - start)
        found[precision] = 2 * size**3 / min(seconds[1:])
    return found


OPERATIONS = {"rates": rates}
