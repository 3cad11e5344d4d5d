"""A child process that does what it is told, so that contestants of different libraries never share
a process.

    python -m benchmarks.worker benchmarks.workers.ours_training

The module holds OPERATIONS, name -> function of keyword arguments that JSON can hold, and so is
what it returns. Requests and answers are lines of JSON on standard input and output. The process
stays, so that what it compiled and loaded serves every round.
"""

import argparse
import contextlib
import importlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


class WorkerError(RuntimeError):
    """An operation failed in the child; the message holds its traceback."""


class Worker:
    """The parent's end: `worker.call("step", batch=64)`. A context manager, which ends the process."""  # noqa: E501

    def __init__(self, python: str | Path, module: str):
        self.module = module
        command = [str(python), "-m", "benchmarks.worker", module]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def call(self, operation: str, **arguments: Any) -> Any:
        """What the operation returns. Raises `WorkerError` if it failed, or if the process has
        ended.
        """
        try:
            assert (
                self._process.stdin is not None and self._process.stdout is not None
            )  # both are pipes
            self._process.stdin.write(
                json.dumps({"operation": operation, "arguments": arguments}) + "\n"
            )
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:  # Its pipe closed: it ends, if it has not yet.
            status = self._process.wait(timeout=60)
            raise WorkerError(
                f"{self.module} ended in {operation!r} with status {status}; its messages are"
                " above."
            )
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{self.module}, {operation} {arguments}:\n{answer['error']}")
        return answer["result"]

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def serve(module: str) -> None:
    """The child's end: answers until standard input closes."""
    # The answers keep the pipe; what libraries print goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    operations = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if operations is None:
                operations = importlib.import_module(module).OPERATIONS
            answer = {"result": operations[request["operation"]](**request["arguments"])}
        except Exception:  # Whatever it is, the parent is told.
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def main(arguments: Sequence[str]) -> None:
    """`python -m benchmarks.worker MODULE`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("module")
    serve(parser.parse_args(arguments).module)


if __name__ == "__main__":
    main(sys.argv[1:])
