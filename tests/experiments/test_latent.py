"""The latent space: its figures by their definitions, its rules, and the run that is shared."""

import itertools

import jax
import numpy as np
import pytest
from rich.console import Console

import evoae
from evoae import data, trees
from evoae.cli.entry_point import main
from evoae.experiments.paper.harness import packages
from evoae.experiments.paper.harness.execution import run_experiment
from evoae.experiments.paper.harness.kept_parts import Parts
from evoae.experiments.paper.latent import experiment, networks, regularity
from evoae.experiments.paper.latent.experiment import LATENT
from evoae.experiments.paper.latent.full_mnist import evolve_parts, name_run
from evoae.experiments.paper.registry import reproduce
from evoae.fitness.baselines import compute_pca_error
from evoae.models.compiled import applied
from evoae.strategies import ProbeEvolutionStrategy, SuccessiveHalving
from tests.random_weights import random_weights


@pytest.fixture(scope="module")
def digits():
    """A few of the bundled images."""
    train = data.load("mnist-mini", dtype="uint8")
    test = data.load("mnist-mini", split="test", dtype="uint8")
    return networks.Digits(
        *(train.images[:300], train.labels[:300], train.images[300:400]),
        *(test.images[:100], test.labels[:100]),
    )


def nearest(points, others, number=5):
    """Rows of the nearest others of each point, and their distances: by all distances."""
    differences = points[:, None].astype(np.float64) - others[None]
    distances = np.sqrt((differences**2).sum(axis=2))
    rows = np.argsort(distances, axis=1, kind="stable")[:, :number]
    return rows, np.take_along_axis(distances, rows, axis=1)


def pixels(images):
    return images.reshape(len(images), -1) / 255


# The figures


def test_accuracy_is_that_of_the_majority_of_all_distances():
    random = np.random.default_rng(0)
    labels, asked_labels = random.integers(3, size=200), random.integers(3, size=80)
    known = random.normal(size=(200, 2)) + labels[:, None]
    asked = random.normal(size=(80, 2)) + asked_labels[:, None]
    votes = labels[nearest(asked, known)[0]]
    majority = [np.bincount(row, minlength=3).argmax() for row in votes]  # of ties the smallest
    found = regularity.measure_accuracy(known, labels, asked, asked_labels)
    assert found == pytest.approx(np.mean(majority == asked_labels))
    assert 0.4 < found < 1


def test_trustworthiness_is_that_of_the_definition(digits):
    number, k = 60, 5
    images = digits.test[:number]
    latents = np.random.default_rng(0).normal(size=(number, 2)).astype(np.float32)
    latents[:, 0] += digits.test_labels[:number]
    by_image = nearest(pixels(images), pixels(images), number)[0]
    by_latent = nearest(latents, latents, k + 1)[0]
    excess = 0
    for i in range(number):
        others = by_image[i][by_image[i] != i].tolist()
        near = by_latent[i][by_latent[i] != i][:k]
        excess += sum(max(others.index(j) + 1 - k, 0) for j in near)
    expected = 1 - 2 / (number * k * (2 * number - 3 * k - 1)) * excess
    assert regularity.measure_trustworthiness(images, latents) == pytest.approx(expected)


def test_what_is_digit_like_follows_from_all_distances(digits):
    judge = regularity.Judge(digits.train, digits.labels, digits.validation)
    _, of_unseen = nearest(pixels(digits.validation), pixels(digits.train))
    assert judge.threshold == pytest.approx(np.percentile(of_unseen[:, 0], 95), rel=1e-4)
    rows, distances = nearest(pixels(digits.test), pixels(digits.train))
    votes = digits.labels[rows]
    expected = np.where((votes == votes[:, :1]).all(axis=1), votes[:, 0], -1)
    expected[distances[:, 0] > judge.threshold] = -1
    found = judge.recognize(digits.test)
    np.testing.assert_array_equal(found, expected)
    assert 10 < (found >= 0).sum() < 90
    noise = np.random.default_rng(0).random((5, 28, 28, 1)).astype(np.float32)
    assert judge.recognize(noise).tolist() == [-1] * 5  # near to nothing


def test_a_straight_path_has_no_detour_and_even_steps():
    ends = np.random.default_rng(0).random((2, 4, 6, 6, 1)).astype(np.float32)
    paths = regularity.interpolate(*ends)
    assert paths.shape == (4, 21, 6, 6, 1)
    np.testing.assert_allclose(regularity.measure_detour(paths), 1, rtol=1e-5)
    np.testing.assert_allclose(regularity.measure_largest_step(paths), 1, rtol=1e-4)


def test_other_paths():
    angles = np.linspace(0, np.pi, 21)
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    jump = np.where(np.arange(21) < 8, 0.0, 1.0)[:, None] * np.ones(2)
    nothing = np.ones((21, 2))
    back = np.abs(np.linspace(-1, 1, 21))[:, None] * np.ones(2)
    paths = np.stack([around, jump, nothing, back])
    found = regularity.measure_detour(paths)
    np.testing.assert_allclose(found, [np.pi / 2, 1, np.nan, np.nan], rtol=2e-3)
    found = regularity.measure_largest_step(paths)
    np.testing.assert_allclose(found, [1, 20, np.nan, 1], rtol=1e-6)
    assert regularity.find_median(np.array([np.nan, 1.0, 3.0])) == 2.0
    assert np.isnan(regularity.find_median(np.array([np.nan])))


def test_a_latent_with_one_value_has_a_square_all_the_same():
    box = regularity.enclose(np.full((50, 2), 0.5, np.float32))
    assert (box[1] > box[0]).all()
    assert regularity.place_grid(box).shape == (400, 2)


def test_two_components_are_those_of_the_report(digits):
    coder = networks.find_components(digits)
    latents = coder.encode(digits.test)
    scaled = data.scale(digits.test, 0.0, 1.0)
    known = data.scale(digits.train, 0.0, 1.0)
    drawn = coder.decode(latents)
    assert drawn.shape == scaled.shape
    assert 0 <= drawn.min() <= drawn.max() <= 1
    centred = known.reshape(300, -1) - known.reshape(300, -1).mean(axis=0)
    variances = np.sort(np.linalg.eigvalsh(centred.T @ centred / 299))[-2:]
    np.testing.assert_allclose(
        np.sort(coder.encode(digits.train).var(axis=0, ddof=1)), variances, rtol=1e-3
    )
    unclipped = compute_pca_error(scaled, 2, error="mse", fitted_to=known)
    assert np.mean((drawn - scaled) ** 2) == pytest.approx(unclipped, rel=0.05)
    assert np.mean((drawn - scaled) ** 2) <= unclipped


def test_a_network_is_coded_in_chunks_as_at_once(digits, monkeypatch):
    model = evoae.models.varadi2021()
    scaled = data.scale(digits.test, 0.0, 1.0)
    params = random_weights(model, scaled[:1])
    monkeypatch.setattr(networks, "CHUNK", 60)
    coder = networks.code_by(model, np.asarray(trees.ravel(params)), digits)
    latents = coder.encode(digits.test)
    np.testing.assert_allclose(latents, applied(model, params, scaled, "encode"), atol=1e-6)
    np.testing.assert_allclose(coder.decode(latents), applied(model, params, scaled), atol=1e-5)


def test_pairs_are_of_two_digits_and_always_the_same(digits):
    pairs = experiment.choose_pairs(digits.test_labels)
    assert pairs.shape == (experiment.NUM_PAIRS, 2)
    assert (digits.test_labels[pairs[:, 0]] != digits.test_labels[pairs[:, 1]]).all()
    np.testing.assert_array_equal(pairs, experiment.choose_pairs(digits.test_labels))


# The rules


def figures(**changes):
    """Made-up raw figures by which all claims hold, of three seeds; `changes` go to all of them."""
    good = {
        "evolution": (35.0, 0.60, 0.80, 0.7, 9, 0.4, 2.0),
        "adam": (35.0, 0.60, 0.80, 0.7, 9, 0.4, 3.0),
        "vae": (40.0, 0.50, 0.78, 0.9, 9, 0.5, 1.5),
        "pca": (44.0, 0.40, 0.70, 0.1, 3, 0.1, 1.0),
    }
    names = ("error", "accuracy", "trustworthiness", "like", "digits", "halfway", "largest_step")
    found = {"images/halfway": np.array(0.2)}
    for way, seed in itertools.product(good, range(3)):
        if way == "pca" and seed:
            continue
        its = dict(zip(names, good[way], strict=True)) | changes.get(way, {})
        filled = round(400 * its.pop("like"))
        drawn = np.full(400, -1)
        drawn[:filled] = np.arange(filled) % its.pop("digits")
        found |= {f"{way}-{seed}/{name}": np.array(value) for name, value in its.items()}
        found |= {f"{way}-{seed}/drawn": drawn, f"{way}-{seed}/latents": np.zeros((1, 2))}
    return found


def test_all_holds_where_all_is_well():
    claims = LATENT.claims(figures())
    assert [claim.verdict for claim in claims] == 4 * ["holds"]


@pytest.mark.parametrize(
    ("changes", "claim", "failing"),
    [
        ({"evolution": {"accuracy": 0.39}}, 0, [0]),
        ({"evolution": {"digits": 7}}, 0, [1]),
        ({"evolution": {"like": 0.45}}, 1, [0]),
        ({"evolution": {"halfway": 0.1}}, 1, [1]),
        ({"evolution": {"largest_step": 5.0}}, 1, [2]),
        ({"evolution": {"largest_step": np.nan}}, 1, [2]),
        ({"evolution": {"error": 36.0, "accuracy": 0.5}}, 2, [0, 1]),
        ({"evolution": {"trustworthiness": 0.7, "like": 0.6}}, 2, [2, 3]),
        ({"vae": {"like": 0.7, "largest_step": 4.0}}, 3, [0, 2]),
        ({"vae": {"halfway": 0.4}}, 3, [1]),
    ],
)
def test_each_rule_can_fail(changes, claim, failing):
    statements = LATENT.claims(figures(**changes))[claim].statements
    assert [i for i, statement in enumerate(statements) if not statement.holds] == failing


# The run that the benchmark and the experiment share


@pytest.mark.slow
def test_a_run_in_parts_has_the_bits_of_one_that_is_written_out(digits, tmp_path):
    train, validation = digits.train, digits.validation
    settings = {"generations": 20, "seed": 3, "num_starts": 2}

    def stop(course):
        if course.generations == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evolve_parts("varadi2021", train, validation, tmp_path, **settings, show=stop)
    seen = []
    course = evolve_parts("varadi2021", train, validation, tmp_path, **settings, show=seen.append)
    assert [its.generations for its in seen] == list(range(13, 21))
    again = evolve_parts("varadi2021", train, validation, tmp_path, **settings)
    assert (again.errors, again.seconds) == (course.errors, course.seconds)

    model = evoae.models.varadi2021()
    for_weights, for_state, for_run = jax.random.split(jax.random.key(3), 3)
    probes = ProbeEvolutionStrategy(256, learning_rate=0.03, encoder_rate=0.3, elitist=False)
    strategy = SuccessiveHalving(probes, num_starts=2, generations_each=2).fitted_to(20)
    one = data.scale(train[:1], 0.0, 1.0)
    networks = jax.vmap(model.init, (0, None))(jax.random.split(for_weights, 2), one)["params"]
    state = strategy.init(for_state, evoae.Stacked(networks))
    error = evoae.fitness.Reconstruction(model, error="bce")
    state, _ = evoae.evolve(
        for_run, strategy, error, train, state, num_generations=20, batch_size=64
    )
    jax.tree.map(np.testing.assert_array_equal, course.params, state.best)
    squared = evoae.fitness.Reconstruction(model, error="mse")(state.best, validation)
    assert course.errors[-1] == pytest.approx(784 * float(squared), rel=1e-4)

    with pytest.raises(ValueError, match="must be one on the same images"):
        evolve_parts("varadi2021", train, digits.test[:, ::-1], tmp_path, **settings)
    with pytest.raises(ValueError, match="generations must be a whole number from 20"):
        evolve_parts("varadi2021", train, validation, tmp_path, generations=19, seed=0)


TINY = networks.Budget("mnist-mini", 500, 1, 20, 2, 2, 3)


@pytest.mark.slow
def test_the_experiment_takes_a_run_that_is_there(tmp_path, monkeypatch):
    """A folder with the parts of the benchmark alone; and later one that has the network, too."""
    images = data.load("mnist-mini", dtype="uint8").images
    out = tmp_path / "latent" / "parts"
    course = evolve_parts(
        "varadi2021", images[:-500], images[-500:], out, generations=20, seed=0, num_starts=3
    )
    monkeypatch.setattr("evoae.experiments.paper.latent.full_mnist.evolve", None)
    run_experiment(LATENT, TINY._asdict(), tmp_path / "latent", Console(quiet=True))
    with np.load(tmp_path / "latent" / "latent.npz") as found:
        weights, seconds = found["evolution-0/weights"], float(found["evolution-0/seconds"])
        outputs = found["evolution-0/error"]
    np.testing.assert_array_equal(weights, trees.ravel(course.params))
    assert seconds == course.seconds
    model, test = evoae.models.varadi2021(), data.load("mnist-mini", split="test").images
    squared = 784 * float(evoae.fitness.Reconstruction(model, error="mse")(course.params, test))
    assert float(outputs) == pytest.approx(squared, rel=1e-4)
    assert (out / name_run("varadi2021", 20, 0)).is_dir()


# What is wrong


def test_other_images_are_refused(tmp_path):
    its = Parts(tmp_path, Console(quiet=True))
    first = experiment.load_digits(TINY, its)
    np.testing.assert_array_equal(experiment.load_digits(TINY, its).train, first.train)
    np.savez(
        tmp_path / "other.npz",
        x_train=first.train[:, ::-1, :, 0],
        y_train=first.labels,
        x_test=first.test[..., 0],
        y_test=first.test_labels,
    )
    other = Parts(tmp_path, Console(quiet=True), str(tmp_path / "other.npz"))
    with pytest.raises(ValueError, match="data must be the images with which this folder"):
        experiment.load_digits(TINY, other)
    with pytest.raises(ValueError, match="at least 2,000 to train with"):
        experiment.load_digits(TINY._replace(validation=1_000), other)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fig1", "--data", "digits10"], "data must be left out for fig1"),
        (["latent", "--quick", "--data", "x"], "data must be left out with quick"),
        (["latent", "--data", "/nowhere/at-all"], "there is no file or folder '/nowhere/at-all'"),
    ],
)
def test_a_wrong_source_is_one_line(words, message, capsys):
    assert main(["reproduce", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.parametrize(
    ("package", "name", "extra"),
    [("sklearn", "scikit-learn", "latent"), ("scipy", "SciPy", "experiments")],
)
def test_a_missing_package_is_told_before_anything_runs(
    package, name, extra, tmp_path, monkeypatch
):
    def load(module):
        if module.partition(".")[0] == package:
            raise ModuleNotFoundError(module)

    monkeypatch.setattr(packages.importlib, "import_module", load)
    with pytest.raises(ValueError, match=rf"{name}: pip install 'evoae\[{extra}\]'"):
        reproduce("all", quick=True, out=tmp_path / "new", progress=False)
    assert not (tmp_path / "new").exists()
