"""Programs in a process of their own without the seconds that TensorFlow's import takes.

A server (Python's forkserver) has imported TensorFlow and done nothing with it; every program is a
fork of it. What a fresh interpreter must be asked (which modules an import loads, for instance)
needs `subprocess`.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

ROOT = Path(__file__).parents[1]
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tensorflow", "keras", "tensorflow_datasets"])


def start(
    arguments: Sequence[object],
    output: Path,
    errors: Path,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
) -> BaseProcess:
    """`python` with `arguments` ("-m", module, ... or "-c", code, ...), its output and errors in
    two files.
    """
    own = [str(argument) for argument in arguments]
    process = _CONTEXT.Process(
        target=_become,
        args=(own, str(output), str(errors), str(cwd), dict(os.environ if env is None else env)),
    )
    process.start()
    return process


def run(
    arguments: Sequence[object], cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess:
    """As `subprocess.run([sys.executable, *arguments], capture_output=True, text=True)`."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder) / "output", Path(folder) / "errors"
        process = start(arguments, output, errors, cwd, env)
        try:
            process.join()
        finally:
            process.kill()
        said = (file.read_text() if file.exists() else "" for file in (output, errors))
        return subprocess.CompletedProcess(list(arguments), process.exitcode or 0, *said)


def _become(arguments: list[str], output: str, errors: str, cwd: str, env: dict[str, str]) -> None:
    for descriptor, path in ((1, output), (2, errors)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(file, descriptor)
        os.close(file)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path[:0] = [cwd, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    how, what, *rest = arguments
    if how == "-m":
        sys.argv = [what, *rest]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        assert how == "-c", how
        sys.argv = ["-c", *rest]
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
