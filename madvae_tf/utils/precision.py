"""Which precision "auto" stands for on this machine."""

import functools
from pathlib import Path

# Without these the CPU emulates bfloat16, which is many times slower than float32.
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
# NVIDIA's first architecture that multiplies bfloat16 matrices, Ampere.
_BFLOAT16_CAPABILITY = (8, 0)


def resolve_precision(
    precision: str, cpuinfo: Path = Path("/proc/cpuinfo"), devices: Path = Path("/dev")
) -> str:
    """ "auto" -> "mixed_bfloat16" where what computes has bfloat16 instructions, else "float32";
    others as they are.

    What computes: every GPU that TensorFlow sees, and without one every CPU.
    """
    if precision != "auto":
        return precision
    # TensorFlow takes seconds to load: it is asked only where the system has such a device.
    if any(devices.glob("nvidia[0-9]*")) and (capabilities := _gpus()):
        native = all(capability >= _BFLOAT16_CAPABILITY for capability in capabilities)
        return "mixed_bfloat16" if native else "float32"
    try:
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")]
    except OSError:
        lines = []
    native = bool(lines) and all(_BFLOAT16_FLAGS & set(line.split()) for line in lines)
    return "mixed_bfloat16" if native else "float32"


@functools.lru_cache(maxsize=1)
def _gpus() -> tuple[tuple[int, int], ...]:
    """The compute capability of each GPU that TensorFlow sees; (0, 0) for one that has none."""
    import tensorflow as tf

    details = [
        tf.config.experimental.get_device_details(device)
        for device in tf.config.list_physical_devices("GPU")
    ]
    return tuple(each.get("compute_capability", (0, 0)) for each in details)
