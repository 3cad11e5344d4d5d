"""Damaged artifacts, refused disks and unusable workdirs: one clear line each, and nothing
half-written.
"""

import errno
import os

import pytest

from madvae_tf.utils.errors import UserError
from madvae_tf.utils.files import write_json
from pipeline.engine import artifacts
from pipeline.engine.plan import plan
from pipeline.engine.runner import run_stages


def flip(folder):
    path = folder / "deep" / "doubled.txt"
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(bytes(data))


def replace_by_folder(folder):
    (folder / "deep" / "doubled.txt").unlink()
    (folder / "deep" / "doubled.txt").mkdir()


DAMAGES = {
    "flipped": (flip, "deep/doubled.txt has changed"),
    "shorter": (
        lambda folder: os.truncate(folder / "deep" / "doubled.txt", 2),
        "deep/doubled.txt has changed",
    ),
    "missing": (
        lambda folder: (folder / "deep" / "doubled.txt").unlink(),
        "deep/doubled.txt is missing",
    ),
    "folder": (replace_by_folder, "deep/doubled.txt is missing"),
    "extra": (
        lambda folder: (folder / "notes.txt").write_text("x"),
        "notes.txt is not in the manifest",
    ),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "manifest.json is missing"),
    "torn manifest": (
        lambda folder: (folder / "manifest.json").write_text("{"),
        "manifest.json cannot be read",
    ),
    "other manifest": (
        lambda folder: (folder / "manifest.json").write_text("[]"),
        "is not a manifest of schema 1",
    ),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_is_named_and_deleting_the_folder_repairs_it(toy, workdir, damage, message):
    folder = run_stages(toy.stages(), workdir).folder("double left")
    damage(folder)
    toy.calls.clear()
    with pytest.raises(UserError) as caught:
        run_stages(toy.stages(), workdir)
    text = str(caught.value)
    assert message in text and f"delete {folder} and run again" in text and "\n" not in text
    assert toy.calls == []
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
    assert run_stages(toy.stages(), workdir).executed == ["double left"]


def test_damage_is_found_before_anything_runs(toy, workdir):
    flip(run_stages(toy.stages(), workdir).folder("double right"))
    toy.calls.clear()
    with pytest.raises(UserError, match="has changed"):
        run_stages(toy.stages(left=9), workdir)
    assert toy.calls == []


def test_a_folder_with_another_key_is_not_taken(toy, workdir):
    folder = run_stages(toy.stages(), workdir).folder("make")
    manifest = artifacts.read_manifest(folder)
    write_json(folder / "manifest.json", {**manifest, "key": "0" * 64})
    with pytest.raises(UserError, match="has key 0000"):
        run_stages(toy.stages(), workdir)


def full(context):
    with open("/dev/full", "wb") as file:
        file.write(b"x" * 100_000)


class ResourceExhaustedError(Exception):
    """As TensorFlow raises it: no errno, the cause in the text."""


def raising(error):
    def run(context):
        (context.folder / "half.txt").write_text("half")
        raise error

    return run


DISK = {
    "dev-full": (full, "no space left"),
    "enospc": (
        raising(OSError(errno.ENOSPC, "No space left on device", "/data/x")),
        "no space left.*/data/x",
    ),
    "quota": (raising(OSError(errno.EDQUOT, "Disk quota exceeded")), "no space left"),
    "tensorflow": (
        raising(ResourceExhaustedError("/a/b; No space left on device")),
        "no space left",
    ),
    "numpy": (raising(OSError("1000 requested and 12 written")), "no space left"),
    "denied": (
        raising(PermissionError(errno.EACCES, "Permission denied", "/data/y")),
        "no permission for /data/y",
    ),
    "read-only": (raising(OSError(errno.EROFS, "Read-only file system")), "no permission"),
    "memory": (raising(MemoryError()), "out of memory"),
    "memory of TensorFlow": (
        raising(ResourceExhaustedError("OOM when allocating tensor with shape[99]")),
        "out of memory",
    ),
    "memory of NumPy": (raising(MemoryError("Unable to allocate 9 GiB")), "out of memory"),
    "memory of the system": (
        raising(OSError(errno.ENOMEM, "Cannot allocate memory")),
        "out of memory",
    ),
}


@pytest.mark.parametrize(("run", "message"), DISK.values(), ids=DISK.keys())
def test_a_refusing_disk_is_one_line_and_the_run_can_go_on(toy, workdir, run, message):
    stages = toy.stages(total_run=run)
    with pytest.raises(UserError, match=f"Stage total stopped: {message}.*run again") as caught:
        run_stages(stages, workdir)
    assert "\n" not in str(caught.value)
    assert stages[3].partial(workdir).is_dir() and not stages[3].folder(workdir).exists()
    toy.calls.clear()
    half = stages[3].partial(workdir) / "half.txt"
    half.unlink(missing_ok=True)
    assert run_stages(toy.stages(), workdir).executed == ["total"]


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "Input/output error"), RuntimeError("shapes differ")]
)
def test_other_errors_stay_what_they_are(toy, workdir, error):
    with pytest.raises(type(error)) as caught:
        run_stages(toy.stages(total_run=raising(error)), workdir)
    assert caught.value is error


def test_a_disk_that_fills_while_the_manifest_is_written(toy, workdir, monkeypatch):

    def fail(path, value, durable=False):
        if durable:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_json(path, value)

    monkeypatch.setattr(artifacts, "write_json", fail)
    stages = toy.stages()
    with pytest.raises(UserError, match="Stage make stopped: no space left"):
        run_stages(stages, workdir)
    assert not stages[0].folder(workdir).exists()
    monkeypatch.undo()
    assert run_stages(stages, workdir).executed[0] == "make"


def test_a_workdir_that_is_a_file_is_refused(toy, tmp_path):
    path = tmp_path / "file"
    path.write_text("mine")
    for action in (run_stages, plan):
        with pytest.raises(UserError, match=f"{path}: it is not a folder.*--workdir"):
            action(toy.stages(), path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("below", ["file/run", "missing"])
def test_a_workdir_that_cannot_be_made_is_refused(toy, tmp_path, below):
    (tmp_path / "file").write_text("mine")
    workdir = tmp_path / below if below == "file/run" else tmp_path.__class__("/proc/madvae/run")
    with pytest.raises(UserError, match="Cannot use workdir .*--workdir"):
        run_stages(toy.stages(), workdir)
    assert toy.calls == []
