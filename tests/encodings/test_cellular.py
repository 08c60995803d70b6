"""Cellular encoding: against plain Python, parity as its proof, 40,000 trees of all operators."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import evoae
from evoae import crossovers, encodings, mutations
from evoae.cli.options import parse_run
from evoae.encodings import Cellular, record_growth
from evoae.encodings.development import dealt, develop
from evoae.encodings.grammar_tree import (
    ARITIES,
    SYMBOLS,
    random_tree,
    read,
    sizes_of,
    symbols_of,
    written,
)
from evoae.layers import UnitGraph, activate
from evoae.layers.unit_graph import UNIT_ACTIVATIONS
from evoae.report import draw_growth
from evoae.runs import train
from evoae.runs.config import DataConfig, ModelConfig, RunConfig, to_json
from evoae.strategies import GeneticAlgorithm
from tests import cellular_reference as reference
from tests.random_weights import random_images, random_weights

PARITY = "SEQ PAR REC END SEQ PAR END BIAS(-1) END NEXT WEIGHT(-1) END"
NAMES = list(SYMBOLS)
grow = jax.jit(develop, static_argnums=1)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def grow_many(key, count, max_nodes, num_units, lives):
    trees = jax.vmap(random_tree, (0, None))(jax.random.split(key, count), max_nodes)
    return trees, jax.vmap(develop, (0, None, None))(trees, num_units, lives)


def plain_tree(tree):
    """The tree of the reference, from the largest gene of each row."""
    return reference.tree_of([NAMES[row.argmax()] for row in tree["symbols"]], tree["values"])


def member(stacked, index):
    return jax.tree.map(lambda leaf: np.asarray(leaf)[index], stacked)


# Development


@pytest.mark.parametrize("lives", [1, 3])
def test_networks_are_those_of_plain_python(lives, key):
    trees, cells = grow_many(key, 200, 24, 9, lives)
    for index in range(200):
        found = member(cells, index)
        source, units, sink = reference.grow(plain_tree(member(trees, index)), 9, lives)
        assert found.num_cells == len(units)
        np.testing.assert_allclose(found.bias[: len(units)], [unit.bias for unit in units])
        links, weights = np.zeros((10, 10), bool), np.zeros((10, 10))
        for row, receiver in zip([*range(len(units)), 9], [*units, sink], strict=True):
            columns = [
                0 if link[0] is source else 1 + units.index(link[0]) for link in receiver.inputs
            ]
            assert columns == sorted(columns)  # which is why a matrix has the order of the lists
            links[row, columns] = True
            weights[row, columns] = [weight for _, weight in receiver.inputs]
        np.testing.assert_array_equal(found.links, links)
        np.testing.assert_allclose(np.where(links, found.weights, 0), weights, rtol=1e-6)
    sizes = np.asarray(cells.num_cells)
    assert np.mean(sizes == 9) > 0.1  # there are those that were full
    assert np.mean(sizes < 9) > 0.1


def truth_table(number):
    return np.array(list(itertools.product([0, 1], repeat=number)), np.float32)


@pytest.mark.parametrize("number", range(2, 9))
def test_one_tree_is_parity_of_one_input_more_than_it_has_lives(number):
    """By threshold units of NumPy, on the links and weights that grew: the whole truth table."""
    cells = jax.tree.map(np.asarray, grow(written(PARITY, 12), 32, number - 1))
    assert cells.num_cells == 4 * number - 3
    table, weights = truth_table(number), np.where(cells.links, cells.weights, 0)
    inputs = np.flatnonzero(cells.links[:32, 0])
    assert len(inputs) == number
    units = np.zeros((len(table), 32))
    for i in range(cells.num_cells):
        external = table[:, list(inputs).index(i)] if i in inputs else 0
        units[:, i] = external * weights[i, 0] + units @ weights[i, 1:] + cells.bias[i] > 0
    np.testing.assert_array_equal(units @ weights[32, 1:], table.sum(1) % 2)


def test_parity_by_the_layer_itself():
    """Tree, genes, weights of the layer, output: all of it within one program."""
    layer, encoding = UnitGraph(1, 13, "threshold"), Cellular(12, lives=3)
    like = {name: jnp.zeros(shape) for name, shape in layer.weight_shapes((4,)).items()}
    gains = {"input_gains": jnp.ones(4), "output_gains": jnp.ones(1), "output_bias": jnp.zeros(1)}

    @jax.jit
    def outputs(genotype, rows):
        return layer.pre_activation(encoding.decode(genotype, like), rows.T)[0]

    table = truth_table(4)
    found = outputs(written(PARITY, 12) | gains, table)
    np.testing.assert_array_equal(found, table.sum(1) % 2)


@pytest.mark.parametrize(
    ("text", "number", "links", "bias"),
    [
        ("END", 1, [(0, 0), (-1, 1)], [0]),
        ("SEQ END BIAS(2) END", 2, [(0, 0), (1, 1), (-1, 2)], [0, 2]),
        ("PAR END END", 2, [(0, 0), (1, 0), (-1, 1), (-1, 2)], [0, 0]),
        ("CUT END", 1, [(0, 0), (-1, 1)], [0]),
        ("BIAS(1) SEQ END REC", 2, [(0, 0), (1, 1), (-1, 2)], [1, 1]),
        ("SEQ PAR END END NEXT CUT END", 3, [(0, 0), (1, 0), (2, 1), (-1, 3)], [0, 0, 0]),
    ],
)
def test_small_trees_become_what_they_say(text, number, links, bias):
    cells = grow(written(text, 12), 32, 1)
    assert cells.num_cells == number
    expected = np.zeros((33, 33), bool)
    expected[tuple(np.transpose(links))] = True
    np.testing.assert_array_equal(cells.links, expected)
    np.testing.assert_array_equal(cells.bias[:number], bias)


def test_a_division_without_a_free_unit_ends_the_cell():
    cells = grow(written("SEQ REC PAR END END", 12), 32, 50)
    assert cells.num_cells == 32
    assert (cells.head == 12).all()


@functools.partial(jax.jit, static_argnums=1)
def deal(masks, number):
    return jax.vmap(dealt, (0, None))(masks, number)


def test_features_are_dealt_evenly_and_in_order():
    masks = np.array(list(itertools.product([False, True], repeat=5)))
    for number in (1, 3, 12):
        for mask, found in zip(masks, np.asarray(deal(masks, number)), strict=True):
            cells = np.flatnonzero(mask)
            expected = np.zeros((5, number), bool)
            for k, cell in enumerate(cells):
                if len(cells) <= number:
                    its = [f for f in range(number) if f * len(cells) // number == k]
                else:
                    its = [k * number // len(cells)]
                expected[cell, its] = True
            np.testing.assert_array_equal(found, expected)
            if 0 < len(cells) <= number:
                assert (found.sum(0) == 1).all()
                assert np.ptp(found[cells].sum(1)) <= 1


# Trees


def test_texts_and_trees_are_one_to_one(key):
    assert read(written(PARITY, 20)) == PARITY
    trees, _ = grow_many(key, 200, 24, 9, 1)
    for index in range(200):
        tree = member(trees, index)
        expected = reference.prefix(plain_tree(tree))
        words = read(tree).split()
        assert [word.partition("(")[0] for word in words] == [name for name, _, _ in expected]
        again = written(read(tree), 24)
        assert read(again) == read(tree)


def test_sizes_are_those_of_branches(key):
    trees, _ = grow_many(key, 200, 24, 9, 1)
    sizes = jax.jit(jax.vmap(lambda rows: sizes_of(symbols_of(rows))))(trees["symbols"])
    for index in range(200):
        nodes = reference.prefix(plain_tree(member(trees, index)))
        assert sizes[index, : len(nodes)].tolist() == list(map(reference.size_of, nodes))


@functools.partial(jax.jit, static_argnums=(0, 1))
def offspring(crossover, mutation, key, trees, others):
    """Children of a crossover and then of a mutation; either may be None."""

    def one(index, first, second):
        for_crossover, for_mutation = jax.random.split(key)
        perturbations = []
        for operator, its in ((crossover, for_crossover), (mutation, for_mutation)):
            if operator is not None:
                hyper = evoae.trees.hyperparameters(operator)
                perturbations.append(operator.sample(its, index, first, hyper))
                apply = operator.apply
                if operator is crossover:
                    first = apply(first, second, perturbations[-1])
                else:
                    first = apply(first, perturbations[-1])
        return first, perturbations

    return jax.vmap(one)(jnp.arange(len(trees["values"])), trees, others)


def test_a_crossed_tree_is_the_first_with_a_branch_of_the_second(key, many):
    trees, others = many
    children, (perturbation,) = offspring(*OPERATORS["crossovers.SubtreeCrossover"], key, *many)
    for index in range(200):
        first, second, child = (
            reference.prefix(plain_tree(member(its, index))) for its in (trees, others, children)
        )
        if not perturbation.crossed[index, 0]:
            assert child == first
            continue
        to, what = np.asarray(perturbation.points[index, 0])
        place = int(to * np.float32(len(first)))
        own = reference.size_of(first[place])
        room = 16 - len(first) + own
        fitting = [i for i, node in enumerate(second) if reference.size_of(node) <= room]
        root = fitting[int(what * np.float32(len(fitting)))]
        taken = second[root : root + reference.size_of(second[root])]
        expected = first[:place] + taken + first[place + own :]
        assert [node[:2] for node in child] == [node[:2] for node in expected]


def test_a_mutated_tree_has_one_new_branch(key, many):
    trees, _ = many
    children, (perturbation,) = offspring(*OPERATORS["small branches"], key, *many)
    new_sizes = []
    for index in range(200):
        parent, child = (
            [node[0] for node in reference.prefix(plain_tree(member(its, index)))]
            for its in (trees, children)
        )
        nodes = reference.prefix(plain_tree(member(trees, index)))
        if not perturbation.replaced[index, 0]:
            assert child == parent
            continue
        place = int(perturbation.points[index, 0] * np.float32(len(parent)))
        behind = parent[place + reference.size_of(nodes[place]) :]
        assert child[:place] == parent[:place]
        assert child[len(child) - len(behind) :] == behind
        new_sizes.append(len(child) - place - len(behind))
    assert min(new_sizes) == 1
    assert max(new_sizes) == 5
    assert 100 < len(new_sizes) < 180


OPERATORS = {
    **{
        f"mutations.{name}": (None, getattr(mutations, name)())
        for name in mutations.__all__
        if name not in ("Mutation", "SubtreeMutation")  # which is in "both"
    },
    **{f"crossovers.{name}": (getattr(crossovers, name)(), None) for name in crossovers.__all__},
    "small branches": (
        None,
        mutations.SubtreeMutation(mutations.Gaussian(1e-6), rate=0.7, max_new_nodes=5),
    ),
    "large steps": (None, mutations.Gaussian(100.0)),
    "both": (crossovers.SubtreeCrossover(), mutations.SubtreeMutation()),
}


@jax.jit
def check_all(trees):
    """What must hold of many trees; a `while` that ends is a development that does."""
    symbols = jax.vmap(symbols_of)(trees["symbols"])
    sizes = jax.vmap(sizes_of)(symbols)[:, 0]
    arities = jnp.asarray(ARITIES)[symbols]
    inside = jnp.arange(symbols.shape[1])[None] < sizes[:, None]
    cells = jax.vmap(develop, (0, None, None))(trees, 8, 2)
    later = jnp.tril(jnp.ones((9, 9), bool), 0)  # column 0 is the input pointer
    exists = jnp.arange(9)[None] < 1 + cells.num_cells[:, None]  # senders
    return {
        "one tree": jnp.where(inside, arities - 1, 0).sum(1) == -1,
        "units": (cells.num_cells >= 1) & (cells.num_cells <= 8),
        "ended": (cells.head == symbols.shape[1]).all(1),
        "forward": ~(cells.links & ~later[None]).any((1, 2)),
        "real cells": ~(cells.links & ~exists[:, None]).any((1, 2)),
        "inputs": (
            cells.links[:, :-1].any(2) == (jnp.arange(8)[None] < cells.num_cells[:, None])
        ).all(1),
        "output": cells.links[:, -1].any(1),
        "finite": jnp.isfinite(cells.weights).all((1, 2)) & jnp.isfinite(cells.bias).all(1),
    }


@functools.partial(jax.jit, static_argnums=(1, 2))
def draw_many(key, count, max_nodes):
    return jax.vmap(random_tree, (0, None))(jax.random.split(key, count), max_nodes)


@pytest.fixture(scope="module")
def many():
    """2,500 trees on the host, and as many others."""
    drawn = [draw_many(jax.random.key(seed), 2_500, 16) for seed in (0, 1)]
    return jax.tree.map(np.asarray, drawn)


def assert_valid(trees):
    for what, holds in check_all(trees).items():
        assert np.asarray(holds).all(), what


def test_ten_thousand_random_trees_are_valid():
    for seed in range(4):
        assert_valid(draw_many(jax.random.key(seed), 2_500, 16))


@pytest.mark.parametrize("name", OPERATORS)
def test_their_offspring_by_every_operator_are_valid(name, many, key):
    children, _ = offspring(*OPERATORS[name], key, *many)
    pairs = zip(jax.tree.leaves(children), jax.tree.leaves(many[0]), strict=True)
    assert any(np.any(np.asarray(a) != b) for a, b in pairs)
    assert_valid(children)


# The layer


@pytest.mark.parametrize("name", UNIT_ACTIVATIONS)
def test_a_graph_is_that_of_numpy(name):
    layer, shape, rng = UnitGraph(3, 6, name, "sigmoid"), (2, 2, 2), np.random.default_rng(0)
    weights = {n: rng.uniform(-1, 1, s) for n, s in layer.weight_shapes(shape).items()}
    x = rng.uniform(-1, 1, (*shape, 4))
    functions = {
        "linear": lambda x: x,
        "relu": lambda x: np.maximum(x, 0),
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "tanh": np.tanh,
        "threshold": lambda x: np.float64(x > 0),
    }
    units = []
    for i in range(6):
        total = weights["inputs"][i] @ x.reshape(8, 4) + weights["bias"][i]
        for j, unit in enumerate(units):
            total = total + weights["links"][i, j] * unit
        units.append(functions[name](total))
    pre = weights["outputs"] @ np.array(units) + weights["output_bias"][:, None]
    given = jax.tree.map(jnp.float32, weights), jnp.float32(x)
    found = jax.jit(lambda w, x: activate(layer, layer.pre_activation(w, x)))(*given)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-pre)), rtol=1e-5, atol=1e-6)


def test_a_graph_has_gradients():
    layer, rng = UnitGraph(2, 4), np.random.default_rng(0)
    weights = {n: jnp.float32(rng.uniform(-1, 1, s)) for n, s in layer.weight_shapes((3,)).items()}
    x = jnp.float32(rng.uniform(-1, 1, (3, 2)))
    check_grads(
        jax.jit(layer.pre_activation), (weights, x), order=1, modes=["rev"], atol=1e-2, rtol=1e-2
    )


MODEL = evoae.Autoencoder(
    [UnitGraph(2, 6)], [UnitGraph(30, 5, activation="sigmoid"), evoae.layers.Reshape(1, 6, 5)]
)


@pytest.fixture(scope="module")
def network():
    return random_weights(MODEL, jnp.zeros((1, 6, 5, 1)))


def test_a_network_with_graphs_is_always_evaluated_whole(network, key):
    images = random_images(3, 6, 5, 1)
    fitness = evoae.fitness.Reconstruction(MODEL)
    assert not fitness.follows_changes
    strategy = GeneticAlgorithm(8, mutation=mutations.Sparse(1))
    state = strategy.init(key, network)
    state, trace = evoae.evolve(key, strategy, fitness, images, state, num_generations=5)
    np.testing.assert_allclose(
        jax.jit(fitness)(state.best, images), trace.best_fitness[-1], rtol=1e-6
    )


# The encoding


def test_weights_have_the_form_of_the_network_and_its_other_layers_are_kept(key):
    params = {
        "a": {name: jnp.ones(s) for name, s in UnitGraph(3, 4).weight_shapes((5,)).items()},
        "b": {"kernel": jnp.full((2, 3), 0.5)},
    }
    encoding = Cellular(10)
    genotype = jax.jit(encoding.init)(key, params)
    assert genotype["b"] is not None
    np.testing.assert_array_equal(genotype["b"]["kernel"], params["b"]["kernel"])
    assert {name: leaf.shape for name, leaf in genotype["a"].items()} == {
        "input_gains": (5,),
        "output_bias": (3,),
        "output_gains": (3,),
        "symbols": (10, 9),
        "values": (10,),
    }
    half = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16), params["a"])
    for like in (params, {**params, "a": half}):
        decoded = jax.jit(lambda g, like=like: encoding.decode(g, like))(genotype)
        assert jax.tree.structure(decoded) == jax.tree.structure(params)
        forms = [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(like)]
        assert [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(decoded)] == forms


def test_a_decoded_graph_is_what_grew(network, key):
    encoding = Cellular(20, lives=2)
    network = {"encoder": network["encoder"]}
    init, decode = jax.jit(encoding.init), jax.jit(encoding.decode)
    for seed in range(5):
        genotype = init(jax.random.key(seed), network)
        its = genotype["encoder"]["0_UnitGraph"]
        weights = decode(genotype, network)["encoder"]["0_UnitGraph"]
        source, units, sink = reference.grow(plain_tree(jax.tree.map(np.asarray, its)), 6, 2)
        expected = {name: np.zeros(leaf.shape) for name, leaf in weights.items()}
        readers = [u for u in units if any(link[0] is source for link in u.inputs)]
        writers = [link[0] for link in sink.inputs]
        for i, unit in enumerate(units):
            expected["bias"][i] = unit.bias
            for sender, weight in unit.inputs:
                if sender is not source:
                    expected["links"][i, units.index(sender)] = weight
                    continue
                for feature in range(30):
                    if feature * len(readers) // 30 == readers.index(unit):
                        gain = its["input_gains"][feature]
                        expected["inputs"][i, feature] = weight * gain
            if unit in writers:
                for output in range(2):
                    few = len(writers) <= 2
                    k = writers.index(unit)
                    if output * len(writers) // 2 == k if few else k * 2 // len(writers) == output:
                        expected["outputs"][output, i] = its["output_gains"][output]
        expected["output_bias"] = its["output_bias"]
        for name, leaf in weights.items():
            np.testing.assert_allclose(leaf, expected[name], rtol=1e-6, err_msg=name)


@pytest.mark.slow
def test_a_configuration_compiles_once_and_improves(network, key, compilations):
    images = random_images(3, 6, 5, 1)
    strategy = GeneticAlgorithm(
        16,
        4,
        mutation=mutations.SubtreeMutation(mutations.Gaussian(0.1)),
        crossover=crossovers.SubtreeCrossover(),
    )
    encoding = Cellular(12)
    state = strategy.init(key, jax.jit(encoding.init)(key, network))
    for seed, number in ((0, 5), (1, 40)):
        fitness = encodings.decoded(
            evoae.fitness.Reconstruction(MODEL), dataclasses.replace(encoding), network
        )
        end, trace = evoae.evolve(
            jax.random.key(seed), strategy, fitness, images, state, num_generations=number
        )
    assert compilations.count("jit(block)") + compilations.count("block") == 1
    assert end.best_fitness < 0.95 * trace.best_fitness[0]


@pytest.fixture(scope="module")
def config():
    words = ["--model.name", "graph", "--encoding.kind", "Cellular", "--encoding.lives", "3"]
    words += ["--strategy.mutation.kind", "SubtreeMutation", "--strategy.mutation.rate", "0.5"]
    strategy = GeneticAlgorithm(4, mutation=mutations.Gaussian(0.1))
    data = DataConfig("digits10", num_samples=2)
    return parse_run(RunConfig(data=data, strategy=strategy, num_generations=2), words)


def test_the_command_line_puts_the_subtree_mutation_around_the_other(config):
    assert config.encoding == Cellular(lives=3)
    assert config.strategy.mutation == mutations.SubtreeMutation(mutations.Gaussian(0.1), rate=0.5)
    assert to_json(config)["strategy"]["mutation"]["mutation"]["kind"] == "Gaussian"


@pytest.mark.slow
def test_a_run_leaves_trees_among_its_genes(config, tmp_path):
    result = train(dataclasses.replace(config, out=tmp_path / "run"), progress=False)
    genotype = np.load(tmp_path / "run" / "genotype.npz")
    assert "encoder/4_UnitGraph/symbols" in genotype.files
    assert result.trace.best_fitness[-1] == pytest.approx(result.error, rel=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cellular(0), "Cellular: max_nodes must be a whole number from 1, got 0"),
        (lambda: Cellular(lives=0), "Cellular: lives must be a whole number from 1, got 0"),
        (
            lambda: Cellular().init(None, {"a": {"kernel": jnp.zeros((2, 3))}}),
            r"Cellular grows the layers UnitGraph .* \(--model.name graph\); got a network without",
        ),
        (lambda: written(PARITY, 11), "at most max_nodes=11 symbols, got 12"),
        (lambda: written("SEQ END", 9), "the tree must end, got 1 open branches in 'SEQ END'"),
        (lambda: written("END END", 9), "the tree ends before 'END'"),
        (lambda: written("seq", 9), "a tree is made of SEQ, PAR, .* got 'seq'"),
        (lambda: written("WAIT(3) END", 9), r"with a number for WEIGHT\(x\) .* got 'WAIT\(3\)'"),
        (lambda: UnitGraph(2, 0), "UnitGraph: num_units must be a whole number from 1, got 0"),
        (lambda: UnitGraph(2, 3, "step"), "unit_activation must be one of .* got 'step'"),
        (
            lambda: crossovers.SubtreeCrossover(1.0),
            "SubtreeCrossover: rate must be a finite number above 0 and below 1, got 1.0",
        ),
        (
            lambda: mutations.SubtreeMutation(rate=0),
            "SubtreeMutation: rate must be a finite number above 0 and below 1, got 0",
        ),
        (
            lambda: mutations.SubtreeMutation(None),
            "SubtreeMutation: mutation must be one of .* got None",
        ),
        (
            lambda: mutations.SubtreeMutation(max_new_nodes=0),
            "max_new_nodes must be a whole number",
        ),
        (
            lambda: crossovers.SubtreeCrossover().sample(
                jax.random.key(0), 0, {"kernel": jnp.zeros(3)}, {"rate": 0.5}
            ),
            "genes must hold a tree, as those of Cellular do; these hold none",
        ),
        (
            lambda: RunConfig(model=ModelConfig("varadi2021", latent_size=3), minutes=1),
            "model.latent_size must be left out",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(make, message):
    with pytest.raises(ValueError, match=message) as raised:
        make()
    assert "\n" not in str(raised.value)


# The picture


def test_the_picture_shows_every_step_of_parity(tmp_path):
    path = tmp_path / "parity.png"
    growth = record_growth(written(PARITY, 12), num_units=32, lives=3)
    figure = draw_growth(path, growth)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:3] == ["tree", "network: 13 units", "step 0: 1 cell"]
    assert titles[-1] == "step 11: 13 cells"
    assert len(titles) == 14
    tree, network = figure.axes[:2]
    labels = [text.get_text() for text in tree.texts]
    assert sorted(labels) == sorted(word.replace("(-1)", " -1") for word in PARITY.split())
    arrows = [text for text in network.texts if getattr(text, "arrow_patch", None)]
    assert len(arrows) == 4 + 1 + 6 * 3
    assert path.stat().st_size > 10_000


def test_the_picture_of_many_steps_shows_some(tmp_path):
    growth = record_growth(written(PARITY, 12), num_units=32, lives=7)
    figure = draw_growth(tmp_path / "long.png", growth)
    assert len(figure.axes) == 14
    assert figure.axes[-1].get_title() == "step 23: 29 cells"
