"""One contract for all strategies and operators, on a small problem."""

import dataclasses
import functools
import inspect
import math
import typing
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae import crossovers, encodings, mutations, strategies
from evoae.engine.generations import generation
from evoae.fitness import corruptions
from evoae.layers import UnitGraph
from evoae.strategies import GESMR, SAMR, GeneticAlgorithm, LinearRank, OneFifth, Tournament

# A network of two layers, of which many weights should be 0, and none of which is where it should.
LAYERS = {"0_Dense": {"bias": (4,), "kernel": (4, 6)}, "1_Dense": {"kernel": (3, 4)}}
SHAPES = {"encoder": LAYERS}
LEAVES = jax.tree.leaves(SHAPES, is_leaf=lambda x: isinstance(x, tuple))
SIZE = sum(map(math.prod, LEAVES))
START = jax.tree.map(jnp.ones, SHAPES, is_leaf=lambda x: isinstance(x, tuple))
# As many weights again, of a layer that a tree of cells can grow.
GRAPH = UnitGraph(3, 4).weight_shapes((3,))
OF_CELLS = {"a": {name: jnp.ones(shape) for name, shape in GRAPH.items()}, "b": START}


def genetic(mutation, num_elites=1, **settings):
    return GeneticAlgorithm(45, num_elites=num_elites, mutation=mutation, **settings)


BINOMIAL = mutations.Binomial(3.0, 0.5, max_weights=8)
GAUSSIAN = mutations.Gaussian(0.1)
# Every operator at least once; each entry takes seconds to compile.
STRATEGIES = {
    "sparse": genetic(mutations.Sparse(1)),
    "sparse, shared, replaced": genetic(
        mutations.Sparse(2, shared_positions=True, replace=True), 3
    ),
    "zeroing": genetic(mutations.Zeroing(2.0, max_weights=8)),
    "gaussian": genetic(GAUSSIAN),
    "uniform": genetic(BINOMIAL, 5, crossover=crossovers.Uniform()),
    "one point, tournament": genetic(
        mutations.Gaussian(0.1, layer_scales=(1.0, 0.5)),
        5,
        crossover=crossovers.OnePoint(),
        selection=Tournament(3),
    ),
    "by layer, rank": genetic(
        mutations.LowRank(0.1), 5, crossover=crossovers.ByLayer(), selection=LinearRank(1.5)
    ),
    "arithmetic": genetic(
        mutations.HeavyTailed(max_weights=8), 5, crossover=crossovers.Arithmetic()
    ),
    "one fifth": genetic(BINOMIAL, adaptation=OneFifth()),
    "samr by layer": genetic(mutations.LowRank(0.1), 3, adaptation=SAMR(per_layer=True)),
    "gesmr": genetic(mutations.HeavyTailed(max_weights=8), adaptation=GESMR()),
    "gesmr by layer, uniform": genetic(
        BINOMIAL, 5, crossover=crossovers.Uniform(), adaptation=GESMR(per_layer=True)
    ),
    "probes": strategies.ProbeEvolutionStrategy(45, learning_rate=0.05, horizon=60.0),
}
PROBES = strategies.ProbeEvolutionStrategy(15, learning_rate=0.05, horizon=60.0)
STRATEGIES |= {
    "race": strategies.SuccessiveHalving(STRATEGIES["probes"], num_starts=2, generations_each=10),
    "islands": strategies.Islands(PROBES, num_islands=3, num_migrants=0),
}
# A strategy on genes: the weights of the same network are made from them.
ENCODINGS = {
    "cosine": encodings.Cosine(0.6),
    "random subspace": encodings.RandomSubspace(20),
    "cppn": encodings.CPPN((5,)),
    "evolved cppn": encodings.EvolvedCPPN(3),
    "kitano": encodings.Kitano(4),
    "parametric": encodings.Parametric(),
    "cellular": encodings.Cellular(8),
}
STRATEGIES |= dict.fromkeys(ENCODINGS, STRATEGIES["gaussian"])
STRATEGIES["cellular"] = genetic(
    mutations.SubtreeMutation(GAUSSIAN), 5, crossover=crossovers.SubtreeCrossover()
)
every_strategy = pytest.mark.parametrize(
    "name",
    # Cells that divide compile long.
    [pytest.param(name, marks=[pytest.mark.slow] * (name == "cellular")) for name in STRATEGIES],
)
NUM_GENERATIONS = 30  # in one scan
traces = []  # the strategies whose run was traced, one entry a tracing


def error(params, batch):
    """Mean squared distance to the target, plus `batch`; NaN for weights above 3."""
    targets = [
        jnp.where(jnp.arange(leaf.size) % 3 > 0, 0.0, 0.5) for leaf in jax.tree.leaves(params)
    ]
    vector, target = evoae.trees.ravel(params), jnp.concatenate(targets)
    total = jnp.square(vector - target).mean()
    return jnp.where(vector.max() > 3, jnp.nan, total) + batch


def fitness_of(name):
    """The error, of weights or of what genes decode to."""
    return encodings.decoded(error, ENCODINGS.get(name, encodings.Direct()), network_of(name))


def network_of(name):
    return OF_CELLS if name == "cellular" else START


def scan(name, key, state, batch):
    return scan_of(STRATEGIES[name], fitness_of(name), key, state, batch)


@functools.partial(jax.jit, static_argnums=(0, 1))
def scan_of(strategy, fitness, key, state, batch):
    """A run, and its trace."""
    traces.append(strategy)
    step = lambda state, _: generation(key, strategy, fitness, batch, state)[:2]  # noqa: E731
    return jax.lax.scan(step, state, length=NUM_GENERATIONS)


@functools.cache
def start_of(name):
    return begin(name)


@functools.cache
def first_of(name):
    """The first network, or its genes."""
    if name not in ENCODINGS:
        return START
    return jax.jit(ENCODINGS[name].init)(jax.random.key(3), network_of(name))


def begin(name, hyper=None):
    """The first state, from as many copies of the first network as the strategy wants."""
    strategy, first = STRATEGIES[name], first_of(name)
    count = strategy.num_networks
    copies = evoae.Stacked(jax.tree.map(lambda leaf: jnp.stack([leaf] * count), first))
    return strategy.init(jax.random.key(0), first if count == 1 else copies, hyper)


@functools.cache
def run(name, seed=0):
    """States after 0, 1 and 2 scans, and the traces of the two."""
    key, states, infos = jax.random.key(seed), [start_of(name)], []
    for _ in range(2):
        state, info = scan(name, key, states[-1], 0.0)
        states.append(state)
        infos.append(info)
    return states, infos


class Generation(NamedTuple):
    """One generation: its candidates, some of them one by one, errors, and what came of it."""

    population: evoae.Population
    dense: evoae.types.Params
    expressed: evoae.types.Params
    errors: jax.Array
    of_dense: jax.Array
    state: evoae.types.Params
    info: evoae.Info


EXPRESSED = np.int32([0, 1, 5, 30, 44])


@functools.partial(jax.jit, static_argnums=(0, 1))
def generations_at_once(strategy, fitness, keys, states, spoiled):
    """One generation of several runs: of each its key, its state, and which errors are spoiled.

    These are NaN and -infinity for the candidates that are named by 1 and 2.
    """

    def one(key, state, spoiled):
        # The keys of `generation`, so that this is one of a run's.
        _, for_ask, for_tell = jax.random.split(jax.random.fold_in(key, state.generation), 3)
        population, state = strategy.ask(for_ask, state)
        dense = population.dense(strategy)
        expressed = jax.lax.map(lambda index: strategy.express(population, index), EXPRESSED)
        of_dense = jax.vmap(fitness, (0, None))(dense, 0.0)
        errors = evoae.evaluate(strategy, fitness, population, 0.0, chunk_size=5)
        given = jnp.where(spoiled == 1, jnp.nan, jnp.where(spoiled == 2, -jnp.inf, errors))
        after = strategy.tell(for_tell, population, given, state)
        return Generation(population, dense, expressed, errors, of_dense, *after)

    return jax.vmap(one)(keys, states, spoiled)


NOTHING, ALL = np.zeros(45, np.int32), np.ones(45, np.int32)  # of the errors are spoiled


def at_once(name, keys, states, spoiled):
    """A generation of two runs, on the host."""
    found = generations_at_once(STRATEGIES[name], fitness_of(name), keys, states, spoiled)
    keyed = lambda leaf: jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)  # noqa: E731
    on_host = lambda leaf: np.asarray(jax.random.key_data(leaf) if keyed(leaf) else leaf)  # noqa: E731
    return jax.tree.map(on_host, found)


def two(states):
    """The same state twice, on the host."""
    return jax.tree.map(lambda leaf: np.stack([leaf] * 2), states)


def last_generations(name, spoiled=NOTHING):
    """The generation after those of a run, with some spoiled errors, and with all of them."""
    keys = jnp.stack([jax.random.key(5)] * 2)
    found = at_once(name, keys, two(run(name)[0][-1]), np.stack([spoiled, ALL]))
    return [jax.tree.map(lambda leaf, i=i: leaf[i], found) for i in (0, 1)]


@functools.cache
def last_generation(name):
    return last_generations(name)[0]


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def close(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6), a, b)


@every_strategy
def test_it_improves_and_never_loses_its_best(name):
    states, infos = run(name)
    state, best = states[-1], np.concatenate([info.best_fitness for info in infos])
    fitness = jax.jit(fitness_of(name))
    part = 0.9 if name == "kitano" else 0.5  # the same weight for all cells of a symbol
    assert state.best_fitness < part * fitness(first_of(name), 0.0)
    np.testing.assert_allclose(fitness(state.best, 0.0), state.best_fitness, rtol=1e-5)
    if isinstance(STRATEGIES[name], GeneticAlgorithm):
        assert np.all(np.diff(best) <= 0)
        assert state.best_fitness == best[-1]
    else:  # its centre may get worse, but what it remembers does not
        assert state.best_fitness == best.min()


@every_strategy
def test_another_key_another_float_and_other_data_trace_nothing(name):
    state, (info, _) = start_of(name), run(name)[1]
    traces.clear()
    _, (other_key, _) = run(name, seed=1)
    hyper = jax.tree.map(lambda leaf: leaf * jnp.float32(0.9), state.hyper)
    key = jax.random.key(0)
    other_float = scan(name, key, begin(name, hyper), 0.0)[1]
    other_data = scan(name, key, state, 1.0)[1]
    assert not traces
    np.testing.assert_allclose(other_data.mean_fitness[0], info.mean_fitness[0] + 1, rtol=1e-5)
    for other in (other_key, other_float):
        assert np.any(other.mean_fitness != info.mean_fitness)


@every_strategy
def test_keys_at_once_are_the_same_as_one_by_one(name):
    keys, states = jnp.stack([jax.random.key(seed) for seed in (0, 1)]), two(start_of(name))
    infos = []
    for _ in range(NUM_GENERATIONS):
        *_, states, info = at_once(name, keys, states, np.stack([NOTHING] * 2))
        infos.append(info)
    together = states, jax.tree.map(lambda *rows: np.stack(rows, 1), *infos)
    for i in (0, 1):
        alone, trace = run(name, seed=i)
        close(jax.tree.map(lambda leaf, i=i: leaf[i], together), (alone[1], trace[0]))


@every_strategy
def test_it_goes_on_exactly_from_a_state_on_the_host(name):
    states, infos = run(name)
    host = jax.tree.map(np.array, states[1])
    same(scan(name, jax.random.key(0), host, 0.0), (states[2], infos[1]))
    assert states[2].generation == 2 * NUM_GENERATIONS


@every_strategy
def test_chunks_of_any_size_have_the_errors_of_the_whole_population(name):
    one = last_generation(name)
    np.testing.assert_allclose(one.errors, one.of_dense, rtol=1e-6)


@every_strategy
def test_express_builds_what_dense_builds_from_less_than_networks(name):
    one = last_generation(name)
    close(jax.tree.map(lambda leaf: leaf[EXPRESSED], one.dense), one.expressed)
    population = one.population
    assert population.size == 45
    assert population.parent_ids.dtype == jnp.int32
    assert population.parent_ids.shape == (45, 2)
    stored = len(jax.tree.leaves(population.parents)[0])
    assert 0 <= population.parent_ids.min() <= population.parent_ids.max() < stored
    same(jax.tree.map(lambda leaf: leaf[:stored], one.dense), population.parents)
    numbers = sum(leaf.size for leaf in jax.tree.leaves(population.perturbation))
    assert numbers < 45 * SIZE  # never P whole networks


@every_strategy
def test_what_has_no_finite_error_is_never_elite(name):
    strategy, errors = STRATEGIES[name], last_generation(name).errors
    order = np.argsort(errors, stable=True)
    spoiled = np.zeros(45, int)
    spoiled[order[:6]] = [1, 2, 1, 2, 1, 2]  # the elites, too
    one, nothing = last_generations(name, np.int32(spoiled))
    invalid = 6 + np.count_nonzero(~np.isfinite(errors))
    assert one.info.num_invalid == invalid
    assert one.info.best_fitness == errors[order[6]]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(one.state))
    if isinstance(strategy, GeneticAlgorithm):
        elites = order[6 : 6 + strategy.num_elites]
        np.testing.assert_array_equal(one.state.fitness, errors[elites])
    assert nothing.info.num_invalid == 45
    weights_and_rates = nothing.state._replace(
        **{field: None for field in ("fitness",) if field in nothing.state._fields}
    )
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(weights_and_rates))


def descriptions():
    """All public descriptions, by name."""
    return {
        f"{module.__name__}.{name}": getattr(module, name)
        for module in (mutations, crossovers, strategies, encodings, corruptions)
        for name in module.__all__
        if dataclasses.is_dataclass(getattr(module, name))
    }


def test_a_field_of_a_name_has_one_type_and_floats_have_the_names_of_the_field():
    found = {}
    for cls in descriptions().values():
        for name, kind in typing.get_type_hints(cls).items():
            found.setdefault(name, {}).setdefault(str(kind), []).append(cls.__name__)
    assert {name: kinds for name, kinds in found.items() if len(kinds) > 1} == {}
    synonyms = {"sigma", "std", "popsize", "elites", "num_parents", "lr", "size_population", "p"}
    assert not synonyms & found.keys()


def test_descriptions_are_frozen_hashable_and_equal_by_value():
    for cls in descriptions().values():
        parameters = inspect.signature(cls).parameters.values()
        if any(parameter.default is parameter.empty for parameter in parameters):
            continue
        assert cls() == cls()
        assert hash(cls()) == hash(cls())
        for field in dataclasses.fields(cls):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(cls(), field.name, None)


@pytest.mark.parametrize(
    ("base", "classes"),
    [
        (mutations.Mutation, [getattr(mutations, name) for name in mutations.__all__]),
        (evoae.types.Crossover, [getattr(crossovers, name) for name in crossovers.__all__]),
        (evoae.types.Selection, [strategies.Truncation, Tournament, LinearRank]),
        (evoae.types.Adaptation, [OneFifth, SAMR, GESMR]),
        (encodings.Encoding, [encodings.Direct, *map(type, ENCODINGS.values())]),
        (evoae.Strategy, {type(strategy) for strategy in STRATEGIES.values()}),
    ],
)
def test_methods_have_the_arguments_of_their_base_class_or_protocol(base, classes):
    for name, method in vars(base).items():
        if name.startswith("_") or not inspect.isfunction(method):
            continue
        arguments = list(inspect.signature(method).parameters)
        for cls in classes:
            assert list(inspect.signature(getattr(cls, name)).parameters) == arguments
