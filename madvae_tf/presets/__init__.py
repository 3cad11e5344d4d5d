"""Trained defences by name.

    defense = madvae_tf.from_preset("mnist-linf0.3")
    defense.predict(images)

`python -m madvae_tf.presets` lists them with what they withstand. TensorFlow is loaded where a
preset is.
"""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from madvae_tf.data.sources import default_cache_dir
from madvae_tf.utils.errors import UserError, unknown_name
from madvae_tf.utils.files import sha256_of, written_folder

if TYPE_CHECKING:
    from madvae_tf.api import FittedDefense

_HOME = Path(__file__).parent
_METADATA = "metadata.json"
_TIMEOUT = 60.0  # seconds


def names() -> list[str]:
    """The presets that come with the package."""
    return sorted(folder.parent.name for folder in _HOME.glob(f"*/{_METADATA}"))


def facts(name: str) -> dict[str, Any]:
    """What the metadata of a preset of `names` says: data set, threat, figures."""
    return json.loads((_HOME / name / _METADATA).read_text(encoding="utf-8"))


def from_preset(
    preset: str | Path,
    classifier: Callable[..., Any] | None = None,
    *,
    sha256: str = "",
) -> "FittedDefense":
    """A trained defence.

    Args:
        preset: a name of `names()`; a folder that `FittedDefense.save_to_preset` wrote; or the
            http, https or file URL of such a folder, whose files are kept in the cache.
        classifier: stands in place of the preset's own; needed where that one was no Keras model.
        sha256: of a URL's `metadata.json`, which holds the SHA-256 of the other files.

    Raises:
        UserError: an unknown name, a folder or URL without a preset, a wrong SHA-256, or a file
            that is missing, damaged or unsafe.
    """
    from madvae_tf.api.fitted import of_preset

    text = str(preset)
    if urllib.parse.urlsplit(text).scheme in ("http", "https", "file"):
        folder = _fetched(text.rstrip("/"), sha256.strip().lower())
    elif (_HOME / text / _METADATA).is_file() and text in names():
        folder = _HOME / text
    else:
        folder = Path(preset).expanduser()
        if not folder.is_dir():
            raise unknown_name("preset", text, [*names(), "a folder", "a URL"])
    return of_preset(folder, classifier)


def _fetched(url: str, expected: str) -> Path:
    """The folder of the cache with the files of `url`."""
    if not expected:
        raise UserError(
            f"Invalid preset: received {url} without sha256; expected the SHA-256 of its"
            f" {_METADATA}, from whoever published it: from_preset(url, sha256=...)."
        )
    from madvae_tf.api.preset_files import metadata

    folder = default_cache_dir() / "presets" / expected[:32]
    if (folder / _METADATA).is_file():
        return folder
    with written_folder(folder) as partial:
        _download(url, _METADATA, partial)
        received = sha256_of(partial / _METADATA)
        if received != expected:
            raise UserError(
                f"Wrong SHA-256 of {url}/{_METADATA}: received {received}, expected {expected}."
            )
        for name in metadata(partial)["sha256"]:
            if Path(name).name != name:
                raise UserError(f"Invalid preset {url}: a file is named {name!r}.")
            _download(url, name, partial)
    return folder


def _download(url: str, name: str, folder: Path) -> None:
    try:
        with urllib.request.urlopen(f"{url}/{name}", timeout=_TIMEOUT) as reply:  # noqa: S310
            (folder / name).write_bytes(reply.read())
    except (OSError, urllib.error.URLError) as error:
        raise UserError(
            f"Cannot fetch {url}/{name}: {error}; expected the URL of a folder that"
            " save_to_preset wrote, or pass a folder of this machine."
        ) from error
