"""Several workers: TF_CONFIG, two processes on loopback that train as one does, and one that is
lost.
"""

import json
import os
import socket
import time

import numpy as np
import pytest

from madvae_tf.training.cluster import workers
from madvae_tf.utils.errors import UserError
from tests import processes

# argv: folder, steps, seconds between steps. Prints a line for each step and leaves the weights.
WORKER = """
import os, sys, time
from pathlib import Path
from madvae_tf.training.cluster import join
join()
import keras, numpy as np
sys.path.insert(0, "tests/training")
from conftest import TinyPairs, make_purifier
from madvae_tf.data.batches import training_dataset
from madvae_tf.utils.errors import as_one_line
from madvae_tf.training.loop import default_strategy, train

class Tell(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        print("from", int(logs["step"]), flush=True)
    def on_train_batch_end(self, batch, logs=None):
        print("step", batch, round(float(logs["loss"]), 3), flush=True)
        time.sleep(float(sys.argv[3]))

folder, steps = Path(sys.argv[1]), int(sys.argv[2])
strategy = default_strategy()
print(type(strategy).__name__, strategy.num_replicas_in_sync, flush=True)
with strategy.scope():
    trainer = make_purifier(optimizer=keras.optimizers.SGD(0.05), clip_norm=0.05)
with as_one_line("interrupted"):
    train(trainer, lambda step: training_dataset(TinyPairs(), 16, 1, step, steps), steps, 1, strategy, folder / "checkpoints", 2, [Tell()])
np.savez(folder / "weights.npz", *trainer.get_weights())
"""  # noqa: E501


def start(folder, count, steps, pause=0.0, index=0, ports=()):
    folder.mkdir(exist_ok=True)
    environment = dict(os.environ)
    if count > 1:
        cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
        environment["TF_CONFIG"] = json.dumps(
            {"cluster": cluster, "task": {"type": "worker", "index": index}}
        )
    arguments = ["-c", WORKER, folder, steps, pause]
    return processes.start(arguments, folder / "output", folder / "errors", env=environment)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def end(process, folder):
    process.join(400)
    assert process.exitcode == 0, (folder / "errors").read_text()[-3000:]
    return (folder / "output").read_text().split("\n")


def weights(folder):
    with np.load(folder / "weights.npz", allow_pickle=False) as file:
        return [file[name] for name in file.files]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_workers_train_as_one_does_and_go_on_after_one_was_lost(tmp_path):
    alone, folders = tmp_path / "alone", [tmp_path / "worker0", tmp_path / "worker1"]
    end(start(alone, 1, 6), alone)
    ports = free_ports(2)
    pair = [start(folder, 2, 6, 0.5, index, ports) for index, folder in enumerate(folders)]
    output = folders[1] / "output"
    while not (output.exists() and "\nstep 2 " in output.read_text()):
        assert pair[1].is_alive(), (folders[1] / "errors").read_text()[-3000:]
        time.sleep(0.05)
    pair[1].kill()
    began = time.monotonic()
    pair[0].join(400)
    errors = (folders[0] / "errors").read_text()
    assert pair[0].exitcode == 2 and time.monotonic() - began < 120, errors[-2000:]
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert (
        "a worker was lost" in line
        and "start all workers again" in line
        and "Traceback" not in errors
    )
    pair[1].join()

    # Both again; and, from nothing, two that nothing happens to.
    unbroken = [tmp_path / "unbroken0", tmp_path / "unbroken1"]
    for pair_folders, first in ((folders, "from 2"), (unbroken, "from 0")):
        ports = free_ports(2)
        pair = [start(folder, 2, 6, 0, index, ports) for index, folder in enumerate(pair_folders)]
        outputs = [end(process, folder) for process, folder in zip(pair, pair_folders, strict=True)]
        assert [output[:2] for output in outputs] == [["CollectiveAllReduceStrategy 2", first]] * 2
    for one, two, whole, expected in zip(
        *map(weights, (*folders, unbroken[0], alone)), strict=True
    ):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, whole)
        np.testing.assert_allclose(one, expected, atol=2e-4)


def test_no_cluster(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert workers() == (0, 1)
    config = {"cluster": {"worker": ["a:1", "b:1", "c:1"]}, "task": {"type": "worker", "index": 2}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert workers() == (2, 3)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}',
    ],
)
def test_a_wrong_TF_CONFIG_is_one_line(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match="Invalid TF_CONFIG.*expected"):
        workers()
