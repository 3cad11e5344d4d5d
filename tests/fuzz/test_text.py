"""Text from a command line: a configuration, or one line that says what is wrong; never another
exception.
"""

import dataclasses

import pytest

pytest.importorskip("hypothesis")
from hypothesis import example, given
from hypothesis import strategies as st

from madvae_tf.config import Config, to_dict
from madvae_tf.config.overrides import load_config, override
from madvae_tf.utils.errors import UserError
from pipeline.engine.artifacts import canonical_json
from pipeline.graph.stages import build_stages

KEYS = ["seed", "seeds", "name"] + [
    f"{section.name}.{item.name}"
    for section in dataclasses.fields(Config)
    if dataclasses.is_dataclass(section.type)
    for item in dataclasses.fields(section.type)
]
# Values that look right, values that look nearly right, and anything.
VALUES = st.one_of(
    st.integers().map(str),
    st.floats().map(repr),
    st.lists(st.floats() | st.integers(), max_size=3).map(
        lambda values: str(values).replace(" ", "")
    ),
    st.sampled_from(
        [
            "",
            "true",
            "None",
            "[",
            "]]",
            "(" * 500,
            "9" * 5000,
            "1e999",
            "-1",
            "nan",
            "cls,cls",
            "1_0",
            "A",
        ]
    ),
    st.text(max_size=20),
)


def refused_or(work, *arguments):
    """What `work` returns, or None after a `UserError` of one line."""
    try:
        return work(*arguments)
    except UserError as error:
        assert "\n" not in str(error), str(error)
        return None


@given(st.sampled_from(KEYS), VALUES)
@example("vae.gamma", "9" * 400)
@example("vae.epochs", "(" * 500)
@example("vae.epochs", "-" * 100_000 + "1")
@example("attack.validation_confidence", "1e6")
@example("seed", "\x00")
@example("vae.variants", "\ud800")
def test_set(key, value):
    config = refused_or(override, Config(), [f"{key}={value}"])
    if config is not None:
        canonical_json(to_dict(config))
        refused_or(build_stages, config, "")


@given(st.text(max_size=40))
@example("=")
@example("vae.=1")
@example(".=1")
@example("vae..epochs=1")
@example("vae.__class__=1")
@example("vae.epochs.real=1")
def test_an_assignment_of_any_text(text):
    refused_or(override, Config(), [text])


@given(
    st.text(max_size=60)
    | st.sampled_from(
        ["get_config = 3", "def get_config(): return 1", "1/0", "import nothing_of_this_name"]
    )
)
@example("\x00")
@example("raise SystemExit(3)")
@example("raise ValueError('two\\nlines')")
def test_a_config_file_of_any_text(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("config") / "config.py"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    assert refused_or(load_config, path) is None
