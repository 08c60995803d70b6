"""The race of several starts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae.mutations import Sparse
from evoae.strategies import GeneticAlgorithm, Islands, ProbeEvolutionStrategy, SuccessiveHalving

INNER = GeneticAlgorithm(6, mutation=Sparse(1, scale=0.3))
RACE = SuccessiveHalving(INNER, num_starts=3, generations_each=4)
NETWORKS = {"weights": jnp.array([[3.0, 3.0, 3.0], [1.0, -1.0, 1.0], [2.0, 2.0, -2.0]])}


def error(params, batch):
    return (params["weights"] ** 2).sum()


def generation(strategy, key, state):
    for_ask, for_tell = jax.random.split(key)
    population, state = strategy.ask(for_ask, state)
    errors = jax.vmap(error, (0, None))(population.dense(strategy), None)
    return strategy.tell(for_tell, population, errors, state)[0]


def test_turns_and_choice(key):
    """The starts take turns, then the best goes on, and none knows of the others."""
    for_init, for_run = jax.random.split(key)
    state = RACE.init(for_init, evoae.Stacked(NETWORKS))
    step = jax.jit(lambda key, state: generation(RACE, key, state))
    alone = jax.jit(lambda key, state: generation(INNER, key, state))
    keys = jax.random.split(for_run, 20)
    turns, at_choice = [], None
    for number, one in enumerate(keys):
        turns.append(int(state.active))
        state = step(one, state)
        if number == 11:
            at_choice = state
    winner = int(np.argmin(at_choice.starts.fitness[:, 0]))
    assert winner == 1  # which begins nearest to the optimum
    assert turns == [0] * 4 + [1] * 4 + [2] * 4 + [winner] * 8
    expected = INNER.init(jax.random.fold_in(for_init, winner), evoae.trees.take(NETWORKS, winner))
    for number in [*range(4 * winner, 4 * winner + 4), *range(12, 20)]:
        expected = alone(keys[number], expected)
    found = evoae.trees.take(state.starts, winner)
    # The two are different programs, so their last bits are not the same.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), expected, found)
    assert float(state.best_fitness) == float(found.best_fitness)
    for other in {0, 1, 2} - {winner}:
        jax.tree.map(
            np.testing.assert_array_equal,
            evoae.trees.take(at_choice.starts, other),
            evoae.trees.take(state.starts, other),
        )


def test_rounds_have_fewer_starts_and_longer_turns(key):
    race = SuccessiveHalving(INNER, num_starts=7, generations_each=2, reduction=3)
    networks = {"weights": jax.random.normal(key, (7, 3))}
    state, turns = race.init(key, evoae.Stacked(networks)), []
    step = jax.jit(lambda key, state: generation(race, key, state))
    for number in range(7 * 2 + 2 * 6 + 3):
        if number == 14:
            order = np.argsort(state.starts.fitness[:, 0])
        if number == 26:
            last = np.argmin(np.where(np.arange(7) == order[2], np.inf, state.starts.fitness[:, 0]))
        turns.append(int(state.active))
        assert bool(state.decided) == (number >= 26)
        state = step(jax.random.fold_in(key, number), state)
    first = [start for start in range(7) for _ in range(2)]
    assert turns == [*first, *[order[0]] * 6, *[order[1]] * 6, *[last] * 3]
    assert last in order[:2]


def test_a_start_that_is_far_behind_is_dropped(key):
    """Its generations go to the last turn, in steps and in whole programs."""
    slow = GeneticAlgorithm(6, mutation=Sparse(1, scale=1e-3))  # errors stay near 27, 3 and 12
    race = SuccessiveHalving(slow, num_starts=3, generations_each=10, drops=True)
    state, turns = race.init(key, evoae.Stacked(NETWORKS)), []
    last, _ = evoae.evolve(key, race, error, None, state, num_generations=40)
    assert last.starts.generation.tolist() == [10, 10 + 12, 8]
    step = jax.jit(lambda key, state: generation(race, key, state))
    for number in range(40):
        turns.append(int(state.active))
        assert bool(state.decided) == (number >= 28)
        state = step(jax.random.fold_in(key, number), state)
    assert turns == [0] * 10 + [1] * 10 + [2] * 8 + [1] * 12
    near = SuccessiveHalving(slow, num_starts=2, generations_each=10, drops=True)
    state = near.init(key, evoae.Stacked({"weights": jnp.array([[1.0, 1.0], [1.1, 1.1]])}))
    last, _ = evoae.evolve(key, near, error, None, state, num_generations=25)
    assert last.starts.generation.tolist() == [15, 10]  # 1.21 times the error of the other


def test_more_starts_may_be_dropped_than_a_round_leaves_out(key):
    race = SuccessiveHalving(INNER, num_starts=4, generations_each=10, reduction=2, drops=True)
    first = jnp.array([[0.1], [90.0], [80.0], [70.0]])
    state = race.init(key, evoae.Stacked({"weights": first}))
    last, _ = evoae.evolve(key, race, error, None, state, num_generations=100)
    assert last.starts.generation.tolist() == [76, 8, 8, 8]
    assert bool(last.decided)


def test_best_never_lost_and_resumed(key):
    """In `evolve`: the best only falls, and two calls are one."""
    for_init, for_run = jax.random.split(key)
    first = RACE.init(for_init, evoae.Stacked(NETWORKS))
    run = lambda state, n: evoae.evolve(for_run, RACE, error, None, state, num_generations=n)  # noqa: E731
    whole, _ = run(first, 16)
    bests, state = [], first
    for _ in range(4):
        state, _ = run(state, 4)
        bests.append(float(state.best_fitness))
    assert bests == sorted(bests, reverse=True)
    jax.tree.map(np.testing.assert_array_equal, whole, state)
    np.testing.assert_allclose(error(state.best, None), state.best_fitness, rtol=1e-6)


def test_single_changes_pass_through(key):
    """A race of probes offers its children as changes of single weights."""
    race = SuccessiveHalving(ProbeEvolutionStrategy(5), num_starts=2, generations_each=3)
    state = race.init(key, evoae.Stacked({"weights": jnp.ones((2, 4))}))
    population, _ = race.ask(key, state)
    positions, deltas = race.single_changes(population)
    assert positions.shape == deltas.shape == (4,)
    assert race.num_networks == 2
    assert race.population_size == 5


def test_a_race_of_islands_that_begin_with_networks_of_their_own(key):
    race = SuccessiveHalving(Islands(INNER, 2, num_migrants=0), num_starts=3, generations_each=4)
    assert race.num_networks == 6
    for_weights, for_init, for_run = jax.random.split(key, 3)
    networks = evoae.Stacked({"weights": jax.random.normal(for_weights, (6, 3))})
    state = race.init(for_init, networks)
    begun = state.starts.islands.parents["weights"][:, :, 0]  # [starts, islands, 3]
    np.testing.assert_array_equal(begun.reshape(6, 3), networks.params["weights"])
    state, trace = evoae.evolve(for_run, race, error, None, state, num_generations=20)
    chosen = int(state.active)
    assert chosen == np.argmin(trace.best_fitness[3:12:4])  # each start's last generation
    assert state.best_fitness == trace.best_fitness.min()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": GeneticAlgorithm}, r"SuccessiveHalving: strategy must be"),
        ({"num_starts": 1}, "SuccessiveHalving: num_starts"),
        ({"generations_each": 0}, "SuccessiveHalving: generations_each"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        SuccessiveHalving(**{"strategy": INNER, **settings})


def test_wrong_networks(key):
    with pytest.raises(ValueError, match="Stacked of 3 networks for SuccessiveHalving"):
        RACE.init(key, {"weights": jnp.ones(3)})
    with pytest.raises(ValueError, match="multiple of 3"):
        RACE.init(key, evoae.Stacked({"weights": jnp.ones((4, 3))}))
    with pytest.raises(
        ValueError, match="must stack 3 networks for SuccessiveHalving of GeneticAlgorithm"
    ):
        RACE.init(key, evoae.Stacked({"weights": jnp.ones((18, 3))}))


@pytest.mark.parametrize(("number", "each", "horizon"), [(30, 4, 22), (12, 2, 8), (1, 1, 1)])
def test_the_race_has_half_of_a_run_at_most(number, each, horizon):
    race = SuccessiveHalving(ProbeEvolutionStrategy(5), num_starts=3, generations_each=4).fitted_to(
        number
    )
    assert (race.generations_each, race.strategy.horizon) == (each, horizon)
    assert race.fitted_to(number) == race


def test_rounds_have_nine_tenths_of_a_run_at_most():
    race = SuccessiveHalving(ProbeEvolutionStrategy(5), num_starts=4, reduction=2)
    short = race.fitted_to(223)  # rounds of 4, of 2 twice as long, and one start alone
    assert short.generations_each == 25  # 4 x 25 + 2 x 50
    assert short.strategy.horizon == 23 + 25 + 50
    assert race.fitted_to(10**6).generations_each == race.generations_each
