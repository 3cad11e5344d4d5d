"""Imported first by the packages that use Keras: refuses a Keras that computes with something else
than TensorFlow.

Raises:
    UserError: on import, Keras' backend is, or will be, another one.
"""

import json
import os
import sys
from pathlib import Path

from madvae_tf.utils.errors import UserError


def chosen() -> tuple[str, str]:
    """Keras' backend, and what chose it; nothing is imported for it."""
    if "keras" in sys.modules:
        return sys.modules["keras"].config.backend(), "keras.config.backend()"
    if backend := os.environ.get("KERAS_BACKEND"):
        return backend, "KERAS_BACKEND"
    file = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json"
    try:
        return str(json.loads(file.read_text(encoding="utf-8")).get("backend", "tensorflow")), str(
            file
        )
    except (OSError, ValueError, AttributeError):
        return "tensorflow", "Keras' default"


def check() -> None:
    """Raises `UserError` where it is not TensorFlow."""
    backend, where = chosen()
    if backend != "tensorflow":
        raise UserError(
            f"Invalid Keras backend: received {backend!r} from {where}, expected 'tensorflow'; set"
            " KERAS_BACKEND=tensorflow before Keras is imported."
        )


check()
