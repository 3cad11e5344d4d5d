"""What a run that nothing happens to must leave, and what a further run makes of it: nothing anew."""  # noqa: E501

import json
import re
from pathlib import Path

from madvae_tf.report.names import FIELDS
from madvae_tf.report.schema import validate_rows
from madvae_tf.train import overrides_of
from tests.faults.score import Score
from tests.faults.tiny_all import get_config
from tests.faults.world import World

CONFIG = get_config()


class Smoke:
    """Looks at the workdir of the unbroken run, and asks the pipeline about it."""

    def __init__(self, world: World, score: Score, unbroken: Path) -> None:
        self.world, self.score, self.workdir = world, score, unbroken
        self.stages = len(list(unbroken.glob("artifacts/*/*/manifest.json")))

    def all(self) -> None:
        """Every one of them."""
        self.score.case("no fault", "report and exports", self.published)
        self.score.case("no fault", "rows of the report", self.rows)
        self.score.case("no fault", "a second run", self.second)
        self.score.case("no fault", "the door to one purifier", self.one_purifier)
        self.score.case("no fault", "another weight of the loss", self.another_gamma)

    def published(self) -> str:
        """The page, and a SavedModel of the classifier and of each variant."""
        names = ("classifier", *CONFIG.vae.variants)
        files = ["report/index.html", *(f"export/{name}/saved_model.pb" for name in names)]
        missing = [file for file in files if not (self.workdir / file).stat().st_size]
        dangling = [
            str(path) for path in self.workdir.rglob("*") if path.is_symlink() and not path.exists()
        ]
        assert not missing and not dangling, (missing, dangling)
        return ", ".join(names)

    def rows(self) -> str:
        """Each attack on each system, with as many images as were asked for."""
        results = json.loads((self.workdir / "report/results.json").read_text())
        rows, own = results["rows"], CONFIG.attack
        assert results["schema"] == 1 and results["run"]["source"]["kind"] == "folder", results[
            "run"
        ]["source"]
        validate_rows(rows)
        assert all(set(row) == set(FIELDS) for row in rows)
        table1 = {(row["attack"], row["defense"]): row for row in rows if row["table"] == "table1"}
        expected = {
            (a, d) for a in ("none", *own.test_attacks) for d in ("none", *CONFIG.vae.variants)
        }
        assert expected <= set(table1), expected - set(table1)
        for (attack, _), row in table1.items():
            assert row["n"] == (own.test_clean_images if attack == "none" else own.test_images), row
        cells = [row["value"] for row in rows if row["table"] == "table10"]
        assert len(cells) == 100 and sum(cells) == len(own.test_attacks[:3]) * own.test_images, sum(
            cells
        )
        known = {row["table"] for row in rows}
        wanted = {
            "attacks",
            "baselines",
            "clusters",
            "reference",
            "robustness",
            "table3a",
            "table3b",
            "time",
        }
        assert wanted <= known, wanted - known
        return f"{len(rows)} rows of {len(known)} tables"

    def second(self) -> str:
        """A run with nothing changed executes no stage and leaves every manifest as it was."""
        before = self._manifests()
        text = self.world.start(self.workdir).finish()
        assert f"0 of {self.stages} stages executed" in text, text[-300:]
        assert f"All {self.stages} stages are done already." in text
        assert self._manifests() == before
        assert not list(self.workdir.glob("artifacts/*/*.partial"))
        return f"0 of {self.stages} stages"

    def one_purifier(self) -> str:
        """`python -m madvae_tf.train` finds its purifier done."""
        before = self._manifests()
        overrides = [f"--set={assignment}" for assignment in overrides_of("combined")]
        text = self.world.start(self.workdir, "vae", *overrides).finish()
        # What one purifier needs: without test sets, evaluations and exports.
        found = re.search(r"All (\d+) stages are done already", text)
        assert found and int(found[1]) < self.stages / 2, text
        assert self._manifests() == before
        return f"{found[1]} stages, all done"

    def another_gamma(self) -> str:
        """The plan runs what depends on the weight and reuses the rest; a dry run writes nothing."""  # noqa: E501
        before = {str(path): path.lstat().st_mtime_ns for path in self.workdir.rglob("*")}
        text = self.world.start(self.workdir, "all", "--set=vae.gamma=0.3", "--dry_run").finish()
        states = dict(re.findall(r"^\[\d+/\d+\] (.+?) \(\w+\): (\w+)", text, re.MULTILINE))
        run = {label for label, state in states.items() if state == "run"}
        assert {
            "purifier combined",
            "evaluation of combined",
            "export of combined",
            "report",
        } <= run, run
        # All purifiers are in these, or the weights themselves.
        shared = (
            "report",
            "search for weights",
            "time per image",
            "black box, images made on substitute D",
        )
        assert all("combined" in label or label in shared for label in run), run
        assert {states[label] for label in states.keys() - run} == {"reuse"} and len(
            states
        ) == self.stages
        assert {str(path): path.lstat().st_mtime_ns for path in self.workdir.rglob("*")} == before
        return f"{len(run)} of {len(states)} stages"

    def _manifests(self) -> dict[str, int]:
        return {
            str(path): path.stat().st_mtime_ns
            for path in self.workdir.glob("artifacts/*/*/manifest.json")
        }
