"""A small pipeline of text files: make -> double (two instances) -> total, which counts its calls."""  # noqa: E501

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.engine.plan import Context, Stage


class Toy:
    """Builds the toy pipeline; `calls` names the stage functions that ran, in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def _counted(self, name: str, work: Callable[[Context], None]) -> Callable[[Context], None]:
        def run(context: Context) -> None:
            self.calls.append(name)
            work(context)

        return run

    def stages(
        self,
        count: int = 3,
        left: int = 1,
        right: int = 2,
        version: int = 1,
        publish_to: str = "",
        total_run=None,
    ) -> list[Stage]:
        """In order: make, double left, double right, total."""

        def make(context: Context) -> None:
            (context.folder / "numbers.txt").write_text(
                " ".join(map(str, range(context.config["count"])))
            )

        def double(context: Context) -> None:
            numbers = (context.inputs["numbers"] / "numbers.txt").read_text().split()
            (context.folder / "deep").mkdir(exist_ok=True)
            scaled = (str(2 * int(number) + context.config["shift"]) for number in numbers)
            (context.folder / "deep" / "doubled.txt").write_text(" ".join(scaled))

        def total(context: Context) -> None:
            numbers = [
                int(number)
                for folder in context.inputs.values()
                for number in (folder / "deep" / "doubled.txt").read_text().split()
            ]
            (context.folder / "total.txt").write_text(str(sum(numbers)))

        made = Stage("make", "", version, {"count": count}, {}, self._counted("make", make))
        doubles = {
            name: Stage(
                "double", name, 1, {"shift": shift}, {"numbers": made}, self._counted(name, double)
            )
            for name, shift in (("left", left), ("right", right))
        }
        end = Stage(
            "total", "", 1, {}, doubles, self._counted("total", total_run or total), publish_to
        )
        return [made, *doubles.values(), end]


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "toy"


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` with its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(name="tree")
def tree_fixture() -> Callable[[Path], dict[str, bytes]]:
    return tree
