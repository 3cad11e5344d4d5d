"""What "auto" stands for, by the GPUs and by the CPU's flags."""

import pytest
import tensorflow as tf

from madvae_tf.utils import precision
from madvae_tf.utils.precision import resolve_precision


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16\nflags\t\t: fpu avx512_bf16\n", "mixed_bfloat16"),
        ("flags : fpu amx_bf16\n", "mixed_bfloat16"),
        ("flags : fpu avx2\n", "float32"),
        ("flags : avx512_bf16\nflags : avx2\n", "float32"),
        ("", "float32"),
    ],
)
def test_auto_follows_the_cpu(tmp_path, text, expected):
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    assert resolve_precision("auto", path, tmp_path) == expected


CPUS = {"without": "flags : avx2\n", "with": "flags : avx512_bf16\n"}


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ([(9, 0)], "mixed_bfloat16"),
        ([(8, 0), (8, 6)], "mixed_bfloat16"),
        ([(9, 0), (7, 5)], "float32"),
    ],
)
def test_auto_follows_the_gpus_whatever_the_cpu_has(
    tmp_path, monkeypatch, cpu, capabilities, expected
):
    (tmp_path / "cpuinfo").write_text(CPUS[cpu])
    (tmp_path / "nvidia0").touch()
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind: capabilities * (kind == "GPU")
    )
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda device: {"compute_capability": device}
    )
    precision._gpus.cache_clear()
    try:
        assert resolve_precision("auto", tmp_path / "cpuinfo", tmp_path) == expected
        # One that TensorFlow does not see (another build, CUDA_VISIBLE_DEVICES) computes nothing.
        precision._gpus.cache_clear()
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
        found = resolve_precision("auto", tmp_path / "cpuinfo", tmp_path)
        assert found == {"without": "float32", "with": "mixed_bfloat16"}[cpu]
    finally:
        precision._gpus.cache_clear()


def test_a_named_precision_stays(tmp_path):
    assert resolve_precision("float32", tmp_path / "absent") == "float32"
    assert resolve_precision("auto", tmp_path / "absent", tmp_path / "absent") == "float32"
