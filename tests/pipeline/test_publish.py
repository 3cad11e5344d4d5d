"""The fixed places: copied, skipped, repaired, swapped whole, and never at the cost of somebody
else's files.
"""

import pytest

from madvae_tf.utils.errors import UserError
from pipeline.engine import publish
from pipeline.engine.runner import run_stages


def test_published_copy_has_the_content_and_a_marker(toy, workdir, tree):
    stages = toy.stages(publish_to="report")
    run_stages(stages, workdir)
    assert tree(workdir / "report") == {
        "total.txt": b"21",
        ".artifact": stages[3].key.encode() + b"\n",
    }
    assert not list(workdir.glob(".report*"))


def test_unchanged_copy_is_left_alone_and_a_new_artifact_replaces_it(toy, workdir):
    run_stages(toy.stages(publish_to="report"), workdir)
    before = (workdir / "report").stat().st_ino
    run_stages(toy.stages(publish_to="report"), workdir)
    assert (workdir / "report").stat().st_ino == before
    run_stages(toy.stages(publish_to="report", left=5), workdir)
    assert (workdir / "report" / "total.txt").read_text() == "33"


@pytest.mark.parametrize("text", [None, "x", ""])
def test_a_file_that_was_deleted_or_cut_is_copied_again(toy, workdir, text):
    run_stages(toy.stages(publish_to="report"), workdir)
    path = workdir / "report" / "total.txt"
    path.unlink() if text is None else path.write_text(text)
    assert run_stages(toy.stages(publish_to="report"), workdir).executed == []
    assert path.read_text() == "21"


def test_several_artifacts_under_one_parent(toy, workdir):
    run_stages(toy.stages(publish_to="export/vanilla"), workdir)
    run_stages(toy.stages(publish_to="export/cls", left=5), workdir)
    assert (workdir / "export" / "vanilla" / "total.txt").read_text() == "21"
    assert (workdir / "export" / "cls" / "total.txt").read_text() == "33"
    assert sorted(path.name for path in (workdir / "export").iterdir()) == ["cls", "vanilla"]


def test_leftovers_of_a_killed_swap_are_removed(toy, workdir, tree):
    stages = toy.stages(publish_to="report")
    run_stages(stages, workdir)
    expected = tree(workdir / "report")
    (workdir / "report").rename(workdir / ".report.old")
    (workdir / ".report.tmp").mkdir()
    (workdir / ".report.tmp" / "half").write_text("half")
    run_stages(stages, workdir)
    assert tree(workdir / "report") == expected
    assert not list(workdir.glob(".report*"))


def test_a_copy_that_fails_leaves_the_old_one_whole(toy, workdir, tree, monkeypatch):
    run_stages(toy.stages(publish_to="report"), workdir)
    before = tree(workdir / "report")

    def fail(source, target):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(publish.shutil, "copyfile", fail)
    with pytest.raises(UserError, match="no space left"):
        run_stages(toy.stages(publish_to="report", left=5), workdir)
    assert tree(workdir / "report") == before


def foreign_folder(path):
    path.mkdir(parents=True)
    (path / "thesis.tex").write_text("mine")


def foreign_file(path):
    path.parent.mkdir(parents=True)
    path.write_text("mine")


def foreign_parent(path):
    path.parent.parent.mkdir(parents=True)
    path.parent.write_text("mine")


def foreign_link(path):
    path.parent.mkdir(parents=True)
    target = path.parent / "elsewhere"
    target.mkdir()
    (target / "thesis.tex").write_text("mine")
    path.symlink_to(target)


@pytest.mark.parametrize("make", [foreign_folder, foreign_file, foreign_parent, foreign_link])
def test_somebody_elses_files_stop_the_run_before_it_starts(toy, workdir, tree, make):
    make(workdir / "export" / "vanilla")
    with pytest.raises(
        UserError, match=r"Cannot publish to .*export/vanilla.*move it away and run again"
    ):
        run_stages(toy.stages(publish_to="export/vanilla"), workdir)
    assert toy.calls == []
    assert b"mine" in tree(workdir).values()


def test_an_empty_folder_is_taken(toy, workdir):
    (workdir / "report").mkdir(parents=True)
    run_stages(toy.stages(publish_to="report"), workdir)
    assert (workdir / "report" / "total.txt").exists()
