"""The former name of `madvae_tf.evaluation`: its names and its command work for one release, with a
notice.
"""

import sys
from typing import Any

from madvae_tf import evaluation

sys.stderr.write(
    "madvae_tf.robustness is called madvae_tf.evaluation; the former name goes with the next"
    " release.\n"
)


def __getattr__(name: str) -> Any:
    return getattr(evaluation, name)


if __name__ == "__main__":
    from madvae_tf.evaluation.__main__ import run

    run()
