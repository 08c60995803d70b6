"""Cellular encoding: a tree of cell programs grows the dense part of a network."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from evoae.checks import Count
from evoae.encodings.base import Encoding
from evoae.encodings.development import dealt, develop
from evoae.encodings.grammar_tree import PAR, SEQ, random_tree
from evoae.types import Genotype, Params

GRAPH = {"bias", "inputs", "links", "output_bias", "outputs"}  # the weights of a `UnitGraph`


@dataclasses.dataclass(frozen=True)
class Cellular(Encoding):
    """Graphs of units that a tree of cell programs grows (Gruau 1994, "Neural network synthesis").

    For networks with layers `evoae.layers.UnitGraph`, as the model "graph". Each of them has a tree
    of its own, by which one cell between an input and an output pointer divides into at most as
    many units as the layer has, with links, weights and biases:
    `evoae.encodings.development` says how. The tree is an array of fixed length and always valid:
    `evoae.encodings.grammar_tree`. Features are dealt in order and evenly to the units that the
    input pointer links, each with a gain that is a gene; outputs likewise, with a gain and a bias
    each. All other weights of the network, such as those of convolutions, are their own genes.

    Any strategy and mutation of floats works. `evoae.mutations.SubtreeMutation` replaces branches,
    and `evoae.crossovers.SubtreeCrossover` exchanges them.

    Attributes:
      max_nodes: the most symbols of a tree, T, at least 1.
      lives: how often a line of cells may read the tree, at least 1, which is no recursion.

    >>> import evoae
    >>> model = evoae.models.graph(latent_size=2, num_units=12)
    >>> params = model.init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)))["params"]
    >>> encoding = Cellular(max_nodes=20)
    >>> genotype = jax.jit(encoding.init)(jax.random.key(1), params)
    >>> genotype["encoder"]["4_UnitGraph"]["symbols"].shape
    (20, 9)
    >>> decoded = jax.jit(encoding.decode)(genotype, params)
    >>> decoded["encoder"]["4_UnitGraph"]["links"].shape
    (12, 12)
    """

    max_nodes: Count = 48
    lives: Count = 2

    def init(self, key: jax.Array, params: Params) -> Genotype:
        """The network, in which a random tree and "gains" replace each graph.

        A graph's genes are "symbols" [T, 9], "values" [T], "input_gains" [inputs], "output_gains"
        and "output_bias" [outputs]; gains are the weights of one of the given units.
        """
        nodes, structure = jax.tree.flatten(params, is_graph)
        if not any(map(is_graph, nodes)):
            raise ValueError(
                "encoding: Cellular grows the layers UnitGraph of a network, such as the model "
                "graph (--model.name graph); got a network without any"
            )
        genotype = []
        for for_node, node in zip(jax.random.split(key, len(nodes)), nodes, strict=True):
            if not is_graph(node):
                genotype.append(node)
                continue
            gains = {
                "input_gains": node["inputs"][0],
                "output_gains": node["outputs"][:, 0],
                "output_bias": node["output_bias"],
            }
            tree = random_tree(for_node, self.max_nodes)
            # A tree that began with END would be one unit: divisions are made likely.
            tree["symbols"] = tree["symbols"].at[0, [SEQ, PAR]].add(3.0)
            genotype.append(tree | gains)
        return jax.tree.unflatten(structure, genotype)

    def decode(self, genotype: Genotype, like: Params) -> Params:
        return jax.tree.map(
            lambda node, its: self._grow(its, node) if is_graph(node) else its,
            like,
            genotype,
            is_leaf=is_graph,
        )

    def _grow(self, genotype: Genotype, like: Params) -> Params:
        num_units, num_inputs = like["inputs"].shape
        cells = develop(genotype, num_units, self.lives)
        weights = jnp.where(cells.links, cells.weights, 0.0)
        reads = dealt(cells.links[:-1, 0], num_inputs)
        writes = dealt(cells.links[-1, 1:], len(like["outputs"]))
        grown = {
            "bias": cells.bias,
            "inputs": jnp.where(reads, weights[:-1, :1] * genotype["input_gains"][None], 0.0),
            "links": weights[:-1, 1:],
            "output_bias": genotype["output_bias"],
            "outputs": jnp.where(writes.T, genotype["output_gains"][:, None], 0.0),
        }
        return {name: grown[name].astype(leaf.dtype) for name, leaf in like.items()}


def is_graph(node: Any) -> bool:
    """Whether a node of weights is that of a `UnitGraph`."""
    return isinstance(node, dict) and node.keys() == GRAPH
