"""Bad input on the command line: exit status 2, one clear line, no traceback, and nothing
half-written.
"""

import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from madvae_tf.config.overrides import load_config
from madvae_tf.data import idx
from pipeline.engine import artifacts
from pipeline.engine.disk import lock_workdir
from pipeline.graph.stages import build_stages
from tests import processes

ROOT = Path(__file__).parents[2]
TINY = "--config=tests/pipeline/tiny.py"


def command(*arguments, module="pipeline.run"):
    """(exit status, standard output, standard error) of one call."""
    process = processes.run(["-m", module, *arguments])
    return process.returncode, process.stdout, process.stderr


def refused(*arguments, module="pipeline.run"):
    """The one line of our own that a refused call leaves."""
    status, output, errors = command(*arguments, module=module)
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert (status, output, len(lines)) == (2, "", 1), errors
    assert "Traceback" not in errors
    return lines[0]


BAD = {
    "stage": (["--stage=vea"], "Unknown stage 'vea'. Did you mean 'vae'"),
    "config": (["--config=configs/quik.py"], "No config file 'configs/quik.py'.*configs/quick.py"),
    "section": (
        ["--set=vea.epochs=2"],
        "Unknown configuration key 'vea.epochs'. Did you mean 'vae.epochs'",
    ),
    "key": (
        ["--set=vae.epoch=2"],
        "Unknown configuration key 'vae.epoch'. Did you mean 'vae.epochs'",
    ),
    "variant": (
        ["--set=vae.variants=cls,combine"],
        "Unknown variant 'combine'. Did you mean 'combined'",
    ),
    "attack": (["--set=attack.test_attacks=fsgm"], "Unknown attack 'fsgm'. Did you mean 'fgsm'"),
    "dataset": (["--set=data.name=minst"], "Unknown dataset 'minst'. Did you mean 'mnist'"),
    "classifier": (["--set=classifier.name=table7"], "Unknown classifier 'table7'"),
    "type": (
        ["--set=vae.epochs=two"],
        "Invalid vae.epochs: received 'two', expected a value of type int",
    ),
    "fraction": (["--set=vae.epochs=1.5"], "Invalid vae.epochs: received '1.5'"),
    "negative": (["--set=attack.test_epsilon=-0.3"], "Invalid attack.test_epsilon: received -0.3"),
    "no value": (["--set=vae.epochs"], "expected section.field=value"),
    "argument": (["all"], "Unknown argument 'all'. Expected flags only"),
}


@pytest.mark.parametrize("dry", [[], ["--dry_run"]], ids=["run", "dry"])
@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD.keys())
def test_bad_arguments(tmp_path, arguments, message, dry):
    workdir = tmp_path / "work"
    line = refused(
        f"--workdir={workdir}",
        *([] if arguments[0].startswith("--config") else [TINY]),
        *dry,
        *arguments,
    )
    assert re.search(message, line), line
    assert not workdir.exists()


HELP = """
import sys
sys.argv[:] = [sys.argv[1], "--help"]
try:
    from madvae_tf.cli import pipeline as commands
    {call}
finally:
    assert "tensorflow" not in sys.modules
"""
COMMON = [
    "beam",
    "classifier",
    "config",
    "[no]dry_run",
    "engine",
    "jobs",
    "[no]profile",
    "runner",
    "set",
    "store",
    "workdir",
    "workers",
]


@pytest.mark.parametrize("door", ["module", "command"])
@pytest.mark.parametrize(("name", "own"), [("run", "stage"), ("train", "loss")])
def test_help_names_every_flag_and_loads_no_tensorflow(name, own, door):
    """As a module, and as the script that pip writes."""
    module = {"run": "pipeline.run", "train": "madvae_tf.train"}[name]
    call = (
        f"commands.{name}()"
        if door == "command"
        else f"import runpy; runpy.run_module('{module}', run_name='__main__', alter_sys=True)"
    )
    process = subprocess.run(
        [sys.executable, "-c", HELP.format(call=call), f"/bin/madvae-{name}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Error" not in process.stderr and process.stdout.startswith(f"`python -m {module}")
    assert sorted(re.findall(r"^  --([\w\[\]]+):", process.stdout, re.MULTILINE)) == sorted(
        [*COMMON, own]
    )


INSTALLED = """
import runpy, sys
# The checkout may be installed in this environment.
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
sys.path[:] = [entry for entry in sys.path if not (pathlib.Path(entry or ".") / "pipeline").exists()]
sys.argv[:] = ["train", *sys.argv[1:]]
runpy.run_module("madvae_tf.train", run_name="__main__", alter_sys=True)
"""  # noqa: E501


def test_the_module_of_an_installed_wheel_finds_the_pipeline(tmp_path):
    """A wheel holds `pipeline` and `configs` inside `madvae_tf` (setup.py), and no package of these
    names.
    """
    site = tmp_path / "site"
    for name, home in (("madvae_tf", ""), ("pipeline", "_shipped"), ("configs", "_shipped")):
        folder = site / ("madvae_tf/_shipped/" + name if home else name)
        shutil.copytree(ROOT / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
    process = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import pathlib{INSTALLED}",
            "--loss=pd",
            "--config=quick",
            "--dry_run",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert re.search(r"purifier pd .*: run", process.stdout)


def test_an_unknown_loss_names_the_known_ones(tmp_path):
    line = refused("--loss=cl", TINY, f"--workdir={tmp_path / 'work'}", module="madvae_tf.train")
    assert "'cl'" in line and "combined" in line
    assert not (tmp_path / "work").exists()


def test_a_dry_run_of_robust_asks_for_data_and_classifier_only(tmp_path):
    flags = ("--loss=robust", TINY, "--set=vae.warmup_epochs=1", f"--workdir={tmp_path / 'work'}")
    status, output, errors = command(*flags, "--dry_run", module="madvae_tf.train")
    assert status == 0, errors
    planned = [
        line.split("] ")[1].split(" (")[0] for line in output.splitlines() if line.startswith("[")
    ]
    assert planned == ["data set mnist", "classifier", "purifier robust"]
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--stages=all", "Unknown command line flag 'stages'. Did you mean: stage"),
        ("--dry_run=perhaps", "flag --dry_run=perhaps"),
    ],
)
def test_a_flag_that_does_not_exist_is_no_traceback(tmp_path, flag, message):
    status, output, errors = command(flag, f"--workdir={tmp_path / 'work'}")
    assert status != 0 and message in output + errors and "Traceback" not in output + errors
    assert len((output + errors).strip().splitlines()) <= 4
    assert not (tmp_path / "work").exists()


def test_a_workdir_in_an_object_store():
    line = refused("--workdir=gs://bucket/x", TINY)
    assert "Cannot use workdir gs://bucket/x:" in line and "--store" in line
    assert not Path("gs:").exists()


def test_a_workdir_that_is_a_file(tmp_path):
    path = tmp_path / "work"
    path.write_text("mine")
    for dry in ([], ["--dry_run"]):
        assert "it is not a folder" in refused(TINY, f"--workdir={path}", *dry)
    assert path.read_text() == "mine"


def test_a_workdir_in_use(tmp_path):
    with lock_workdir(tmp_path):
        assert f"in use by process {os.getpid()}" in refused(TINY, f"--workdir={tmp_path}")
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def idx_file(name, n=3):
    """A small IDX file of the kind that `name` says; not MNIST's."""
    images = "images" in name
    shape = (n, 28, 28) if images else (n,)
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)
    return header + bytes(n * 784 if images else n)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: None, "Wrong checksum of .*train-images-idx3-ubyte.*received SHA-256"),
        (
            lambda path: path.write_bytes(path.read_bytes()[:-1]),
            "truncated, received 2367 bytes, expected 2368",
        ),
        (lambda path: path.write_bytes(b"not IDX"), "magic number"),
        (lambda path: path.unlink(), "train-images-idx3-ubyte"),
    ],
    ids=["checksum", "truncated", "other", "missing"],
)
def test_a_folder_of_bad_idx_files(tmp_path, damage, message):
    folder, workdir = tmp_path / "idx", tmp_path / "work"
    folder.mkdir()
    for name in idx.FILE_NAMES:
        (folder / name).write_bytes(idx_file(name))
    damage(folder / "train-images-idx3-ubyte")
    line = refused(TINY, f"--workdir={workdir}", f"--set=data.path={folder}")
    assert re.search(message, line), line
    left = [path for path in workdir.rglob("*") if path.is_file() and ".scratch" not in path.parts]
    assert left == [workdir / ".lock"]
    assert all(
        path.name.endswith(".partial") for path in (workdir / "artifacts" / "data").iterdir()
    )


def unlink(path):
    path.unlink()


def flip(path):
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("source.json", flip, "source.json has changed"),
        ("source.json", unlink, "source.json is missing"),
        ("manifest.json", unlink, "manifest.json is missing"),
    ],
)
def test_a_damaged_artifact(tmp_path, name, damage, message):
    stage = build_stages(load_config(ROOT / "tests/pipeline/tiny.py"), "")["data"][0]
    partial, final = stage.partial(tmp_path), stage.folder(tmp_path)
    partial.mkdir(parents=True)
    (partial / "source.json").write_text("{}")
    artifacts.finish(
        partial, final, {"stage": "data", "key": stage.key, "inputs": {}, "seconds": 1.0}
    )
    damage(final / name)
    line = refused(TINY, f"--workdir={tmp_path}")
    assert message in line and f"delete {final} and run again" in line
    assert [path.name for path in (tmp_path / "artifacts").iterdir()] == ["data"]


def test_a_stage_that_the_configuration_has_none_of_is_said_to_be_empty(tmp_path):
    status, output, errors = command(
        TINY,
        f"--workdir={tmp_path / 'work'}",
        "--stage=black_box",
        "--set=black_box.substitutes=",
        "--dry_run",
    )
    assert status == 0 and output.strip() == ""
    assert "Nothing to do for --stage=black_box: this configuration asks for none of it" in errors


def test_dry_run_prints_the_plan_and_writes_nothing(tmp_path):
    """And TensorFlow, which would say something on standard error, is not loaded."""
    arguments = [TINY, f"--workdir={tmp_path / 'work'}", "--dry_run"]
    process = subprocess.run(
        [sys.executable, "-m", "pipeline.run", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = process.stdout.splitlines()
    assert process.stderr == "" and len(lines) == 28
    assert lines[0].startswith("[1/27] data set mnist (") and all(
        ": run" in line for line in lines[:-1]
    )
    assert lines[0].endswith(": run, about 20 s") and lines[-1].startswith("To run, about ")
    assert not (tmp_path / "work").exists()
