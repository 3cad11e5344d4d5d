"""Commands: help with status 0, a mistake with status 2, and no line of a library's; the library
leaves its host alone.
"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# As TensorFlow 2.21 writes them while it loads, and when it first looks for devices.
NOISE = """WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1796053154.367163    8575 port.cc:153] oneDNN custom operations are on. You may see slightly different numerical results.
I0000 00:00:1796053154.372387    8575 cudart_stub.cc:31] Could not find cuda drivers on your machine, GPU will not be used.
W0000 00:00:1796053154.372387    8575 gpu_device.cc:2341] Cannot dlopen some GPU libraries.
To enable the following instructions: AVX2 AVX512F AVX512_VNNI FMA, in other operations, rebuild TensorFlow.
E0000 00:00:1796053171.422601    8575 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error: UNKNOWN ERROR (303)
"""  # noqa: E501
FATAL = (
    "F0000 00:00:1796053154.939308    8575 cpu_feature_guard.cc:227] TensorFlow was compiled to use"
    " AVX instructions.\n"
)
FAKE = f"""
import os
os.write(2, {NOISE.encode()!r})
os.write(2, b"E0000 00:00:1796053154.9 8575 other.cc:1] something is wrong\\n")
if os.environ.get("DIE"):
    os.write(2, {FATAL.encode()!r})
    os.abort()
class config:
    def list_physical_devices():
        os.write(2, {NOISE.encode()!r})
"""
LOADS = """
import logging, os, sys, warnings
from absl import logging as absl_logging
from madvae_tf.utils import console
console.quiet()
absl_logging.set_verbosity("info")
import tensorflow
os.write(2, b"afterwards\\n")
warnings.warn("a library's")
for logger in (absl_logging, logging.getLogger("tensorflow"), logging.getLogger("umap")):
    logger.info("Sharding callback duration: 12 microseconds")
    logger.warning("5 out of the last 5 calls triggered tf.function retracing")
logging.getLogger("tensorflow").error("it is broken")
code = compile("logging.info('ours')", os.path.join(os.path.dirname(os.path.dirname(console.__file__)), "train.py"), "exec")
exec(code, {"logging": absl_logging})
"""  # noqa: E501


def run(code, folder, **environment):
    kept = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    path = os.pathsep.join([str(folder), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def fake(tmp_path):
    """A folder with a module in TensorFlow's place that says what TensorFlow says."""
    (tmp_path / "tensorflow.py").write_text(FAKE)
    return tmp_path


def test_of_what_libraries_say_only_errors_come_through(fake):
    found = run(LOADS, fake)
    lines = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in found.stderr.splitlines()]
    expected = ["E0000 00:00:1796053154.9 8575 other.cc:1] something is wrong", "afterwards"]
    assert lines == [*expected, "error: it is broken", "ours"], found.stderr


def test_the_last_line_of_a_library_that_aborts_comes_through(fake):
    found = run(LOADS, fake, DIE="1")
    assert found.returncode == -signal.SIGABRT and found.stderr.endswith(FATAL)


def test_who_sets_the_level_sees_what_the_libraries_say(fake):
    found = run(LOADS, fake, TF_CPP_MIN_LOG_LEVEL="0", PYTHONWARNINGS="default")
    assert "oneDNN custom operations are on" in found.stderr and "a library's" in found.stderr


def test_tensorflow_itself_loads_without_a_line(tmp_path):
    code = (
        "from madvae_tf.utils import console; console.quiet(); import tensorflow as tf;"
        " print(int(tf.constant(2) + 1))"
    )
    found = run(code, tmp_path)
    assert (found.stdout, found.stderr) == ("3\n", "")


def programs():
    """The modules that can be run, as Python names them."""
    for top in ("madvae_tf", "pipeline", "benchmarks", "tests/faults"):
        for path in sorted((ROOT / top).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            # What loads TensorFlow at once takes seconds, a helper is none of the user's, and the
            # former name of a package gives a notice.
            quick = "\nimport tensorflow" not in text and path.name not in (
                "helpers.py",
                "robustness.py",
            )
            if quick and '\nif __name__ == "__main__":' in text:
                parts = path.relative_to(ROOT).with_suffix("").parts
                yield ".".join(parts[:-1] if parts[-1] == "__main__" else parts)


PROGRAMS = list(programs())
COMMANDS = [name for name in PROGRAMS if name.startswith(("madvae_tf", "pipeline"))]


def call(name, *arguments):
    return subprocess.run(
        [sys.executable, "-m", name, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_all_commands_are_found():
    doors = {f"madvae_tf.cli.{name}" for name in ("attack", "purify", "tflite")}
    further = {
        "madvae_tf.playground",
        "madvae_tf.report.markdown",
        "madvae_tf.evaluation",
        "madvae_tf.train",
    }
    assert {*doors, *further, "pipeline.run"} <= set(COMMANDS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_is_help(name):
    for flag in ("--help", "-h") if name in COMMANDS else ("--help",):
        found = call(name, flag)
        assert (found.returncode, found.stderr) == (0, ""), flag
        assert len(found.stdout.splitlines()) > 3


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_flag_is_a_mistake_of_the_users(name):
    found = call(name, "--no_such_flag")
    assert (found.returncode, found.stdout) == (2, "")
    assert (
        "no_such_flag" in found.stderr.splitlines()[-1]
        or "required" in found.stderr.splitlines()[-1]
    )


def test_the_library_leaves_logging_and_warnings_of_its_host_alone():
    """The module that changes them is imported by programs only."""
    importers = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "madvae_tf").rglob("*.py")
        if re.search(r"import (\w+, )*console", path.read_text(encoding="utf-8"))
    }
    programs = {
        "cli/common.py",
        "evaluation/__main__.py",
        "playground/__main__.py",
        "presets/__main__.py",
        "report/leaderboard.py",
        "report/markdown.py",
    }
    assert importers == {f"madvae_tf/{name}" for name in programs}
