"""The paper's figures and claims: each made at a tiny budget, and the rules on made-up figures."""

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

from evoae import encodings
from evoae.cli.entry_point import main
from evoae.experiments.paper import (
    claim_rules,
    encoding_rules,
    errors,
    figure1,
    figure2,
    figure3,
    figure4,
    latent,
    parts,
    vae,
)
from evoae.experiments.paper import encodings as proposal
from evoae.experiments.paper.conduct import conduct
from evoae.experiments.paper.parts import Parts, of_networks
from evoae.experiments.paper.pictures import image_rows
from evoae.experiments.paper.registry import EXPERIMENTS, reproduce
from evoae.experiments.paper.verdicts import Claim, Statement, smaller
from evoae.runs import train
from evoae.runs.config import PRESETS, ModelConfig
from evoae.runs.task import prepare

TINY = {
    "fig1": figure1.Budget(networks=3, seeds=2, generations=2),
    "fig2": figure2.Budget(seeds=2, generations=10),
    "fig3": figure3.Budget(seeds=2, generations=2),
    "fig4": figure4.Budget(seeds=1, generations=40),
    "errors": errors.Budget(
        ("mae", "mse", "rmse", "ssim", "bce"), seeds=2, generations=2, our_generations=2
    ),
    "vae": vae.Budget(seeds=1, generations=3),
    "latent": latent.Budget("mnist-mini", 500, 1, 20, 2, 2, 3),
    "claims": EXPERIMENTS["claims"].full._replace(
        seeds=2,
        generations=2,
        agents=(2, 10),
        mutated_weights=(1, 10),
        more_agents=(10, 20),
        ten_generations=2,
        many_weights=(1, 10),
        scales=(0.1, 1.0),
    ),
    "encodings": proposal.Budget(
        encodings=("Direct", "Cosine"),
        seeds=2,
        generations=2,
        mnist_generations=2,
        seconds=0.001,
        sizes=2,
        mutated_genes=(1, 2),
        sparse_generations=2,
        timed_blocks=1,
    ),
}
ROWS = {"fig1": 3 + 2, "fig2": 2 * 3, "fig3": 2 * 2, "fig4": 1 + 1 + 8}
ROWS |= {"errors": 2 * 5 * 2, "vae": 1 + 8, "latent": 3 + 1}
ROWS["claims"] = 2 * (2 * 2 + 2 * 2 + 2 + 2 + 2 * 3)
ROWS["encodings"] = 2 * (1 + 2 + 3 * 2 + 2 * 2)  # seeds x (sizes + other parts + numbers)
SLOW = ("fig4", "claims", "errors", "vae", "encodings", "latent")
every_experiment = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in EXPERIMENTS],
)


class Made(dict):
    """The folder, the claims and the printed text of each experiment, made when first asked for."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def __missing__(self, name):
        text = io.StringIO()
        console = Console(file=text, width=200, highlight=False, markup=False, soft_wrap=True)
        claims = conduct(EXPERIMENTS[name], TINY[name], self.folder / name, console)
        self[name] = self.folder / name, claims, text.getvalue()
        return self[name]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Made(tmp_path_factory.mktemp("reproduce"))


@every_experiment
def test_an_experiment_leaves_figures_pictures_and_a_page(made, name):
    folder, claims, printed = made[name]
    experiment = EXPERIMENTS[name]
    found = json.loads((folder / f"{name}.json").read_text())
    assert found["budget"]["seeds"] == TINY[name].seeds
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
    assert conduct(still, TINY[name], folder, Console(quiet=True)) == claims
    assert picture.exists()
    assert (folder / f"{name}.md").read_text() == page


def test_the_last_frame_has_the_error_of_the_single_run(made, tmp_path):
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


@pytest.mark.slow
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
    whole = figure4.same_evaluations(PRESETS["digits10"], 735_000 * 20)
    assert (whole.num_generations, whole.strategy.generations_each) == (57_421, 2_000)
    short = figure4.same_evaluations(PRESETS["digits10"], 1_800 * 256)
    assert (short.num_generations, short.strategy.generations_each) == (1_800, 180)
    assert short.strategy.strategy.horizon == 1_080


# What is stopped, and what is wrong


@pytest.fixture
def small():
    model = ModelConfig("mlp", 2)
    return dataclasses.replace(PRESETS["paper-ten"], model=model, num_generations=10)


@pytest.mark.slow
def test_a_long_run_goes_on_where_it_was_killed(small, tmp_path):
    straight = Parts(tmp_path / "straight", Console(quiet=True)).run("run", small)
    folder = tmp_path / "killed" / "run"
    train(dataclasses.replace(small, num_generations=4, out=folder), progress=False)
    settings = json.loads((folder / "config.json").read_text())
    settings["config"]["num_generations"] = 10
    (folder / "config.json").write_text(json.dumps(settings))
    resumed = Parts(tmp_path / "killed", Console(quiet=True)).run("run", small)
    np.testing.assert_array_equal(resumed.trace.best_fitness, straight.trace.best_fitness)


@pytest.mark.slow
def test_a_sweep_that_was_stopped_is_not_kept(small, tmp_path, monkeypatch):
    its = Parts(tmp_path, Console(quiet=True))
    whole = parts.sweep
    with monkeypatch.context() as patch:
        stopped = lambda *its, **settings: whole(*its, **settings)._replace(stopped=True)  # noqa: E731
        patch.setattr(parts, "sweep", stopped)
        with pytest.raises(KeyboardInterrupt):
            its.sweep("s", small, {}, seeds=2)
    assert not (tmp_path / "s.npz").exists()
    found = its.sweep("s", small, {}, seeds=2)
    monkeypatch.setattr(parts, "sweep", None)
    again = its.sweep("s", small, {}, seeds=2)
    jax.tree.map(np.testing.assert_array_equal, again, found)
    task = prepare(small)
    errors = of_networks(task, lambda params: task.fitness(params, task.images), found["weights"])
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


# The rules


def test_verdicts_follow_from_statements():
    yes, no = Statement("a", "1", True), Statement("b", "2", False)
    assert Claim("c", (yes, yes)).verdict == "holds"
    assert Claim("c", (yes, no)).verdict == "holds partly"
    assert Claim("c", (no, no)).verdict == "does not hold"


def test_smaller_is_more_than_luck():
    assert smaller([1, 2, 3, 4], [5, 6, 7, np.inf])
    assert not smaller([5, 6, 7, 8], [1, 2, 3, 4])
    assert not smaller([1, 2, 3], [4, 5, 6])  # one of twenty orders
    assert not smaller([1, 1], [1, 1])


def test_two_maps_are_as_different_as_where_they_differ_most():
    maps = np.zeros((3, 2, 2))
    assert figure1.smallest_difference(maps) == 0
    maps[:, 0, 0], maps[0, 1, 1], maps[1, 1, 1] = 10, 2, 5
    assert figure1.smallest_difference(maps) == pytest.approx(0.2)


def images_with(diversity, mean=0.5):
    """Ten images, and outputs whose diversity is known, for four seeds."""
    images = np.random.default_rng(0).random((10, 4, 4, 1)) * mean * 2
    return images, np.stack(4 * [images.mean(0) + diversity * (images - images.mean(0))])


@pytest.mark.parametrize(
    ("one", "ten", "verdict"),
    [(0.2, 0.01, "holds"), (0.2, 0.1, "holds partly"), (0.01, 0.2, "does not hold")],
)
def test_the_rules_of_figure_3(one, ten, verdict):
    images = images_with(0)[0]
    outputs = np.stack([images_with(diversity)[1] for diversity in (one, ten)])
    (claim,) = figure3.claims({"images": images, "outputs": outputs})
    assert claim.verdict == verdict


def test_the_rules_of_figure_4():
    images, slight = images_with(0.2, mean=0.4)
    images, slight = images + 0.1, slight + 0.1

    def found(paper, default, outputs):
        arrays = {"images": images}
        for way, error, its in (("paper", paper, slight[:1]), ("default", default, outputs)):
            arrays[f"{way}-0/errors"] = np.array([[error]])
            arrays[f"{way}-0/outputs"] = its
        return arrays

    differ, flexible = figure4.claims(found(0.09, 0.001, images[None]))
    assert (differ.verdict, flexible.verdict) == ("holds", "does not hold")
    _, flexible = figure4.claims(found(0.09, 0.9, slight[:1]))
    assert flexible.verdict == "holds"


def errors_like(learnt, ours):
    """What `errors` would measure of outputs [learnt from, seed] by the paper's search and ours."""
    images = 0.1 + 0.8 * np.random.default_rng(0).random((10, 11, 11, 1))

    def outputs(spreads, light):
        jitter = 1 + 1e-3 * np.arange(4).reshape(1, 4, 1, 1, 1, 1)
        shape = np.reshape([spreads, light], (2, 7, 1, 1, 1, 1, 1))
        mean = images.mean(0)
        drawn = mean + shape[0] * jitter * (images - mean)
        return 0.1 + (drawn - 0.1) * shape[1] * jitter

    return {
        "images": images,
        "learnt": np.array(list(errors.ERRORS)),
        "paper/outputs": outputs(*learnt),
        "ours/outputs": outputs(*ours),
    }


def test_the_rules_of_the_errors():
    dark_mae = [0.3, 1, 1, 1, 1, 1, 1]
    found = errors_like(([0.01] * 6 + [0.2], dark_mae), ([0.5] * 7, [1] * 7))
    rmse, mae, search = errors.claims(found)
    assert [its.verdict for its in (rmse, mae, search)] == ["holds"] * 3
    black, grey = errors.collapsed(found, "paper")
    assert black.all(axis=1).tolist() == [True] + [False] * 6
    assert grey.all(axis=1).tolist() == [False] + [True] * 5 + [False]
    assert errors.judged(found, "ours").shape == (7, 4, 7)
    worse = [0.01] * 2 + [0.005] + [0.01] * 4
    found = errors_like(([0.5] * 2 + [0.01] + [0.5] * 4, [1] * 7), (worse, [1] * 7))
    rmse, mae, search = errors.claims(found)
    assert [its.holds for its in rmse.statements] == [False] * 4
    assert [its.holds for its in mae.statements] == [False, False, True]
    assert search.verdict == "does not hold"


def paper_like():
    """What `claims` would measure if all that the paper says were so; seeds differ a little."""
    jitter = 1e-4 * np.arange(4)
    runs = lambda values: np.array(values)[..., None] + jitter  # noqa: E731
    images = images_with(0)[0]
    return {
        "black": np.array(0.12),
        "agents": np.array([2, 5, 10, 50]),
        "weights": np.array([1, 10, 100]),
        "grid_error": runs([[0.2] * 3, [0.2] * 3, [0.15, 0.08, 0.15], [0.15, 0.1, 0.15]]),
        "grid_early": runs([[0.3] * 3, [0.3] * 3, [0.15, 0.08, 0.15], [0.15, 0.1, 0.15]]),
        "grid_reached": runs([[np.inf] * 3, [np.inf] * 3, [9.0, 1.0, 9.0], [9.0, 3.0, 9.0]]),
        "more_agents": np.array([10, 50]),
        "more_error": runs([0.08, 0.08]),
        "more_equal": runs([0.08, 0.1]),
        "more_reached": runs([1.0, 3.0]),
        "images": images,
        "many_weights": np.array([1, 10]),
        "many_outputs": np.stack([images_with(diversity)[1] for diversity in (0.3, 0.01)]),
        "scales": np.array([0.01, 1.0]),
        "scale_error": runs([0.2, 0.08]),
        "crossover_one": runs([0.08, 0.08, 0.09]),
        "crossover_ten": runs([0.12, 0.12, 0.12]),
    }


def test_all_claims_hold_where_all_is_as_the_paper_says():
    claims = claim_rules.all_claims(paper_like())
    assert [claim.verdict for claim in claims] == 6 * ["holds"]


@pytest.mark.parametrize(
    ("rule", "change", "failing"),
    [
        (claim_rules.converges, {"grid_error": lambda x: x + 0.1}, [0]),
        (claim_rules.converges, {"grid_reached": lambda x: x + 60}, [1]),
        (claim_rules.converges, {"grid_error": lambda x: x[[2, 1, 0, 3]]}, [0, 2]),
        (claim_rules.dead_ends, {"grid_early": lambda x: x - 0.25}, [0]),
        (claim_rules.dead_ends, {"grid_error": lambda x: x * 0 + 0.1}, [1, 2]),
        (claim_rules.more_agents, {"more_reached": lambda x: x[::-1]}, [0]),
        (claim_rules.more_agents, {"more_equal": lambda x: x[::-1]}, [1]),
        (claim_rules.more_agents, {"more_error": lambda x: x - [[0], [0.05]]}, [2]),
        (claim_rules.average_image, {"many_outputs": lambda x: x[::-1]}, [0, 1]),
        (claim_rules.average_image, {"many_outputs": lambda x: x * 0 + x[:, :, :1] * 3}, [1, 2]),
        (claim_rules.too_small, {"grid_error": lambda x: x * 0 + 0.1}, [0]),
        (claim_rules.too_small, {"scale_error": lambda x: x[::-1]}, [1]),
        (claim_rules.crossover, {"crossover_one": lambda x: x[::-1]}, [1]),
        (claim_rules.crossover, {"crossover_ten": lambda x: x * [[1], [1], [0.5]]}, [2, 3]),
    ],
)
def test_each_rule_can_fail(rule, change, failing):
    found = paper_like()
    for name, alter in change.items():
        found[name] = alter(found[name])
    statements = rule(found).statements
    assert [i for i, statement in enumerate(statements) if not statement.holds] == failing


def test_a_budget_without_the_papers_numbers_is_refused():
    found = paper_like() | {"agents": np.array([2, 5, 11, 50])}
    with pytest.raises(ValueError, match="budget must have 10 among"):
        claim_rules.converges(found)


def test_images_stand_in_rows_with_names_and_captions():
    rows = [np.full((3, 8, 8), 0.2), np.full((2, 8, 8), 0.8)]
    captions = [["0", "5", "10"], ["15", "20"]]
    axes = image_rows(rows, ["a", "b"], low=0, high=1, captions=captions).axes[0]
    assert [text.get_text() for text in axes.texts] == ["a", "b", "0", "5", "10", "15", "20"]
    shown = axes.images[0].get_array()
    assert shown[:8, :8].tolist() == rows[0][0].tolist()
    assert np.ma.getmaskarray(shown)[-8:, -8:].all()  # the shorter row ends before


def figures_of_encodings(*, at_once, in_time, sparse, mnist=(0.1, 0.1), mnist_time=(0.1, 0.1)):
    """Made-up raw figures: errors of both encodings in each of the parts."""
    found = {
        "names": np.array(["Direct", "Cosine"]),
        "mutated_genes": np.array([1, 128]),
        "evaluations": np.array(1_000),
        "mnist_evaluations": np.array(500),
        "seconds": np.array(5.0),
    }
    for name, number, *its in zip(
        *(found["names"], (1397, 140), at_once, in_time, sparse, mnist, mnist_time), strict=True
    ):
        noise = np.arange(5) / 1e4
        found |= {
            f"{name}/about/model": np.array("varadi2021"),
            f"{name}/about/num_genes": np.array(number),
            f"{name}/cost/seconds": np.array(0.01),
            f"{name}/cost/share": np.array(0.1),
            f"{name}/size-0/value": np.array(""),
            f"{name}/size-0/num_genes": np.array(number),
            f"{name}/size-0/error": its[0] + noise,
            f"{name}/sparse/error": np.array(its[2])[:, None] + noise,
        }
        for kind, error in zip(encoding_rules.OTHER_PARTS, (its[1], *its[3:]), strict=True):
            found[f"{name}/{kind}/num_genes"] = np.array(number)
            found[f"{name}/{kind}/error"] = error + noise
    return found


def test_the_verdict_on_the_proposal():
    faster, steadier = encoding_rules.claims(
        figures_of_encodings(
            at_once=(0.10, 0.08),
            in_time=(0.05, 0.07),
            sparse=((0.09, 0.12), (0.085, 0.09)),
            mnist=(0.1, 0.08),
        )
    )
    held = [statement.holds for statement in faster.statements]
    assert held == [True, True, False, True, False]
    assert faster.verdict == "holds partly"
    assert "Cosine; the smallest median is 0.0802" in faster.statements[0].figures
    assert steadier.verdict == "holds"
    assert "Direct 1.33, Cosine 1.06" in steadier.statements[0].figures
    faster, steadier = encoding_rules.claims(
        figures_of_encodings(
            at_once=(0.08, 0.08), in_time=(0.05, 0.05), sparse=((0.09, 0.09), (0.13, 0.2))
        )
    )
    assert faster.verdict == steadier.verdict == "does not hold"


def test_an_encoding_that_learns_nothing_is_not_less_sensitive():
    _, steadier = encoding_rules.claims(
        figures_of_encodings(
            at_once=(0.08, 0.08), in_time=(0.05, 0.05), sparse=((0.09, 0.12), (0.2, 0.2))
        )
    )
    assert [statement.holds for statement in steadier.statements] == [True, False, False]


def test_every_encoding_is_compared():
    found = proposal.every_encoding()
    assert next(iter(found)) == "Direct"
    assert found.keys() == {
        name for name in encodings.__all__ if hasattr(getattr(encodings, name), "decode")
    } - {"Encoding"}
    assert proposal.SIZES.keys() < found.keys()
    for name, (field, values) in proposal.SIZES.items():
        assert found[name](**{field: values[0]}) == found[name]()  # its own comes first
        assert len(set(values)) == len(values)
