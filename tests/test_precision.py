"""What "auto" stands for, by the CPU's flags."""

import pytest

from madvae_tf.precision import resolve_precision


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
    assert resolve_precision("auto", path) == expected


def test_a_named_precision_stays(tmp_path):
    assert resolve_precision("float32", tmp_path / "absent") == "float32"
    assert resolve_precision("auto", tmp_path / "absent") == "float32"
