"""Artifacts and shards in a store that many machines reach: gs://bucket/folder, or whatever
`tf.io.gfile` opens.

An object store has no rename, so a name there may hold half of a file's content, or nothing that
was meant. What is whole is said by a manifest, written after the files that it lists, with the
SHA-256 of each: that is the commit, and without it there is nothing.
"""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from madvae_tf.utils.errors import UserError
from madvae_tf.utils.files import written


@dataclasses.dataclass(frozen=True)
class Store:
    """A folder of a store.

    Attributes:
        url: where it is; made where it does not exist.
    """

    url: str

    def has(self, manifest: str) -> bool:
        """Whether what `manifest` lists is there. Raises `UserError` where the store cannot be
        asked.
        """
        import tensorflow as tf

        with _errors(self.url):
            return tf.io.gfile.exists(self._place(manifest))

    def put(self, folder: Path, files: Iterable[str], manifest: str) -> None:
        """Copies `files` of `folder`, named relative to it, and then writes their manifest.

        Raises:
            UserError: the store refuses.
        """
        import tensorflow as tf

        listed = {}
        with _errors(self.url):
            for name in files:
                content = (folder / name).read_bytes()
                place = self._place(name)
                tf.io.gfile.makedirs(place.rpartition("/")[0])
                _write(place, content)
                listed[name] = {
                    "sha256": hashlib.sha256(content).hexdigest(),
                    "bytes": len(content),
                }
            text = json.dumps({"files": listed}, indent=2, sort_keys=True) + "\n"
            _write(self._place(manifest), text.encode())

    def get(self, folder: Path, manifest: str) -> None:
        """Copies what `manifest` lists into `folder`; each file appears whole or not at all.

        Raises:
            UserError: the store refuses; a file is missing or is not what the manifest says.
        """
        import tensorflow as tf

        with _errors(self.url):
            with tf.io.gfile.GFile(self._place(manifest), "rb") as file:
                listed = self._listed(file.read(), manifest)
            for name, facts in listed.items():
                if not tf.io.gfile.exists(self._place(name)):
                    raise self._damaged(name, "is missing")
                with tf.io.gfile.GFile(self._place(name), "rb") as file:
                    content = file.read()
                if hashlib.sha256(content).hexdigest() != facts["sha256"]:
                    raise self._damaged(name, "is not what its manifest says")
                with written(folder / name) as partial:
                    partial.write_bytes(content)

    def _place(self, name: str) -> str:
        return f"{self.url.rstrip('/')}/{name}"

    def _listed(self, text: bytes, manifest: str) -> dict[str, Any]:
        try:
            files = json.loads(text)["files"]
            good = all(
                isinstance(facts["sha256"], str) and _is_inside(name)
                for name, facts in files.items()
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            good, files = False, {}
        if not good:
            raise self._damaged(manifest, "is not a list of files")
        return files

    def _damaged(self, name: str, how: str) -> UserError:
        return UserError(
            f"Damaged store: {self._place(name)} {how}; delete {self.url} and run again."
        )


def _is_inside(name: str) -> bool:
    """Whether a name from outside stays in the folder that it is relative to."""
    return (
        bool(name)
        and not PurePosixPath(name).is_absolute()
        and ".." not in PurePosixPath(name).parts
    )


def _write(place: str, content: bytes) -> None:
    import tensorflow as tf

    # Not every file system empties what it opens for writing: ram:// goes on at its end.
    if tf.io.gfile.exists(place):
        tf.io.gfile.remove(place)
    with tf.io.gfile.GFile(place, "wb") as file:
        file.write(content)


@contextlib.contextmanager
def _errors(url: str) -> Iterator[None]:
    """Whatever a store says, in one line."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        said = " ".join(str(error.message).split())[:300]
        raise UserError(
            f"Cannot use the store {url}: {said}; see that it exists and that this machine may"
            " write to it, or choose another --store."
        ) from error
