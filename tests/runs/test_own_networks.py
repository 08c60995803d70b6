"""Networks, mutations and strategies of the user's own make runs as evoae's do."""

import dataclasses
import json
import os
import signal
import subprocess
import sys

import flax.linen as nn
import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

import evoae
from evoae.cli.entry_point import main
from evoae.models import FunctionPair, NnxModule, as_model
from evoae.runs import RunConfig, from_json, load_weights, to_json
from evoae.runs.weight_files import save_weights, structured_as

END = 9
IMAGES = np.random.default_rng(0).integers(0, 256, (7, 4, 5), np.uint8)
PIXELS = IMAGES[..., None] / np.float32(255)
SOURCE = '''
import dataclasses
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

from evoae import trees
from evoae.mutations import Mutation
from evoae.strategies import Strategy, populations
from evoae.types import Population


class Linen(nn.Module):
    """Told in its call whether it is trained."""

    width: int = 3
    activation: object = nn.tanh
    dtype: object = jnp.float32

    def setup(self):
        self.down, self.up = nn.Dense(self.width, dtype=self.dtype), nn.Dense(20)
        self.norm, self.drop = nn.BatchNorm(), nn.Dropout(0.5)

    def encode(self, x, train=True):
        hidden = self.norm(self.down(x.reshape(len(x), -1)), use_running_average=not train)
        return self.drop(self.activation(hidden), deterministic=not train)

    def __call__(self, x, train=True):
        return nn.sigmoid(self.up(self.encode(x, train))).reshape(x.shape)


class Nnx(nnx.Module):
    def __init__(self, width=3, *, rngs):
        self.layers = nnx.List([nnx.Linear(20, width, rngs=rngs), nnx.Linear(width, 20, rngs=rngs)])
        self.norm = nnx.BatchNorm(width, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.offset = nnx.Variable(jax.random.normal(rngs.params(), (width,)))

    def encode(self, x):
        return self.drop(self.norm(self.layers[0](x.reshape(len(x), -1)))) + self.offset[...][None]

    def decode(self, latent):
        return nnx.sigmoid(self.layers[1](latent)).reshape(-1, 4, 5, 1)

    def __call__(self, x):
        return self.decode(self.encode(x))


def init(key, images):
    down, up = jax.random.normal(key, (2, 20, 3))
    return [(down, jnp.zeros(3)), (up.T, jnp.zeros(20))]


def apply(params, images):
    (down, a), (up, b) = params
    hidden = jnp.tanh(images.reshape(len(images), -1) @ down + a[None])
    return jax.nn.sigmoid(hidden @ up + b[None]).reshape(images.shape)


def of_settings(image_shape, latent_size=2, *, rngs):
    assert image_shape == (4, 5, 1)
    return Nnx(latent_size, rngs=rngs)


@dataclasses.dataclass(frozen=True)
class Stretch(Mutation):
    scale: float = 0.1

    def sample(self, key, index, params, hyper):
        return jax.random.normal(jax.random.fold_in(key, index)) * hyper["scale"]

    def apply(self, params, factor):
        return jax.tree.map(lambda weights: weights + factor * (0.01 + weights), params)


class ClimbState(NamedTuple):
    generation: jax.Array
    best: Any
    best_fitness: jax.Array
    hyper: dict


@dataclasses.dataclass(frozen=True)
class Climb(Strategy):
    population_size: int = 6
    mutation: Mutation = Stretch()

    def init(self, key, params, hyper=None):
        hyper = populations.merge_hyper(trees.hyperparameters(self), hyper)
        return ClimbState(jnp.int32(0), params, jnp.float32(jnp.inf), hyper)

    def ask(self, key, state):
        own = lambda i: self.mutation.sample(key, i, state.best, state.hyper["mutation"])
        factors = jax.vmap(own)(jnp.arange(self.population_size)).at[0].set(0.0)
        parents = jax.tree.map(lambda leaf: leaf[None], state.best)
        parent_ids = jnp.zeros((self.population_size, 2), jnp.int32)
        return Population(parents, parent_ids, factors), state

    def express(self, population, index):
        parent = trees.take(population.parents, population.parent_ids[index, 0])
        return self.mutation.apply(parent, population.perturbation[index])

    def tell(self, key, population, fitness, state):
        fitness, info = populations.ranked_fitness(fitness, self.population_size)
        new, error = self.express(population, fitness.argmin()), fitness.min()
        best, error = populations.better_of(new, error, state.best, state.best_fitness)
        return ClimbState(state.generation + 1, best, error, state.hyper), info
'''
CHILD = """if True:
    import os, signal, sys
    import numpy as np
    import evoae
    sys.path.insert(0, sys.argv[1])
    from evoae.runs.observers import checkpoints
    import networks_of_tests as mine
    checkpoints.SAVE_COST = float("inf")

    class Kill(evoae.runs.Observer):
        def block(self, progress):
            if progress.pace.steps >= 3:
                os.kill(os.getpid(), signal.SIGKILL)

    evoae.train(
        **eval(sys.argv[2]),
        images=np.load(sys.argv[3]),
        num_generations=9,
        out=__import__("pathlib").Path(sys.argv[4]),
        observers=[Kill()],
        progress=False,
    )
"""
PAIR = "(mine.init, mine.apply)"
GENETIC = "evoae.strategies.GeneticAlgorithm(6, mutation={})".format
GAUSSIAN = GENETIC("evoae.mutations.Gaussian(0.1)")
OWN = {
    "linen": ("mine.Linen()", GAUSSIAN),
    "nnx": ("mine.Nnx", GAUSSIAN),
    "pair": (PAIR, GAUSSIAN),
    "named": ("evoae.runs.ModelConfig('networks_of_tests:of_settings', 3)", GAUSSIAN),
    "mutation": (PAIR, GENETIC("mine.Stretch()")),
    "strategy": (PAIR, "mine.Climb()"),
}
OWN = {name: f"dict(model={model}, strategy={its})" for name, (model, its) in OWN.items()}


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """The module of the networks, on the path."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "networks_of_tests.py").write_text(SOURCE)
    sys.path.insert(0, str(folder))
    import networks_of_tests

    yield networks_of_tests
    sys.path.remove(str(folder))
    del sys.modules["networks_of_tests"]


@pytest.fixture(scope="module", params=OWN)
def settings(request, mine):
    own = eval(OWN[request.param], {"mine": mine, "evoae": evoae})
    return {**own, "images": IMAGES, "progress": False}


@pytest.fixture(scope="module")
def model(settings):
    return settings["model"]


@pytest.fixture(scope="module")
def alone(settings, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "alone"
    return evoae.train(**settings, num_generations=END, out=out)


def test_it_learns_and_reports(alone):
    assert alone.trace.best_fitness[-1] < alone.trace.best_fitness[0]
    assert {path.name for path in alone.folder.iterdir()} >= {"report.html", "gallery.png"}
    os.remove(alone.folder / "report.html")
    assert main(["report", str(alone.folder)]) == 0
    assert (alone.folder / "report.html").exists()


def test_it_is_killed_and_resumed_to_the_same_bits(request, alone, mine, tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    expression = OWN[request.node.callspec.params["settings"]]
    folder = os.path.dirname(mine.__file__)
    words = [CHILD, folder, expression, str(tmp_path / "images.npy"), str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-c", *words], capture_output=True, timeout=200)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    result = evoae.resume(tmp_path / "run", progress=False)
    assert len(result.trace.best_fitness) == END
    for name in ("metrics.csv", "best.npz"):
        assert (result.folder / name).read_bytes() == (alone.folder / name).read_bytes()


def test_only_params_are_searched_and_all_else_is_held(alone, model, mine):
    run = evoae.load_run(alone.folder)
    np.testing.assert_allclose(run.errors(IMAGES).mean(), alone.error, rtol=1e-5)
    if isinstance(model, nn.Module):
        variables = model.init(jax.random.key(0), PIXELS, train=False)
        variables = {**variables, "params": run.params}
        expected = model.apply(variables, PIXELS, train=False)
        assert set(run.collections.tree) == {"batch_stats"}
    elif not isinstance(model, tuple):
        module = run.model.module(run.params, run.collections.tree)
        assert type(module) is mine.Nnx
        random = np.asarray(module.offset[...])  # no Param: as the constructor drew it
        first = run.model.make(rngs=nnx.Rngs(jax.random.key(0)), **dict(run.model.settings))
        np.testing.assert_array_equal(random, first.offset[...])
        expected = module(PIXELS)
        np.testing.assert_allclose(run.decode(run.encode(IMAGES)), expected, atol=1e-6)
    else:
        expected = model[1](run.params, PIXELS)
    np.testing.assert_allclose(run.reconstruct(IMAGES), expected, atol=1e-6)


def test_it_is_swept(settings, alone, tmp_path):
    config = RunConfig(
        model=settings["model"],
        strategy=settings["strategy"],
        data=evoae.runs.DataConfig(str(alone.folder / "images.npz")),
        num_generations=2,
        out=tmp_path / "sweep",
    )
    found = evoae.sweep(config, {"mutation.scale": [0.1, 1.0]}, progress=False)
    assert len(np.unique(found.error)) == 2
    again = evoae.sweep(config, {"mutation.scale": [0.1, 1.0]}, progress=False)
    np.testing.assert_array_equal(again.error, found.error)
    for ours, its in zip(again.best.flat, found.best.flat, strict=True):
        jax.tree.map(np.testing.assert_array_equal, ours, its)


def test_a_module_of_nnx_begins_with_its_own_weights_and_is_given_again(mine, tmp_path):
    module = mine.Nnx(rngs=nnx.Rngs(5))
    given = {"images": IMAGES, "strategy": evoae.strategies.GeneticAlgorithm(4), "progress": False}
    evoae.train(model=module, **given, num_generations=1, out=tmp_path / "run")
    module.eval()
    first = np.square(module(PIXELS) - PIXELS).mean()
    run = evoae.load_run(tmp_path / "run", model=module)
    assert run.metrics["best_fitness"][0] <= first * 1.00001
    with pytest.raises(ValueError, match="a module of Flax NNX is written nowhere"):
        evoae.resume(tmp_path / "run", num_generations=2, progress=False)
    other = mine.Nnx(rngs=nnx.Rngs(6))
    with pytest.raises(ValueError, match=r"is of another run: its model.weights is"):
        evoae.resume(tmp_path / "run", model=other, num_generations=2, progress=False)
    same = mine.Nnx(rngs=nnx.Rngs(5))
    result = evoae.resume(tmp_path / "run", model=same, num_generations=3, progress=False)
    assert len(result.trace.best_fitness) == 3


def test_it_is_trained_and_used_from_the_command_line(mine, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("images.npz", images=IMAGES)
    words = ["--model.name", "networks_of_tests:of_settings", "--model.latent-size", "2"]
    words += ["--data.source", "images.npz", "--num-generations", "2", "--out", "run"]
    small = ["--strategy.kind", "GeneticAlgorithm", "--strategy.population-size", "4"]
    assert main(["train", *small, *words]) == 0
    assert "model        of_settings of 2 latent values: 106 weights" in capsys.readouterr().out
    assert main(["resume", "run", "--num-generations", "3"]) == 0
    assert main(["encode", "run"]) == 0
    assert json.loads((tmp_path / "run/config.json").read_text())["config"]["model"] == {
        "name": "networks_of_tests:of_settings",
        "latent_size": 2,
        "channels": None,
    }


def test_settings_of_a_module_come_back_from_json(mine):
    for model in (
        mine.Linen(2, activation=nn.relu, dtype=jnp.bfloat16),
        FunctionPair(mine.init, mine.apply),
        evoae.runs.ModelConfig("networks_of_tests:of_settings", 3),
    ):
        config = RunConfig(model=model, num_generations=1)
        again = from_json(json.loads(json.dumps(to_json(config))))
        assert again.model == model
    config = RunConfig(model=mine.Nnx, num_generations=1)
    again = from_json(json.loads(json.dumps(to_json(config))))
    assert to_json(again) == to_json(config)
    unknown = to_json(RunConfig(model=mine.Linen(dtype=np.dtype("float32")), num_generations=1))
    with pytest.raises(ValueError, match=r"model.dtype: dtype\('float32'\) is in no module"):
        from_json(json.loads(json.dumps(unknown)))


def test_models_with_equal_contents_are_equal(mine):
    one, same = (NnxModule.of(mine.Nnx(rngs=nnx.Rngs(0))) for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    assert one != NnxModule.of(mine.Nnx(rngs=nnx.Rngs(1)))


class Sampling(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dropout(0.5, deterministic=False)(nn.Dense(1)(x))


class Training(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.BatchNorm(use_running_average=False)(nn.Dense(1)(x))


class Smaller(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(x)[:, 1:]


class Counting(nnx.Module):
    def __init__(self, rngs):
        self.count = nnx.Param(jnp.zeros((), jnp.int32))

    def __call__(self, x):
        return x


def broken(rngs):
    raise RuntimeError("no\nluck")


def failing():
    raise KeyError("lost")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Sampling(), "cannot run with params alone; it asks for random numbers: a Dropout must"),
        (Training(), "cannot run with params alone; it changes its collections: a BatchNorm must"),
        (Smaller(), r"model must return images of the shape \(1, 4, 5, 1\)"),
        (Counting, r"model must have params that are floats, it has \['int32'\]"),
        (broken, "cannot be initialised with params alone; RuntimeError: no luck"),
        (failing, "model cannot be made; KeyError: 'lost'"),
        (lambda: 3, "model must be a module of Flax .* got 3"),
        (lambda key: 3, "may need no more than image_shape, rngs; it needs key"),
        (3, "model must be a module of Flax .* got 3"),
        ((1, 2), "model must be a module of Flax"),
        ((lambda k, x: {}, lambda p, x: x), "model must have params that are floats, it has none"),
        ((lambda k, x: [x], lambda p, x: p[3]), "cannot run with params alone; IndexError"),
    ],
)
def test_what_cannot_run_is_one_line_before_anything_is_written(model, message, tmp_path):
    with pytest.raises(ValueError, match=message) as caught:
        evoae.train(model=model, images=IMAGES, num_generations=1, out=tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:f", "model.name: nowhere must be a module that can be imported"),
        ("networks_of_tests:lost", "model.name: lost must be in a module"),
        ("os:getcwd", "model must be a module of Flax .* got '/"),
        ("networks", "model.name must be one of auto, varadi2021"),
    ],
)
def test_a_name_that_leads_nowhere_is_one_line(mine, name, message, capsys):
    assert main(["train", "--model.name", name]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    with pytest.raises(ValueError, match=message):
        raise ValueError(error)


def weights_like(model):
    """(name of the file, what writes it) for all that writes weights."""
    params = model.init(jax.random.key(3), PIXELS)["params"]
    checkpointer = pytest.importorskip("orbax.checkpoint").PyTreeCheckpointer()
    flat = {key.replace("/", "."): its for key, its in named(params).items()}
    packed = flax.serialization.to_bytes({"params": params, "batch_stats": {"a": np.ones(1)}})
    return params, {
        "a.npz": lambda path: save_weights(path, params),
        "a.safetensors": lambda path: safetensors.numpy.save_file(flat, path),
        "a.msgpack": lambda path: path.write_bytes(packed),
        "orbax": lambda path: checkpointer.save(path, params),
    }


def named(params):
    return {k: np.asarray(v) for k, v in evoae.runs.weight_files.named_arrays(params).items()}


@pytest.mark.filterwarnings("ignore")  # of orbax
def test_weights_from_elsewhere_begin_a_run(mine, tmp_path):
    pair = as_model(mine.Linen())
    params, writers = weights_like(pair)
    for name, write in writers.items():
        write(tmp_path / name)
        loaded = structured_as(params, load_weights(tmp_path / name), "weights")
        jax.tree.map(np.testing.assert_array_equal, loaded, params)
    result = evoae.train(
        model=mine.Linen(),
        images=IMAGES,
        weights=tmp_path / "a.safetensors",
        strategy=evoae.strategies.SuccessiveHalving(evoae.strategies.GeneticAlgorithm(4), 2, 1),
        num_generations=1,
        out=tmp_path / "run",
        progress=False,
    )
    settings = json.loads((tmp_path / "run" / "config.json").read_text("utf-8"))["config"]
    assert settings["strategy"]["kind"] == "GeneticAlgorithm"  # a race of equals is none
    variables = pair.init(jax.random.key(0), PIXELS)
    first = pair.apply({**variables, "params": params}, PIXELS)
    assert result.trace.best_fitness[0] <= np.square(first - PIXELS).mean() * 1.00001
    (tmp_path / "a.safetensors").unlink()  # the run has a copy
    (tmp_path / "run").rename(tmp_path / "moved")
    again = evoae.resume(tmp_path / "moved", num_generations=2, progress=False)
    assert len(again.trace.best_fitness) == 2


def test_weights_of_another_model_are_refused_before_anything_is_written(mine, tmp_path):
    save_weights(tmp_path / "a.npz", {"down": {"kernel": np.ones((20, 4))}})
    (tmp_path / "b.msgpack").write_bytes(b"\xc1nothing")
    (tmp_path / "c.safetensors").write_bytes(b"nothing")
    (tmp_path / "d").mkdir()
    for name, message in (
        ("a.npz", "weights is of another model: it has down/bias of shape none"),
        ("b.msgpack", "holds no weights, or is damaged: no tree of flax.serialization"),
        ("c.safetensors", "holds no weights, or is damaged"),
        ("d", "no checkpoint of orbax"),
    ):
        settings = {"model": mine.Linen(), "images": IMAGES, "num_generations": 1}
        with pytest.raises(ValueError, match=message):
            evoae.train(**settings, weights=tmp_path / name, out=tmp_path / "run", progress=False)
        assert not (tmp_path / "run").exists()


def test_a_fitness_takes_any_network_by_hand(mine, key):
    for model in (mine.Nnx(rngs=nnx.Rngs(0)), mine.Nnx, (mine.init, mine.apply)):
        fitness = evoae.fitness.Reconstruction(model)
        variables = dict(fitness.model.init(key, PIXELS))
        params = variables.pop("params")
        fitness = dataclasses.replace(fitness, collections=variables or None)
        expected = np.square(fitness.model.apply({"params": params, **variables}, PIXELS) - PIXELS)
        np.testing.assert_allclose(fitness(params, IMAGES[..., None]), expected.mean(), rtol=1e-5)
