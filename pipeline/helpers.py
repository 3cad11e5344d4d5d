"""Helper processes: each executes the stages that it is sent, one at a time, and ends with the process that started it.

    python -m pipeline.helpers        stages come pickled on standard input, answers go back on standard output

A helper keeps what it loaded (TensorFlow, the data set, compiled attacks) for the stages that follow. It holds the workdir's lock, too:
when a run is killed, the next one can start only after the helpers have ended, and they end as soon as their input does.
"""

import contextlib
import os
import pickle
import struct
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from madvae_tf.errors import UserError

if TYPE_CHECKING:
    from pipeline.planning import Stage

_LENGTH = struct.Struct("<Q")
_ROOT = Path(__file__).resolve().parent.parent


class Answer(NamedTuple):
    """How a stage ended: whether its function ran, or the message of a user's mistake, or the traceback of a bug."""

    ran: bool = False
    mistake: str = ""
    bug: str = ""


def send(pipe: IO[bytes], value: Any) -> None:
    """Writes one value."""
    content = pickle.dumps(value)
    pipe.write(_LENGTH.pack(len(content)) + content)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """Reads one value. Raises EOFError where the other side has ended."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    content = pipe.read(_LENGTH.unpack(head)[0])
    return pickle.loads(content)


class Helper:
    """The parent's end of one helper process."""

    def __init__(self, lock: int):
        """`lock`: the descriptor of the workdir's lock, which the helper holds as well."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.helpers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(lock,),
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *_python_path()])},
        )

    def start(self, stage: "Stage", workdir: Path) -> None:
        """Sends a stage; the answer is read by `answer` when `fileno` becomes readable."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # `answer` says that it has ended.
            send(self._process.stdin, (stage, workdir))

    def answer(self, label: str) -> bool:
        """Waits for the answer: whether the stage's function ran.

        Raises:
            UserError: the stage raised one.
            RuntimeError: it raised something else, or the process has ended; traceback or status are in the message.
        """
        assert self._process.stdout is not None
        try:
            found: Answer = receive(self._process.stdout)
        except EOFError:
            status = self._process.wait()
            raise RuntimeError(f"The process of stage {label} ended with status {status}.") from None
        if found.mistake:
            raise UserError(found.mistake)
        if found.bug:
            raise RuntimeError(f"Stage {label} failed in its process:\n{found.bug}")
        return found.ran

    def fileno(self) -> int:
        """Of the pipe that answers come by."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def stop(self) -> None:
        """Ends the process; what it was at goes on from its last checkpoint or shard in another run."""
        self._process.terminate()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):  # what was not sent
                pipe.close()


def _python_path() -> list[str]:
    return [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]


def _serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    from pipeline.disk import disk_errors
    from pipeline.runner import execute

    arrived: list[Any] = []
    ready = threading.Semaphore(0)

    def read() -> None:
        # Beside the stage's work: the input ends when the parent does, and then nobody wants the result.
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
            with disk_errors(f"Stage {stage.label}", stage.partial(workdir)):
                answer = Answer(ran=execute(stage, workdir))
        except UserError as error:
            answer = Answer(mistake=str(error))
        except Exception:  # Whatever it is, the parent is told.
            answer = Answer(bug=traceback.format_exc())
        send(answers, answer)


def main() -> None:
    """The helper's end."""
    from pipeline.run import set_up_logging

    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # The answers keep the pipe; what libraries print goes to standard error.
    os.dup2(2, 1)
    set_up_logging()
    try:
        _serve(requests, answers)
    except KeyboardInterrupt:
        os._exit(130)


if __name__ == "__main__":
    # Under its own name: what it sends is unpickled as `pipeline.helpers.Answer`.
    from pipeline import helpers

    helpers.main()
