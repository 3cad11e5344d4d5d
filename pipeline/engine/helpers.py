"""Helper processes: each executes the stages that it is sent, one at a time, and ends with the
process that started it.

    python -m pipeline.engine.helpers        stages come pickled on standard input; lines of the log, what moves bars, and answers go back on standard output

A helper keeps what it loaded (TensorFlow, the data set, compiled attacks) for the stages that
follow. It holds the workdir's lock, too:
when a run is killed, the next one can start only after the helpers have ended, and they end as soon
as their input does.
"""  # noqa: E501

import contextlib
import os
import pickle
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from absl import logging

from madvae_tf.utils import console
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.progress import Moved, send_to, titled

if TYPE_CHECKING:
    from pipeline.engine.plan import Stage

_LENGTH = struct.Struct("<Q")
_ROOT = Path(__file__).resolve().parents[2]


class Answer(NamedTuple):
    """How a stage ended: whether its function ran, or the message of a user's mistake, or the
    traceback of a bug.
    """

    ran: bool = False
    mistake: str = ""
    bug: str = ""


def send(pipe: IO[bytes], value: Any) -> None:
    """Writes one value."""
    content = pickle.dumps(value)
    left = memoryview(_LENGTH.pack(len(content)) + content)
    while left:
        left = left[pipe.write(left) :]
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """Reads one value. Raises EOFError where the other side has ended."""
    return pickle.loads(_exactly(pipe, _LENGTH.unpack(_exactly(pipe, _LENGTH.size))[0]))  # noqa: S301


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    parts = []
    while size:
        part = pipe.read(size)
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


class Helper:
    """The parent's end of one helper process."""

    def __init__(self, lock: int):
        """`lock`: the descriptor of the workdir's lock, which the helper holds as well."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.engine.helpers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # What lay in a buffer of ours, `fileno` would not show.
            pass_fds=(lock,),
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *_python_path()])},
        )

    def start(self, stage: "Stage", workdir: Path) -> None:
        """Sends a stage; what the helper tells is read by `receive` when `fileno` becomes readable."""  # noqa: E501
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # `receive` says that it has ended.
            send(self._process.stdin, (stage, workdir))

    def receive(self, title: str) -> "str | Moved | Answer":
        """Waits for what the helper tells next of the stage of that title: a line of the log, where
        a bar stands, or at last the answer.

        Raises:
            UserError: the stage raised one.
            RuntimeError: it raised something else, or the process has ended; traceback or status
                are in the message.
        """
        assert self._process.stdout is not None
        try:
            found = receive(self._process.stdout)
        except EOFError:
            status = self._process.wait()
            raise RuntimeError(
                f"The process of stage {title} ended with status {status}."
            ) from None
        if isinstance(found, Answer) and found.mistake:
            raise UserError(found.mistake)
        if isinstance(found, Answer) and found.bug:
            raise RuntimeError(f"Stage {title} failed in its process:\n{found.bug}")
        return found

    def fileno(self) -> int:
        """Of the pipe that it tells by."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def stop(self) -> None:
        """Ends the process; what it was at goes on from its last checkpoint or shard in another
        run.
        """
        self._process.terminate()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):  # what was not sent
                pipe.close()


def _python_path() -> list[str]:
    return [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]


def _serve(requests: IO[bytes], tell: Callable[[Any], None]) -> None:
    from pipeline.engine.disk import disk_errors
    from pipeline.engine.runner import execute

    arrived: list[Any] = []
    ready = threading.Semaphore(0)

    def read() -> None:
        # Beside the stage's work: the input ends when the parent does, and then nobody wants the
        # result.
        try:
            while True:
                arrived.append(receive(requests))
                ready.release()
        except EOFError:
            os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    while True:
        ready.acquire()
        stage, workdir = arrived.pop(0)
        try:
            with titled(stage.title), disk_errors(f"Stage {stage.title}", stage.partial(workdir)):
                answer = Answer(ran=execute(stage, workdir))
        except UserError as error:
            answer = Answer(mistake=str(error))
        except Exception:  # Whatever it is, the parent is told.
            answer = Answer(bug=traceback.format_exc())
        tell(answer)


def main() -> None:
    """The helper's end."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # The answers keep the pipe; what libraries print goes to standard error.
    os.dup2(2, 1)
    console.quiet()
    logging.set_verbosity(logging.INFO)
    turn = threading.Lock()

    def tell(value: Any) -> None:
        with turn:
            send(answers, value)

    # This process has no place on the terminal of its own: the parent draws its bars and writes its
    # lines.
    send_to(tell)
    try:
        _serve(requests, tell)
    except KeyboardInterrupt:
        os._exit(130)


if __name__ == "__main__":
    # Under its own name: what it sends is unpickled as `pipeline.engine.helpers.Answer`.
    from pipeline.engine import helpers

    helpers.main()
