"""The commands `madvae-run` and `madvae-train`: `python -m pipeline.run` and `python -m madvae_tf.train`, wherever one is.

In a checkout the packages `pipeline` and `configs` lie beside this one. An installation holds them in `madvae_tf/_shipped`, where
their names cannot meet another project's: they are on the path of these two commands' processes only.
"""

import os
import sys
from pathlib import Path


def bind() -> Path:
    """Puts the folder that holds `pipeline` and `configs` first on the path, for the processes that this one starts, too; returns it."""
    here = Path(__file__).resolve().parent
    shipped = here / "_shipped"
    home = shipped if shipped.is_dir() else here.parent
    if str(home) not in sys.path:
        sys.path.insert(0, str(home))
        os.environ["PYTHONPATH"] = os.pathsep.join(
            filter(None, (str(home), os.environ.get("PYTHONPATH", "")))
        )
    return home


def run() -> None:
    """Entry point of `madvae-run`."""
    bind()
    from pipeline import run as door

    door.define_stage()
    door.run(document=door.__doc__ or "")


def train() -> None:
    """Entry point of `madvae-train`."""
    bind()
    from madvae_tf import train as command
    from pipeline import run as door

    door.run(command.main, document=command.__doc__ or "")
