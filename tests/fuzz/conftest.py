"""Few examples and always the same ones, so that the suite stays quick; HYPOTHESIS_PROFILE=long for
a search of one's own.
"""

import os

import pytest

hypothesis = pytest.importorskip("hypothesis")
hypothesis.settings.register_profile(
    "quick", max_examples=25, deadline=None, derandomize=True, database=None
)
hypothesis.settings.register_profile("long", max_examples=2000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
