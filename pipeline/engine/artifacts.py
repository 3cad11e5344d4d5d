"""Artifacts: content keys, manifests, the check on reuse, and the atomic step from working to
finished folder.

An artifact is a folder `<workdir>/artifacts/<stage>/<instance>-<first 12 digits of the key>/`.
While its stage works the name ends in `.partial`; the manifest is written last, then the folder is
renamed. A folder with the final name and a manifest is done, and there is no other notion of done.
"""

import hashlib
import importlib.metadata
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import madvae_tf
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.files import sha256_of, sync_folder, write_json

SCHEMA = 1
MANIFEST = "manifest.json"
SCRATCH = ".scratch"
_LIBRARIES = ("tensorflow", "keras", "numpy", "tensorflow-datasets", "cleverhans")


def canonical_json(value: Any) -> str:
    """`value` as JSON with sorted keys and no spaces: equal values give equal text.

    Raises:
        TypeError: a value that JSON does not have.
        ValueError: NaN or infinity.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_key(value: Any) -> str:
    """The SHA-256 of `canonical_json(value)`, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def library_versions() -> dict[str, str | None]:
    """Versions of the libraries that an artifact's content can depend on; None for one that is
    absent.
    """
    versions: dict[str, str | None] = {"madvae_tf": madvae_tf.__version__}
    for library in _LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            versions[library] = None
    return versions


def content_files(folder: Path) -> list[str]:
    """The artifact's own files, relative with '/', sorted: all but the manifest and the scratch
    folder.
    """
    files = []
    for parent, folders, names in os.walk(folder):
        here = Path(parent).relative_to(folder)
        if here == Path():
            folders[:] = [name for name in folders if name != SCRATCH]
            names = [name for name in names if name != MANIFEST]
        files += [(here / name).as_posix() for name in names]
    return sorted(files)


def finish(partial: Path, final: Path, manifest: Mapping[str, Any]) -> None:
    """Completes the manifest with the hashes of the files in `partial` and makes it the finished
    `final`.

    Args:
        partial: the folder that the stage has filled.
        final: its name from now on; must not exist.
        manifest: everything but schema, files and libraries.
    """
    # Temporary files of the manifest lie in the scratch folder, so that a killed run leaves none in
    # the content.
    scratch = partial / SCRATCH
    scratch.mkdir(exist_ok=True)
    files = {
        name: {"sha256": sha256_of(partial / name), "bytes": (partial / name).stat().st_size}
        for name in content_files(partial)
    }
    write_json(
        scratch / MANIFEST,
        {"schema": SCHEMA, **manifest, "files": files, "libraries": library_versions()},
        durable=True,
    )
    (scratch / MANIFEST).replace(partial / MANIFEST)
    rename_finished(partial, final)


def rename_finished(partial: Path, final: Path) -> None:
    """The last step of `finish`, also for a folder whose run was killed between manifest and
    rename.
    """
    shutil.rmtree(partial / SCRATCH, ignore_errors=True)
    sync_folder(partial)
    partial.rename(final)
    sync_folder(final.parent)


def damaged(folder: Path, file: str, how: str) -> UserError:
    """The error for an artifact that is not what its manifest says, with the way to rebuild it."""
    return UserError(
        f"Damaged artifact: {folder / file} {how}; delete {folder} and run again to rebuild it."
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished artifact.

    Returns:
        schema, stage, instance, version, key, config, inputs (name -> {key, folder}), files (name
        -> {sha256, bytes}), libraries, seconds (over all attempts), attempts, peak_memory_bytes.

    Raises:
        UserError: the manifest is missing or cannot be read.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise damaged(folder, MANIFEST, "is missing") from None
    except (OSError, ValueError) as error:
        raise damaged(folder, MANIFEST, f"cannot be read ({error})") from None
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA or "key" not in manifest:
        raise damaged(folder, MANIFEST, f"is not a manifest of schema {SCHEMA}")
    return manifest


def verify(folder: Path, key: str) -> dict[str, Any]:
    """Reads every file of a finished artifact and returns its manifest if all is as it was written.

    Args:
        folder: the artifact.
        key: the full key that it must have.

    Raises:
        UserError: a file is changed, missing, unreadable or not in the manifest, or the key
            differs.
    """
    manifest = read_manifest(folder)
    if manifest["key"] != key:
        raise damaged(folder, MANIFEST, f"has key {manifest['key']}, expected {key}")
    expected = manifest["files"]
    present = set(content_files(folder))
    for name in sorted(present - expected.keys()):
        raise damaged(folder, name, "is not in the manifest")
    for name, facts in expected.items():
        if name not in present:
            raise damaged(folder, name, "is missing")
        try:
            same = (folder / name).stat().st_size == facts["bytes"] and sha256_of(
                folder / name
            ) == facts["sha256"]
        except OSError as error:
            raise damaged(folder, name, f"cannot be read ({error.strerror})") from None
        if not same:
            raise damaged(folder, name, "has changed since it was written")
    return manifest


def lineage(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """The manifests of finished artifacts and of everything that they were made from, upstream
    first.

    Args:
        folders: finished artifacts of one workdir, such as a stage's inputs.
    """
    found: dict[str, dict[str, Any]] = {}

    def visit(folder: Path) -> None:
        manifest = read_manifest(folder)
        if manifest["key"] in found:
            return
        for upstream in manifest["inputs"].values():
            visit(folder.parent.parent / upstream["folder"])
        found[manifest["key"]] = manifest

    for folder in folders:
        visit(folder)
    return list(found.values())
