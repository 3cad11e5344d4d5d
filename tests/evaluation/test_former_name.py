"""`madvae_tf.robustness`, the former name of the package."""

import subprocess
import sys


def test_the_former_name_works_with_a_notice():
    code = (
        "from madvae_tf.robustness import Threat; from madvae_tf.evaluation import Threat as now;"
        " assert Threat is now"
    )
    for command in (["-c", code], ["-m", "madvae_tf.robustness", "--help"]):
        process = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, check=False
        )
        assert process.returncode == 0
        assert process.stderr.startswith("madvae_tf.robustness is called madvae_tf.evaluation;")
