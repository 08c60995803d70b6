"""A small part of the changed files of `tests/fuzz.py`; `python -m tests.fuzz` has the whole."""

import signal
import sys

import pytest

from tests import fuzz

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes in folders")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = fuzz.Base(tmp_path_factory.mktemp("fuzz"))
    assert base.bits  # the run that is changed, before any clock runs
    return base


@pytest.mark.parametrize("first", range(0, 120, 30))
def test_what_was_changed_gives_what_it_gave_or_one_line(base, first):
    signal.alarm(240)  # no test may hang
    ends = {fuzz.check(base, 1, number) for number in range(first, first + 30)}
    signal.alarm(0)
    assert {end.split(", ")[0] for end in ends} == {*fuzz.KINDS_OF_CASES}
    assert {end.split(", ")[1] for end in ends} == {"right", "refused"}


def test_the_harness_sees_a_wrong_result(base, monkeypatch):
    monkeypatch.setattr(base, "bits", base.bits[:-1])
    of_checkpoints = range(2, 90, 3)
    with pytest.raises(AssertionError):
        _ = [fuzz.check(base, 1, number) for number in of_checkpoints]


def test_500_changed_data_files_give_their_images_or_one_line(capfd):
    """In a process of its own, whose memory is that of the cases."""
    assert not fuzz.main(["--kinds", "load_data", "--count", "500", "--seed", "2"])
    assert capfd.readouterr().out.startswith("seed 2, 500 cases: ")
