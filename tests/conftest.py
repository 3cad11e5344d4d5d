"""What every test gets: a quiet TensorFlow on the CPU, no window for matplotlib, and draws of its
own.
"""

import os
import random
import sys

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("MPLBACKEND", "Agg")


def pytest_runtest_setup(item):
    """Initial weights that a test or its fixtures draw without a seed are the same whatever ran
    before.
    """
    random.seed(0)
    np.random.seed(0)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)
