"""Where `pipeline` and `configs` are.

In a checkout they lie beside this package. An installation holds them in `madvae_tf/_shipped`,
where their names cannot meet another project's: they are on the path of this package's commands
only.
"""

import os
import sys
from pathlib import Path


def bind() -> Path:
    """Puts the folder that holds `pipeline` and `configs` first on the path, for the processes that
    this one starts, too; returns it.
    """
    here = Path(__file__).resolve().parents[1]
    shipped = here / "_shipped"
    home = shipped if shipped.is_dir() else here.parent
    if str(home) not in sys.path:
        sys.path.insert(0, str(home))
        os.environ["PYTHONPATH"] = os.pathsep.join(
            filter(None, (str(home), os.environ.get("PYTHONPATH", "")))
        )
    return home
