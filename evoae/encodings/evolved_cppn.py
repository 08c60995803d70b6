"""CPPN whose topology evolves, too: nodes and links within a fixed maximum."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jax import lax

from evoae.checks import Count, Fraction
from evoae.encodings.array_scales import first_scales, scaled
from evoae.encodings.base import Encoding
from evoae.encodings.coordinates import coordinates
from evoae.encodings.cppn import ACTIVATIONS
from evoae.types import Genotype, Params


@dataclasses.dataclass(frozen=True)
class EvolvedCPPN(Encoding):
    """As `CPPN`, with links and activations that are genes: its topology is found by the search.

    There are `max_nodes` nodes in a row; the last one is the output, and linear. Each may have a
    link from every coordinate and from every node before it. A link is there where its gate, a
    gene, is above 0, and then has its weight, another gene; a hidden node has the activation whose
    gene of five is the largest. So any mutation of floats adds and removes links and changes
    activations, and nothing can be invalid. A node that no link leaves does nothing. The output is
    divided by the root of the number of coordinates. NEAT (Stanley and Miikkulainen 2002), by which
    topologies of CPPNs are mostly evolved, grows a list of genes instead; within one compiled
    program its size must be fixed.

    Attributes:
      max_nodes: the most nodes, the output among them.
      first_links: the probability that a gate of a random CPPN is open, above 0 and below 1; those
        from coordinates to the output are, so that it begins with a pattern.

    >>> params = {"bias": jnp.zeros(8), "kernel": jnp.ones((8, 100))}
    >>> encoding = EvolvedCPPN(max_nodes=4)
    >>> genotype = encoding.init(jax.random.key(0), params)
    >>> genotype["gates"].shape, encoding.decode(genotype, params)["kernel"].shape
    ((4, 11), (8, 100))
    """

    max_nodes: Count = 12
    first_links: Fraction = 0.3

    def init(self, key: jax.Array, params: Params) -> Genotype:
        """A random CPPN and "scales" of the given weights.

        "weights" and "gates" are [nodes, coordinates + nodes - 1] by receiver and sender,
        "activations" [nodes - 1, 5], "biases" [nodes].
        """
        nodes, num_inputs = self.max_nodes, coordinates(params).shape[1]
        senders = num_inputs + nodes - 1
        for_weights, for_gates, for_activations, for_biases = jax.random.split(key, 4)
        gates = jax.random.uniform(for_gates, (nodes, senders), jnp.float32) - 1.0
        gates = (gates + jnp.float32(self.first_links)).at[-1, :num_inputs].set(0.5)
        normal = jax.random.normal
        return {
            "activations": normal(for_activations, (nodes - 1, len(ACTIVATIONS)), jnp.float32),
            "biases": normal(for_biases, (nodes,), jnp.float32),
            "gates": gates,
            "scales": first_scales(params),
            "weights": normal(for_weights, (nodes, senders), jnp.float32),
        }

    def decode(self, genotype: Genotype, like: Params) -> Params:
        inputs = jnp.asarray(coordinates(like).T)
        num_inputs = len(inputs)
        genotype = jax.tree.map(jnp.asarray, genotype)  # a loop indexes them
        links = jnp.where(genotype["gates"] > 0, genotype["weights"], 0.0)
        chosen = genotype["activations"].argmax(1)
        values = jnp.zeros((num_inputs + self.max_nodes - 1, inputs.shape[1]), inputs.dtype)
        values = values.at[:num_inputs].set(inputs)

        def total(node: jax.Array | int, values: jax.Array) -> jax.Array:
            product = jnp.matmul(links[node], values, precision=lax.Precision.HIGHEST)
            return product + genotype["biases"][node]

        def next_node(node: jax.Array, values: jax.Array) -> jax.Array:
            # What comes later is still 0, so that a link from there gives nothing.
            out = lax.switch(chosen[node], list(ACTIVATIONS.values()), total(node, values))
            return values.at[num_inputs + node].set(out)

        if self.max_nodes > 1:  # else there is none to choose from
            values = lax.fori_loop(0, self.max_nodes - 1, next_node, values)
        # The root of the number of coordinates makes it of about the size of 1.
        output = total(self.max_nodes - 1, values) / jnp.float32(math.sqrt(num_inputs))
        return scaled(output, genotype["scales"], like)
