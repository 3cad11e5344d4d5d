"""The graph of a configuration as tests ask for it."""

from madvae_tf.config import Config
from madvae_tf.config.overrides import load_config, override
from pipeline.engine.plan import with_inputs
from pipeline.graph.stages import STAGES, build_stages


def stages(*assignments, config=None, command="run"):
    """Every stage by its label; of the default configuration, or of a file of configs/ by its name."""  # noqa: E501
    base = load_config(f"configs/{config}.py") if config else Config()
    graph = build_stages(override(base, assignments), command)
    assert tuple(graph) == STAGES
    return {stage.label: stage for kind in STAGES for stage in graph[kind]}


def upstream(stage):
    """Labels of all that it is made from."""
    return {each.label for each in with_inputs([stage])} - {stage.label}
