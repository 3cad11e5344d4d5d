"""Input channels: what goes in under a name comes out under it, and other inputs are no members."""

from pathlib import Path

from pipeline.engine.channels import channel, members
from pipeline.engine.plan import Context


def test_members_are_those_of_the_channel_alone_in_their_order():
    inputs = {"data": 1} | channel("set", {"pgd": 2, "fgsm": 3}) | channel("setting", {"pgd": 4})
    assert list(members(inputs, "set").items()) == [("pgd", 2), ("fgsm", 3)]
    assert members(inputs, "setting") == {"pgd": 4} and members(inputs, "data") == {}


def test_a_name_may_hold_the_separator():
    assert members(channel("part", {"transfer:apgd": 1}), "part") == {"transfer:apgd": 1}


def test_a_stage_reads_its_channels(tmp_path):
    context = Context(
        tmp_path, tmp_path, channel("vae", {"pd": Path("a")}) | {"vae": Path("b")}, {}
    )
    assert context.channel("vae") == {"pd": Path("a")}
