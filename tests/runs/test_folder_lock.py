"""A folder has one process at a time, and the lock ends with its process."""

import subprocess
import sys

import pytest

from evoae.runs.folder_lock import locked
from evoae.runs.paths import check_free

CHILD = """if True:
    import pathlib, sys
    from evoae.runs.folder_lock import locked
    with locked(pathlib.Path(sys.argv[1])):
        print("locked", flush=True)
        sys.stdin.read()
"""


def test_a_killed_process_leaves_no_lock(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)], stdin=-1, stdout=-1, text=True
    )
    with child:
        assert child.stdout.readline() == "locked\n"
        with pytest.raises(ValueError, match="another process is at work in"), locked(tmp_path):
            pass
        child.kill()
    with locked(tmp_path):
        pass


def test_after_an_error_the_folder_is_free(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError
    with locked(tmp_path):
        pass


def test_what_a_run_left_that_was_killed_in_its_first_write_is_in_nobodys_way(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for name in ("checkpoints/.lock", ".config.json.0123abcd.tmp"):
        (tmp_path / name).touch()
    check_free(tmp_path)
    (tmp_path / "checkpoints/.config.json.0123abcd.tmp").touch()
    with pytest.raises(ValueError, match="has files"):
        check_free(tmp_path)
