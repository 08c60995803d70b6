"""Checkpoints: what was saved comes back, and damage is always noticed."""

import contextlib
import json
import os
import resource
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evoae.runs import checkpoint_files as checkpoint
from evoae.runs.checkpoint_files import CheckpointError, newest, read, restore, save

TREE = {
    "floats": (jnp.float32([-0.0, jnp.nan, jnp.inf, 1e-42]), jnp.float32(0.1)),
    "keys": jax.random.split(jax.random.key(3), 2),
    "nothing": (None, {}, jnp.zeros((0, 3), jnp.float32)),
    "half": jnp.array([1.5, -jnp.inf, jnp.nan], jnp.bfloat16),
    "others": [jnp.bool_(True), jnp.int32(-7), jnp.arange(6, dtype=jnp.uint8).reshape(2, 3)],
}
RECORD = {"seconds": 0.1, "name": "é", "list": [1, None]}


def as_bytes(tree):
    data = lambda leaf: (  # noqa: E731
        jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
    )
    return [(leaf.dtype, np.asarray(data(leaf)).tobytes()) for leaf in jax.tree.leaves(tree)]


def steps(folder):
    return sorted(path.name for path in folder.iterdir())


@contextlib.contextmanager
def largest_file(size):
    """To a program, a limit of the file size is as a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    for step in (5, 40, 300):
        save(folder, step, TREE, RECORD | {"step": step})
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "copy")


def test_every_bit_comes_back(written):
    found, reasons = newest(written)
    assert (found.step, found.record, reasons) == (300, RECORD | {"step": 300}, [])
    restored = restore(found, like=jax.tree.map(jnp.zeros_like, TREE))
    assert as_bytes(restored) == as_bytes(TREE)
    assert jax.tree.structure(restored) == jax.tree.structure(TREE)
    assert restored["nothing"][2].shape == (0, 3)


def test_the_newest_three_are_kept_and_nothing_of_a_course_that_was_left(folder):
    save(folder, 1_000, TREE, {})
    assert steps(folder) == ["1000", "300", "40"]
    (folder / ".77.tmp").mkdir()  # of a process that was killed
    save(folder, 50, TREE, {})
    assert steps(folder) == ["40", "50"]


def damages(folder):
    """Each file of a checkpoint with every region of its bytes flipped, cut away, or all gone."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        for place in sorted({len(content) * part // 240 for part in range(240)}):
            flipped = bytearray(content)
            flipped[place] ^= 1 << place % 8
            yield path, bytes(flipped)
            yield path, content[:place]
        yield path, content + b"\0"
        yield path, None


def test_damage_anywhere_leads_to_the_checkpoint_before(folder):
    whole, cases = read(folder / "300"), 0
    for path, damaged in damages(folder / "300"):
        content = path.read_bytes()
        path.unlink() if damaged is None else path.write_bytes(damaged)
        found, reasons = newest(folder)
        if found.step == 300:  # a blank for a blank, such as a line's end
            assert (path.name, found) == ("manifest.json", whole)
        else:
            assert found.step == 40
            assert reasons[0].startswith("checkpoint 300 ")
        path.write_bytes(content)
        cases += 1
    assert cases > 400
    assert newest(folder) == (whole, [])


def test_files_and_checkpoints_that_were_exchanged_are_noticed(folder):
    (folder / "300" / "more").touch()
    shutil.copytree(folder / "40", folder / "500")
    found, reasons = newest(folder)
    assert found.step == 40
    assert reasons == [
        "checkpoint 500 is that of step 40, renamed",
        "checkpoint 300 is damaged: more is not what was written",
    ]


def test_without_a_whole_one_the_reasons_are_told(folder, tmp_path):
    for step in ("5", "40", "300"):
        (folder / step / "manifest.json").write_bytes(b"{")
    with pytest.raises(CheckpointError, match="can be used: checkpoint 300 has no manifest"):
        newest(folder)
    with pytest.raises(CheckpointError, match="there is none, so that the run must begin anew"):
        newest(tmp_path / "nowhere")


def test_another_schema_is_named(folder, monkeypatch):
    monkeypatch.setattr(checkpoint, "SCHEMA", checkpoint.SCHEMA + 1)
    with pytest.raises(CheckpointError, match="has schema 3, and this version of evoae reads 4"):
        newest(folder)


@pytest.mark.parametrize(
    ("place", "leaf", "message"),
    [
        ("more", jnp.zeros(2, jnp.float32), r"has nothing for more, not float32\[2\]"),
        ("keys", jnp.zeros(2, jnp.float32), r"has key<fry>\[2\] for keys, not float32\[2\]"),
        (
            "floats",
            (jnp.zeros(5, jnp.float32), jnp.float32(0)),
            r"has float32\[4\] for floats/0, not float32",
        ),
        ("others", [jnp.bool_(0), jnp.int32(0)], r"has uint8\[2,3\] for others/2, not nothing"),
    ],
)
def test_arrays_of_another_model_are_refused(written, place, leaf, message):
    with pytest.raises(CheckpointError, match=message):
        restore(newest(written)[0], like=TREE | {place: leaf})


def test_shapes_may_differ_where_they_are_said_to(written):
    like = TREE | {"others": [jnp.bool_(True), jnp.int32(-7), jnp.zeros((9, 3), jnp.uint8)]}
    restored = restore(newest(written)[0], like=like, same_shapes=False)
    assert as_bytes(restored) == as_bytes(TREE)


def resealed(path, change):
    """Changes a manifest, and seals it again as if that had been written."""
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["sha256"]
    change(manifest)
    seal = checkpoint._seal(manifest)
    (path / "manifest.json").write_text(json.dumps({"sha256": seal, **manifest}))


NONSENSE = (None, True, -1, 2**62, 10**400, 1e308, "x", "float32[-1]", [], {}, [[]])
HUGE = ("float32[4611686018427387904]", "float32[3,999999999999]", f"float32[{'9' * 5_000}]")


@pytest.mark.parametrize("part", ["schema", "step", "record", "leaves", "files"])
def test_nonsense_that_is_sealed_is_refused(folder, part):
    for value in NONSENSE:
        if (part, value) != ("record", {}):  # which is no business of the arrays
            resealed(folder / "300", lambda manifest, value=value: manifest.update({part: value}))
            with pytest.raises(CheckpointError) as raised:
                restore(read(folder / "300"), like=TREE)
            assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", [*NONSENSE, *HUGE, "float32[3]", "float32[5]", "float32[4,]"])
@pytest.mark.parametrize("same_shapes", [True, False])
def test_shapes_that_are_sealed_must_fit_the_file(folder, kind, same_shapes):
    resealed(folder / "300", lambda manifest: manifest["leaves"].update({"floats/0": kind}))
    with pytest.raises(CheckpointError) as raised:
        restore(read(folder / "300"), like=TREE, same_shapes=same_shapes)
    assert "\n" not in str(raised.value)


def test_arrays_in_another_order_are_not_exchanged(tmp_path):
    save(tmp_path, 1, {"a": jnp.zeros(2), "b": jnp.ones(2)}, {})
    path = tmp_path / "1" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["leaves"] = dict(reversed(manifest["leaves"].items()))
    path.write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match=r"manifest.json is not what was written"):
        read(tmp_path / "1")


@pytest.mark.parametrize("size", [0, 100, 3_000])
def test_a_full_disk_leaves_what_was_there(folder, size, capfd):
    noise = jax.random.normal(jax.random.key(0), (5_000,))
    with largest_file(size), pytest.raises(OSError, match="File too large"):
        save(folder, 400, {"noise": noise}, {})
    assert steps(folder) == ["300", "40", "5"]
    assert newest(folder)[0].step == 300
    assert capfd.readouterr() == ("", "")
    save(folder, 400, {"noise": noise}, {})
    assert newest(folder)[0].step == 400


def test_a_manifest_is_plain_json(written):
    manifest = json.loads((written / "300" / "manifest.json").read_text())
    assert manifest["record"] == RECORD | {"step": 300}
    assert manifest["leaves"]["floats/1"] == "float32[]"
    assert len(manifest["files"]) == sum(len(files) for *_, files in os.walk(written / "300")) - 1
