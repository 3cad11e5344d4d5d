"""Stages as values, their plan, artifacts and execution: what does not know what the stages do."""
