"""`python -m madvae_tf.playground --workdir=runs/quick`: the page, at http://127.0.0.1:7860."""

import os
import socket
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from madvae_tf.playground.session import Session
from madvae_tf.utils import console, signals
from madvae_tf.utils.errors import UserError

# Set before gradio is loaded: it asks its makers for nothing and tells them nothing.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

_WORKDIR = flags.DEFINE_string(
    "workdir", "runs/quick", "A run with exports; its test images are offered."
)
_PORT = flags.DEFINE_integer("port", 7860, "Of the page, on 127.0.0.1.", 1, 65535)


def main(argv: Sequence[str]) -> None:
    """Serves the page until it is interrupted."""
    if len(argv) > 1:
        raise UserError(
            f"Unknown argument {argv[1]!r}. Expected flags only, like --workdir=runs/quick; see"
            " --help."
        )
    workdir = Path(_WORKDIR.value).expanduser()
    session = Session(workdir / "export")
    try:
        from madvae_tf.playground.page import serve
    except ModuleNotFoundError as error:
        raise UserError(
            f"The playground needs the package {error.name}: pip install 'madvae_tf[playground]',"
            " or make playground."
        ) from error
    session.check()
    _check_port(_PORT.value)
    serve(session, workdir, _PORT.value)
    # What serves the page takes an interrupt for its own end.
    signals.raise_if_received()


def _check_port(port: int) -> None:
    with socket.socket() as found:
        # As servers do: what an ended one left behind does not hold the port.
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(
                f"--port={port} cannot be had on 127.0.0.1 ({error.strerror}). Give another one,"
                f" like --port={port % 65535 + 1}."
            ) from None


if __name__ == "__main__":
    console.run(main, __doc__ or "", ("workdir", "port"), "The playground ends.")
