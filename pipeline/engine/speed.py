"""How long stages take here: `costs` says it for a quiet machine, what has run says how much longer
it is on this one.

Stages of one kind are alike: what a kind has shown weighs more the more of it there is, and until
then what all kinds have shown.
"""

from collections.abc import Iterable, Sequence

from pipeline.engine.plan import PlanStep, Stage

# A download says nothing of how fast this machine computes.
_APART = ("data",)
# What any stage takes to read its inputs and to compile.
_START = 3.0
# The seconds that the guess before weighs as much as.
_OF_A_KIND, _OF_ALL = 10.0, 20.0
# Two stages at a time share the cores: together they are a quarter faster than one after the other.
_GAIN = 1.25


class Speed:
    """What stages are likely to take, from `costs` and from what was measured.

    Args:
        jobs: how many stages run at a time.
        steps: the plan; those that are done tell what they have taken.
    """

    def __init__(self, jobs: int, steps: Iterable[PlanStep] = ()) -> None:
        self._jobs = jobs
        self._first = 1.0 if jobs == 1 else jobs / _GAIN
        self._expected: dict[str, float] = {}
        self._took: dict[str, float] = {}
        for step in steps:
            if step.state == "done":
                self.measured(step.stage, step.seconds)

    def measured(self, stage: Stage, seconds: float) -> None:
        """That the stage has taken so long."""
        self._expected[stage.stage] = self._expected.get(stage.stage, 0.0) + _expected(stage)
        self._took[stage.stage] = self._took.get(stage.stage, 0.0) + seconds

    def seconds(self, stage: Stage) -> float:
        """What the stage is likely to take."""
        kinds = [kind for kind in self._expected if kind not in _APART]
        expected, took = (sum(of[kind] for kind in kinds) for of in (self._expected, self._took))
        common = (
            1.0 if stage.stage in _APART else (took + _OF_ALL * self._first) / (expected + _OF_ALL)
        )
        own = self._took.get(stage.stage, 0.0) + _OF_A_KIND * common
        return _expected(stage) * own / (self._expected.get(stage.stage, 0.0) + _OF_A_KIND)

    def left(self, waiting: Sequence[Stage], running: Sequence[tuple[Stage, float]]) -> float:
        """Seconds to the end of the run.

        Args:
            waiting: stages that have not begun, inputs before what reads them.
            running: stages that have, and the seconds since.
        """
        there = {stage.key: max(self.seconds(stage) - spent, 1.0) for stage, spent in running}
        every = [*(stage for stage, _ in running), *waiting]
        costs = {stage.key: there.get(stage.key) or self.seconds(stage) for stage in every}
        ends: dict[str, float] = {}
        for stage in every:
            start = max(
                (ends.get(upstream.key, 0.0) for upstream in stage.inputs.values()), default=0.0
            )
            ends[stage.key] = start + costs[stage.key]
        # What waits for each other cannot run side by side.
        return max(sum(costs.values()) / self._jobs, max(ends.values(), default=0.0))


def _expected(stage: Stage) -> float:
    return stage.cost + _START
