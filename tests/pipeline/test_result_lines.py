"""What a run ends with, from the report in its workdir."""

from madvae_tf.report import write_report
from pipeline.run import print_result


def row(defense: str, hits: int, **changes):
    """A row of 100 images; the interval is of no matter here."""
    own = {"table": "table1", "dataset": "mnist", "attack": "fgsm", "parameters": {"epsilon": 0.3}}
    own |= {
        "threat_model": "oblivious",
        "defense": defense,
        "metric": "accuracy",
        "value": hits / 100,
    }
    own |= {
        "ci_low": max(0, hits - 8) / 100,
        "ci_high": min(100, hits + 8) / 100,
        "n": 100,
        "seed": 0,
    }
    return {**own, "paper": None, **changes}


def aware(defense: str, hits: int):
    ball = {"norm": "linf", "epsilon": 0.3}
    own = {"table": "robustness", "threat_model": "end_to_end", "parameters": ball}
    return [row(defense, hits, **own, attack=attack) for attack in ("pgd_restarts", "worst_case")]


def test_the_result_is_printed_with_the_page_and_the_next_command(tmp_path, capsys):
    rows = [
        row("none", 15),
        row("pd", 98),
        row("robust", 96),
        *aware("pd", 0),
        *aware("robust", 93),
    ]
    write_report(tmp_path / "report", {"name": "quick", "command": "run"}, rows, {})
    (tmp_path / "export").mkdir()
    print_result(str(tmp_path))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "" and lines[1].startswith("Result ")
    assert [line.split("  ")[0] for line in lines[2:8:2]] == [
        *("Classifier alone", "Proximity and distance", "Robust")
    ]
    assert lines[8].startswith("Use Robust. ")
    assert lines[-3] == f"Page: {tmp_path}/report/index.html"
    assert lines[-1] == f"  make playground WORKDIR={tmp_path}"


def test_what_was_not_measured_is_said_at_the_end(tmp_path, capsys):
    write_report(tmp_path / "report", {"name": "quick", "command": "run"}, [row("pd", 98)], {})
    print_result(str(tmp_path))
    printed = capsys.readouterr().out
    assert (
        "not measured" in printed
        and "Warning: Not measured: attackers who know of the purifier" in printed
    )
    assert printed.endswith("--set=robustness.sanity_images=0\n")
