"""Which precision "auto" stands for on this machine."""

from pathlib import Path

# Without these the CPU emulates bfloat16, which is many times slower than float32.
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


def resolve_precision(precision: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """ "auto" -> "mixed_bfloat16" where every CPU has bfloat16 instructions, else "float32"; others as they are."""
    if precision != "auto":
        return precision
    try:
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")]
    except OSError:
        lines = []
    native = bool(lines) and all(_BFLOAT16_FLAGS & set(line.split()) for line in lines)
    return "mixed_bfloat16" if native else "float32"
