"""The staged pipeline: content-addressed artifacts, a resumable runner, the stages and their
command line.

Importing `pipeline.engine.artifacts`, `pipeline.engine.plan` and `pipeline.engine.runner` loads no
TensorFlow: a run that has nothing to do takes seconds. Stage functions import what they need when
they are called.
"""
