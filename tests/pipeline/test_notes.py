"""What is said of a baseline names every size that is not its authors'."""

from madvae_tf.config import BaselinesConfig
from madvae_tf.config.defenses import BASELINES, baseline_notes


def test_sizes_that_differ_are_named_with_both_values_and_others_are_not():
    own = BaselinesConfig(
        names=("defense_gan", "magnet", "blur"), gan_iterations=1500, gan_restarts=4
    )
    notes = baseline_notes(own)
    assert (
        notes["defense_gan"]
        == "Not its authors’ size: gan_iterations 1500 (authors: 200000), gan_restarts 4 (authors:"
        " 10)."
    )
    assert "authors’ size" not in notes["magnet"] and "blur" not in notes


def test_a_note_is_of_a_known_baseline():
    everything = baseline_notes(BaselinesConfig(names=tuple(BASELINES)))
    assert set(everything) <= set(BASELINES)
    assert not any("authors’ size" in note for note in everything.values())
