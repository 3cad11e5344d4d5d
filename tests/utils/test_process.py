"""Processes in which TensorFlow or Keras cannot work get one line: a forked child, another backend
of Keras.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from madvae_tf.utils import backend
from madvae_tf.utils.errors import UserError
from tests import processes

ROOT = Path(__file__).parents[2]

FORK = """
import os, sys
import numpy as np, tensorflow as tf
from madvae_tf import evaluate, fit, load
from madvae_tf.utils import forks
from madvae_tf.attacks import FGSM, DefendedModel, run_attack
from madvae_tf.utils.errors import UserError

def attack():
    target = DefendedModel(logits=lambda x: tf.reshape(x, (-1, 784))[:, :10])
    images = np.full((4, 28, 28, 1), 0.5, np.float32)
    return run_attack(FGSM(epsilon=0.1), target, images, np.zeros(4, np.int64), (0, 0), 4)

def child(call, *arguments):
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        call(*arguments)
    except UserError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(3)
    os._exit(0)

assert child(forks.check_process) == 0  # TensorFlow has not started.
tf.ones(2) + 1
assert child(attack) == 3
assert child(load, "nowhere") == 3
assert child(fit, None, None, None) == 3
assert child(evaluate, None, None, None) == 3
forks.check_process()
print("parent goes on")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_a_forked_child_gets_a_line_and_does_not_hang():
    process = processes.run(["-c", FORK])
    assert process.stdout == "parent goes on\n", process.stderr[-2000:]
    lines = [
        line for line in process.stderr.splitlines() if line.startswith("TensorFlow had started")
    ]
    assert len(lines) == 4 and all('get_context("spawn")' in line for line in lines)


@pytest.mark.parametrize(
    "code",
    [
        "import madvae_tf\nmadvae_tf.fit",
        "import madvae_tf.attacks",
        "import madvae_tf.models.vae",
        "import madvae_tf.training.loop",
        "import madvae_tf.defenses.magnet",
        "from madvae_tf.evaluation import evaluate",
    ],
)
def test_another_backend_is_refused_before_keras_is_loaded(code):
    wrapped = (
        f"try:\n    {code.replace(chr(10), chr(10) + '    ')}\nexcept ValueError as error:\n   "
        " print(error)"
    )
    process = subprocess.run(
        [sys.executable, "-c", f"{wrapped}\nimport sys\nassert 'keras' not in sys.modules"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.stdout.startswith(
        "Invalid Keras backend: received 'torch' from KERAS_BACKEND"
    ), process.stderr


def test_what_needs_no_keras_works_with_any_backend():
    code = (
        "import madvae_tf, madvae_tf.config, madvae_tf.report, madvae_tf.evaluation;"
        " print(madvae_tf.__version__)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("command", ["pipeline.run", "madvae_tf.train"])
def test_a_command_says_so_in_one_line(tmp_path, command):
    own = [f"--workdir={tmp_path / 'work'}", "--config=tests/pipeline/tiny.py"]
    process = subprocess.run(
        [sys.executable, "-m", command, *own],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2
    assert process.stderr.startswith("error: Invalid Keras backend: received 'jax'"), process.stderr
    assert process.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("variable", "file", "expected"),
    [
        ("torch", None, "torch"),
        ("tensorflow", "jax", "tensorflow"),
        ("", "jax", "jax"),
        ("", "tensorflow", "tensorflow"),
        ("", None, "tensorflow"),
        ("", "{", "tensorflow"),
    ],
)
def test_the_backend_is_read_where_keras_reads_it(tmp_path, monkeypatch, variable, file, expected):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", variable)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    if file is not None:
        text = file if file == "{" else json.dumps({"backend": file})
        (tmp_path / "keras.json").write_text(text)
    assert backend.chosen()[0] == expected
    if expected == "tensorflow":
        backend.check()
    else:
        with pytest.raises(UserError, match="expected 'tensorflow'; set KERAS_BACKEND=tensorflow"):
            backend.check()
