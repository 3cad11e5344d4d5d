"""The DirectRunner's worker processes, watched: one that is killed ends the run with an error,
where Beam alone would wait for ever.

Only `pipeline.steps.beam` loads this module.
"""

import contextlib
import logging as std_logging
import threading
from collections.abc import Iterator
from typing import Any

import grpc
from absl import logging
from apache_beam.portability import python_urns  # pyright: ignore[reportMissingImports]
from apache_beam.portability.api import beam_fn_api_pb2  # pyright: ignore[reportMissingImports]
from apache_beam.runners.portability import (  # pyright: ignore[reportMissingImports]
    local_job_service,
)
from apache_beam.runners.portability.fn_api_runner import (  # pyright: ignore[reportMissingImports]
    worker_handlers,
)
from apache_beam.runners.worker import data_plane  # pyright: ignore[reportMissingImports]

LOST = "a worker process was lost"


@contextlib.contextmanager
def without_tracebacks() -> Iterator[None]:
    """The threads that talked to a worker which is lost say so with tracebacks; the run's own line
    is enough.
    """
    before, logger = threading.excepthook, std_logging.getLogger(data_plane.__name__)
    level = logger.level
    threading.excepthook = lambda what: (
        None if issubclass(what.exc_type, grpc.RpcError) else before(what)
    )
    logger.setLevel(std_logging.CRITICAL)
    try:
        yield
    finally:
        threading.excepthook = before
        logger.setLevel(level)


# Registered in the place of the class that it extends.
@worker_handlers.WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)
class WatchedWorkerHandler(worker_handlers.SubprocessSdkWorkerHandler):
    """Answers for a worker that has gone whatever the runner asks of it: that it was lost."""

    def start_worker(self) -> None:
        self._stopped = threading.Event()
        self.worker = local_job_service.SubprocessSdkWorker(
            self._worker_command_line, self.control_address, self.provision_info, self.worker_id
        )
        self.worker_thread = threading.Thread(name="run_worker", target=self._run, daemon=True)
        self.worker_thread.start()

    def _run(self) -> None:
        try:
            self.worker.run()
        except RuntimeError as error:
            if not self._stopped.is_set():
                logging.warning(
                    "%s (%s); what the others have in hand is made first.", LOST.capitalize(), error
                )
        # Questions may still be asked, so not once but until the runner has given up.
        while not self._stopped.wait(0.2):
            waiting: dict[str, Any] = self.control_conn._futures_by_id
            for number in list(waiting):
                future = waiting.pop(number, None)
                if future is not None:
                    future.set(
                        beam_fn_api_pb2.InstructionResponse(instruction_id=number, error=LOST)
                    )

    def close(self) -> None:
        self._stopped.set()
        try:
            super().close()
        except grpc.RpcError:
            # What is left of a worker that is lost; one that works closes without.
            self.stop_worker()
