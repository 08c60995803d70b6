"""The paper's figures and claims: each made at a tiny budget, stopped, and gone on with."""

import csv
import dataclasses
import io
import json
import os

import jax
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import evoae
from evoae import encodings
from evoae.cli.entry_point import main
from evoae.experiments.paper.encodings import experiment as proposal
from evoae.experiments.paper.figure4 import fit_to_evaluations
from evoae.experiments.paper.harness import kept_parts
from evoae.experiments.paper.harness.execution import run_experiment
from evoae.experiments.paper.harness.kept_parts import Parts
from evoae.experiments.paper.harness.networks import map_networks
from evoae.experiments.paper.harness.pictures import draw_rows
from evoae.experiments.paper.registry import EXPERIMENTS, reproduce
from evoae.layers import Dense, Reshape
from evoae.models import MODELS
from evoae.runs import train
from evoae.runs.config import PRESETS
from evoae.runs.task import prepare

TINY = {
    "fig1": {"networks": 3, "seeds": 2, "generations": 1},
    "fig2": {"seeds": 2, "generations": 10},
    "fig3": {"seeds": 2, "generations": 2},
    "fig4": {"seeds": 1, "generations": 40},
    "claims": {
        "seeds": 2,
        "generations": 1,
        "agents": (2, 10),
        "mutated_weights": (1, 10),
        "more_agents": (10, 20),
        "ten_generations": 1,
        "many_weights": (1, 10),
        "scales": (0.1, 1.0),
    },
    "errors": {
        "errors": ("mae", "mse", "rmse", "ssim"),
        "seeds": 2,
        "generations": 1,
        "our_generations": 2,
    },
    "vae": {"seeds": 1, "generations": 3},
    "encodings": proposal.Budget(
        encodings=("Direct", "Cosine"),
        seeds=2,
        generations=2,
        mnist_generations=2,
        seconds=0.001,
        sizes=2,
        mutated_genes=(1, 2),
        sparse_generations=1,
        timed_blocks=1,
    )._asdict(),
    "latent": {
        "data": "mnist-mini",
        "validation": 500,
        "seeds": 1,
        "generations": 20,
        "adam_starts": 2,
        "adam_first_steps": 2,
        "adam_steps": 3,
    },
}
ROWS = {"fig1": 3 + 2, "fig2": 2 * 3, "fig3": 2 * 2, "fig4": 1 + 1 + 8}
ROWS |= {"errors": 2 * 4 * 2, "vae": 1 + 8, "latent": 3 + 1}
ROWS["claims"] = 2 * (2 * 2 + 2 * 2 + 2 + 2 + 2 * 3)
ROWS["encodings"] = 2 * (1 + 2 + 3 * 2 + 2 * 2)  # seeds x (sizes + other parts + numbers)
SLOW = ("claims", "errors", "encodings", "latent")
every_experiment = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in EXPERIMENTS]
)


def tiny_network():
    """In place of the paper's, of which each program takes seconds to compile."""
    return evoae.models.mlp(2, hidden=())


def network_of_maps():
    """The paper's encoder, of whose layers fig1 shows the maps, and a decoder of one layer."""
    encoder = evoae.models.varadi2021().encoder_layers
    decoder = (Dense(28 * 28, activation="sigmoid"), Reshape(1, 28, 28))
    return evoae.Autoencoder((*encoder[:4], Dense(2)), decoder)


def begun_with_one_network(patch):
    """The paper's searches begin with one network: whole populations have one program more."""
    for name in ("paper-one", "paper-ten"):
        alone = dataclasses.replace(PRESETS[name], independent_population=False)
        patch.setitem(PRESETS, name, alone)


class Made(dict):
    """The folder, the claims and the printed text of each experiment, made when first asked for."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def __missing__(self, name):
        text = io.StringIO()
        console = Console(file=text, width=200, highlight=False, markup=False, soft_wrap=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jax, "clear_caches", lambda: None)  # they have many programs in common
            its = network_of_maps if name == "fig1" else tiny_network
            patch.setitem(MODELS, "varadi2021", its)
            begun_with_one_network(patch)
            claims = run_experiment(EXPERIMENTS[name], TINY[name], self.folder / name, console)
        self[name] = self.folder / name, claims, text.getvalue()
        return self[name]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Made(tmp_path_factory.mktemp("reproduce"))


@pytest.fixture
def tiny(monkeypatch):
    """The paper's search, with a tiny network."""
    monkeypatch.setitem(MODELS, "varadi2021", tiny_network)
    begun_with_one_network(monkeypatch)
    return dataclasses.replace(PRESETS["paper-ten"], num_generations=10)


@every_experiment
def test_an_experiment_leaves_figures_pictures_and_a_page(made, name):
    folder, claims, printed = made[name]
    experiment = EXPERIMENTS[name]
    found = json.loads((folder / f"{name}.json").read_text())
    assert found["budget"]["seeds"] == TINY[name]["seeds"]
    assert [its["verdict"] for its in found["claims"]] == [claim.verdict for claim in claims]
    with (folder / f"{name}.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == ROWS[name]
    page = (folder / f"{name}.md").read_text()
    for picture, caption in experiment.pictures:
        assert f"![{caption}]({picture}.png)" in page
        with Image.open(folder / f"{picture}.png") as image:
            assert image.info["dpi"] == pytest.approx((200, 200), abs=1)
        assert (folder / f"{picture}.pdf").read_bytes().startswith(b"%PDF")
    for claim in claims:
        assert f"**{claim.verdict.capitalize()}: {claim.text}**" in page
        assert f"{claim.verdict:12} {claim.text}" in printed


@every_experiment
def test_pictures_are_made_again_without_a_run(made, name, monkeypatch):
    folder, claims, _ = made[name]
    page = (folder / f"{name}.md").read_text()
    picture = folder / f"{EXPERIMENTS[name].pictures[0][0]}.png"
    picture.unlink()
    still = dataclasses.replace(EXPERIMENTS[name], measure=None)
    assert run_experiment(still, TINY[name], folder, Console(quiet=True)) == claims
    assert picture.exists()
    assert (folder / f"{name}.md").read_text() == page


def test_the_last_frame_has_the_error_of_the_single_run(made, tiny, tmp_path):
    folder, _, _ = made["fig2"]
    with (folder / "fig2.csv").open(newline="") as file:
        errors = {(row["seed"], row["generation"]): row["error"] for row in csv.DictReader(file)}
    config = dataclasses.replace(PRESETS["paper-one"], seed=1, num_generations=10, out=tmp_path)
    result = train(config, progress=False)
    assert float(errors["1", "10"]) == pytest.approx(result.error, rel=1e-4)


def test_the_outputs_have_the_errors_that_the_sweep_reports(made):
    folder, _, _ = made["fig3"]
    with np.load(folder / "fig3.npz") as found:
        errors = np.abs(found["outputs"] - found["images"]).mean((2, 3, 4, 5))
        np.testing.assert_allclose(errors, found["error"], rtol=1e-4)


def test_the_ways_of_the_long_run_have_their_evaluations(made):
    folder, _, _ = made["fig4"]
    with (folder / "fig4.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["way"] for row in rows] == ["paper", "default", *8 * ["adam"]]
    assert int(rows[0]["evaluations"]) == 40 * 20 * 10  # generations x agents x digits
    assert int(rows[1]["evaluations"]) == 40 * 20 // 256 * 256 * 10
    with np.load(folder / "fig4.npz") as found:
        error = np.abs(found["adam-0/outputs"] - found["images"]).mean((1, 2, 3, 4))
        np.testing.assert_allclose(error, [float(row["error"]) for row in rows[2:]], rtol=1e-4)


def test_the_race_of_the_default_has_half_at_most():
    whole = fit_to_evaluations(PRESETS["probes"], 735_000 * 20)
    assert (whole.num_generations, whole.strategy.generations_each) == (57_421, 2_000)
    short = fit_to_evaluations(PRESETS["probes"], 1_800 * 256)
    assert (short.num_generations, short.strategy.generations_each) == (1_800, 180)
    assert short.strategy.strategy.horizon == 1_080


# What is stopped, and what is wrong


def test_a_long_run_goes_on_where_it_was_killed(tiny, tmp_path):
    straight = Parts(tmp_path / "straight", Console(quiet=True)).run("run", tiny)
    folder = tmp_path / "killed" / "run"
    train(dataclasses.replace(tiny, num_generations=4, out=folder), progress=False)
    settings = json.loads((folder / "config.json").read_text())
    settings["config"]["num_generations"] = 10
    (folder / "config.json").write_text(json.dumps(settings))
    resumed = Parts(tmp_path / "killed", Console(quiet=True)).run("run", tiny)
    np.testing.assert_array_equal(resumed.trace.best_fitness, straight.trace.best_fitness)


def test_a_sweep_that_was_stopped_is_not_kept(tiny, tmp_path, monkeypatch):
    its = Parts(tmp_path, Console(quiet=True))
    whole = kept_parts.sweep
    with monkeypatch.context() as patch:
        stopped = lambda *its, **settings: whole(*its, **settings)._replace(stopped=True)  # noqa: E731
        patch.setattr(kept_parts, "sweep", stopped)
        with pytest.raises(KeyboardInterrupt):
            its.sweep("s", tiny, {}, seeds=2)
    assert not (tmp_path / "s.npz").exists()
    found = its.sweep("s", tiny, {}, seeds=2)
    monkeypatch.setattr(kept_parts, "sweep", None)
    again = its.sweep("s", tiny, {}, seeds=2)
    jax.tree.map(np.testing.assert_array_equal, again, found)
    task = prepare(tiny)
    errors = map_networks(task, lambda params: task.fitness(params, task.images), found["weights"])
    np.testing.assert_allclose(errors, found["error"], rtol=1e-4)


@pytest.mark.parametrize("words", [["fig9"], [], ["fig1", "--seeds", "3"]])
def test_a_wrong_command_is_one_line(words, capsys):
    assert main(["reproduce", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("evoae: error: ")
    if words == ["fig9"]:
        assert f"name must be one of {', '.join(EXPERIMENTS)}, all; got 'fig9'" in line


def test_a_folder_with_something_else_is_refused(made, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="out must be a new or an empty folder"):
        reproduce("fig1", out=tmp_path, progress=False)
    assert os.listdir(tmp_path) == ["thesis.txt"]
    with pytest.raises(ValueError, match="with the same budget"):
        reproduce("fig1", out=made["fig1"][0], progress=False)


def test_images_stand_in_rows_with_names_and_captions(tmp_path):
    rows = [np.full((3, 8, 8), 0.2), np.full((2, 8, 8), 0.8)]
    captions = [["0", "5", "10"], ["15", "20"]]
    named = list(zip("ab", rows, strict=True))
    axes = draw_rows(tmp_path / "rows", named, captions=captions).axes[0]
    assert [text.get_text() for text in axes.texts] == ["a", "b", "0", "5", "10", "15", "20"]
    shown = axes.images[0].get_array()
    assert shown[:8, :8].tolist() == rows[0][0].tolist()
    assert np.ma.getmaskarray(shown)[-8:, -8:].all()  # the shorter row ends before


def test_every_encoding_is_compared():
    found = proposal.every_encoding()
    assert next(iter(found)) == "Direct"
    assert found.keys() == {
        name
        for name in encodings.__all__
        if hasattr(getattr(encodings, name), "decode") and name != "Encoding"
    }
    assert proposal.SIZES.keys() < found.keys()
    for name, (field, values) in proposal.SIZES.items():
        assert found[name](**{field: values[0]}) == found[name]()  # its own comes first
        assert len(set(values)) == len(values)
