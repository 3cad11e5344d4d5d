"""From text to a configuration: files with `get_config()`, and `section.field=value` overrides."""

import ast
import dataclasses
import importlib.util
import re
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from absl import logging

from madvae_tf.config import Config, matches, type_name, unknown_key
from madvae_tf.utils.errors import UserError, cause_of

_FORMER_KEYS = {
    "robust.crossing": "robust.threshold_l2",
    "robust.falling": "robust.decaying_steps",
    "robust.turns": "robust.norm_mix",
}
_FORMER_VALUES = {"robust.norm_mix": {"crossing": "threshold_l2"}}


def override(config: Config, assignments: Iterable[str]) -> Config:
    """`config` with every `section.field=value` (or `seed=value`) of `assignments` applied; of one
    key the last.

    Sections check all new values together, whatever their order. Lists are written `[a,b]` or
    `a,b`. Raises `UserError` for an unknown key (with the nearest known one), for text that is not
    of the field's type, and for a value that a section refuses.
    """
    changes: dict[str, Any] = {}
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        if not separator or not key:
            raise UserError(
                f"Invalid --set={assignment}: expected section.field=value, like"
                " --set=vae.epochs=2."
            )
        key, text = current_names(key.strip(), text)
        path = key.split(".")
        section: Any = config
        for step in path[:-1]:
            section = getattr(section, step, None)
        names = (
            [item.name for item in dataclasses.fields(section)]
            if dataclasses.is_dataclass(section)
            else []
        )
        if path[-1] not in names or dataclasses.is_dataclass(getattr(section, path[-1])):
            raise unknown_key(key)
        annotation = next(
            item.type for item in dataclasses.fields(section) if item.name == path[-1]
        )
        node = changes
        for step in path[:-1]:
            node = node.setdefault(step, {})
        node[path[-1]] = _parse(text.strip(), annotation, key)
    return _replace(config, changes)


def current_names(key: str, text: str) -> tuple[str, str]:
    """A key and its value with the names of today for former ones, which work for one release, with
    a notice.
    """
    given = (key, text)
    key = _FORMER_KEYS.get(key, key)
    for former, name in _FORMER_VALUES.get(key, {}).items():
        text = re.sub(rf"\b{former}\b", name, text)
    if (key, text) != given:
        logging.warning(
            "--set=%s=%s is --set=%s=%s in this release; the former name goes with the next one.",
            *given,
            key,
            text,
        )
    return key, text


def _replace(section: Any, changes: dict[str, Any]) -> Any:
    """`section` with the values of nested `changes`: a dict is one of a section's own."""
    values = {
        name: _replace(getattr(section, name), value) if isinstance(value, dict) else value
        for name, value in changes.items()
    }
    return dataclasses.replace(section, **values)


def _parse(text: str, annotation: Any, key: str) -> Any:
    if annotation is str:
        return text
    shown = text if len(text) <= 80 else f"{text[:80]}..."
    wrong = UserError(
        f"Invalid {key}: received {shown!r}, expected a value of type {type_name(annotation)}."
    )
    if typing.get_origin(annotation) is tuple:
        inner = text[1:-1] if text[:1] + text[-1:] in ("[]", "()") else text
        parts = [part.strip().strip("'\"") for part in inner.split(",") if part.strip()]
        return tuple(_parse(part, typing.get_args(annotation)[0], key) for part in parts)
    if annotation is bool:
        if text.lower() not in ("true", "false"):
            raise wrong
        return text.lower() == "true"
    try:
        value = ast.literal_eval(text)
        if annotation is float and matches(value, int):
            value = float(value)
    except (
        ValueError,
        SyntaxError,
        OverflowError,
        MemoryError,
        RecursionError,
    ):  # the last two: too many brackets
        raise wrong from None
    if not matches(value, annotation):
        raise wrong
    return value


def _shipped(path: Path) -> Path:
    """`path`; where there is no such file, the one of the same name among the configurations that
    come with the project.
    """
    spec = importlib.util.find_spec("configs")
    if path.exists() or spec is None or not spec.origin or path.parent.name not in ("", "configs"):
        return path
    known = Path(spec.origin).parent / path.with_suffix(".py").name
    return known if known.is_file() else path


def load_config(path: str | Path) -> Config:
    """The `Config` that `get_config()` in the Python file `path` returns.

    "quick", or "configs/quick.py" where there is no such file, is the configuration of that name
    that comes with the project.

    Raises:
        UserError: no such file, no `get_config` in it, or something else than a `Config` from it.
    """
    path = _shipped(Path(path).expanduser())
    if not path.is_file():
        beside = (
            sorted(str(p) for p in path.parent.glob("*.py") if p.stem != "__init__")
            if path.parent.is_dir()
            else []
        )
        raise UserError(
            f"No config file {str(path)!r}. Expected a Python file like:"
            f" {', '.join(beside) or 'configs/quick.py'}."
        )
    spec = importlib.util.spec_from_file_location(f"madvae_config_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(
            f"Invalid config file {str(path)!r}: expected a Python file that ends in .py."
        )
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        config = module.get_config()
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(
            f"Invalid config file {str(path)!r}: {type(error).__name__}: {cause_of(error)}."
        ) from error
    if not isinstance(config, Config):
        kind = type(config).__name__
        raise UserError(
            f"Invalid config file {str(path)!r}: get_config() returned {kind}, expected a"
            " madvae_tf.config.Config."
        )
    return config
