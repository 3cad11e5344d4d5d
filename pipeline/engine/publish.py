"""Artifacts at fixed places: copies (`<workdir>/report`, `<workdir>/export/<variant>`), swapped
atomically, and TensorBoard's runs by name.

A published folder holds a marker file with the artifact's key. A folder without the marker is
somebody else's and is never touched.
"""

import os
import shutil
from pathlib import Path

from absl import logging

from madvae_tf.utils.errors import UserError
from madvae_tf.utils.files import sync_folder
from madvae_tf.utils.machine import put_folder
from pipeline.engine import artifacts
from pipeline.engine.plan import Stage
from pipeline.engine.titles import board_of

MARKER = ".artifact"
BOARDS = "tensorboard"
# Where a killed swap may have left the old folder.
_OLD = (".old", ".tmp.old")


def check_destination(destination: Path) -> None:
    """Refuses a destination that publishing would destroy.

    Raises:
        UserError: it is a file, a link, or a folder with content that was not published here.
    """
    for path in (destination, *destination.parents):
        if path.exists() and not path.is_dir() or path == destination and path.is_symlink():
            raise UserError(
                f"Cannot publish to {destination}: {path} is a file or a link, expected a folder;"
                " move it away and run again."
            )
    if destination.is_dir() and not (destination / MARKER).is_file() and any(destination.iterdir()):
        raise UserError(
            f"Cannot publish to {destination}: it holds files that this pipeline did not write (it"
            f" has no {MARKER} file); move it away and run again."
        )


def publish_copy(artifact: Path, destination: Path) -> bool:
    """Makes `destination` a copy of the artifact's files; a reader sees the old folder or the new
    one (`put_folder`).

    The destination belongs to the pipeline: what else is put into a published folder goes at the
    next swap.

    Args:
        artifact: a finished artifact.
        destination: the folder to replace; its parents are created.

    Returns:
        False if the destination already was that copy (same key, same files and sizes).

    Raises:
        UserError: see `check_destination`.
    """
    check_destination(destination)
    manifest = artifacts.read_manifest(artifact)
    # Leftovers of a run that was killed in the middle of a swap.
    new = destination.with_name(f".{destination.name}.tmp")
    for leftover in (new, *(destination.with_name(f".{destination.name}{end}") for end in _OLD)):
        if leftover.exists():
            shutil.rmtree(leftover)
    if _is_copy(destination, manifest):
        return False
    new.mkdir(parents=True)
    for name in manifest["files"]:
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(artifact / name, new / name)
    (new / MARKER).write_text(manifest["key"] + "\n", encoding="utf-8")
    put_folder(new, destination)
    sync_folder(destination.parent)
    if new.exists():
        shutil.rmtree(new)
    return True


def _is_copy(destination: Path, manifest: dict) -> bool:
    marker = destination / MARKER
    if not marker.is_file() or marker.read_text(encoding="utf-8").strip() != manifest["key"]:
        return False
    sizes = {name: facts["bytes"] for name, facts in manifest["files"].items()}
    return all(
        (destination / name).is_file() and (destination / name).stat().st_size == size
        for name, size in sizes.items()
    )


def show_board(workdir: Path, stage: Stage, folder: Path) -> None:
    """Makes `<workdir>/tensorboard/<name>` a link to the event files in `folder`, so that
    TensorBoard calls the run by that name.

    Args:
        folder: the stage's finished artifact, or that of the attempt that begins, whose event files
            come later.
    """
    name = board_of(stage.stage, stage.instance)
    if not name:
        return
    link = workdir / BOARDS / name
    target = os.path.relpath(folder / BOARDS, link.parent)
    try:
        if not (folder.name.endswith(".partial") or (folder / BOARDS).is_dir()):
            if link.is_symlink() and not link.exists():  # The attempt left no event files.
                link.unlink()
            return
        if link.is_symlink() and str(link.readlink()) == target:
            return
        link.parent.mkdir(parents=True, exist_ok=True)
        # Elsewhere first: a reader sees the old link or the new one.
        new = link.with_name(f".{link.name}.new")
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        new.replace(link)
    except OSError as error:
        logging.warning(
            "No link %s for TensorBoard (%s); the files are in %s.", link, error.strerror, folder
        )
