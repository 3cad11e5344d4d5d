"""Notices a process that was forked from one whose TensorFlow had started: there TensorFlow waits
for ever.

Its threads stay behind in the parent. So whoever calls it gets one line in place of a hang.
"""

import os
import sys

from madvae_tf.utils.errors import UserError

_stranded = False


def _note_fork() -> None:
    global _stranded
    context = sys.modules.get("tensorflow.python.eager.context")
    # Not public; where it has another name, a fork is not noticed.
    current = getattr(context, "context_safe", lambda: None)()
    _stranded = _stranded or bool(getattr(current, "_initialized", False))


os.register_at_fork(after_in_child=_note_fork)


def check_process() -> None:
    """Raises `UserError` in a process that was forked after TensorFlow had started."""
    if _stranded:
        raise UserError(
            "TensorFlow had started before this process was forked, and cannot be used in it;"
            ' expected a process of its own: use multiprocessing.get_context("spawn"), or fork'
            " before anything is computed."
        )
