"""Kitano's matrix rewriting: a grammar of 2 x 2 rules grows the weights of each array."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from evoae.checks import Several
from evoae.encodings.array_scales import first_scales, scaled
from evoae.encodings.base import Encoding
from evoae.types import Genotype, Params


@dataclasses.dataclass(frozen=True)
class Kitano(Encoding):
    """Weights that a grammar of graphs grows, by rewriting matrices of symbols.

    From Kitano (1990), "Designing neural networks using genetic algorithms with graph generation
    system". There are `num_symbols` symbols. Every array of weights begins as one of them, and each
    symbol has a rule, by which it becomes 2 x 2 symbols: after k steps there are 2^k x 2^k, of
    which the array takes the upper left part, as a matrix of first axis times all others. A symbol
    is then the weight that is its gene of value; so an array has at most `num_symbols` different
    weights. In the paper the last symbols are 1 and 0, a link or none, and rules are discrete; here
    a rule is four rows of genes, and each row names the symbol whose gene is the largest. So any
    mutation of floats rewrites rules, and all rules are valid. Each array of weights has a gene of
    scale besides.

    Attributes:
      num_symbols: of the grammar, at least 2.

    >>> params = {"bias": jnp.zeros(8), "kernel": jnp.ones((8, 100))}
    >>> genotype = Kitano(num_symbols=10).init(jax.random.key(0), params)
    >>> genotype["rules"].shape, Kitano(num_symbols=10).decode(genotype, params)["kernel"].shape
    ((10, 2, 2, 10), (8, 100))
    """

    num_symbols: Several = 16

    def init(self, key: jax.Array, params: Params) -> Genotype:
        """A random grammar, all of N(0, 1), and "scales" of the given weights.

        "rules" are [symbols, 2, 2, symbols], "axioms" (the first symbol of each array) [arrays,
        symbols], "values" [symbols].
        """
        number, arrays = self.num_symbols, len(jax.tree.leaves(params))
        for_rules, for_axioms, for_values = jax.random.split(key, 3)
        return {
            "axioms": jax.random.normal(for_axioms, (arrays, number), jnp.float32),
            "rules": jax.random.normal(for_rules, (number, 2, 2, number), jnp.float32),
            "scales": first_scales(params),
            "values": jax.random.normal(for_values, (number,), jnp.float32),
        }

    def decode(self, genotype: Genotype, like: Params) -> Params:
        """Rewrites the first symbol of each array until it covers the array."""
        rules, axioms = genotype["rules"].argmax(3), genotype["axioms"].argmax(1)
        arrays = []
        for axiom, leaf in zip(axioms, jax.tree.leaves(like), strict=True):
            rows = leaf.shape[0] if leaf.shape else 1
            columns = math.prod(leaf.shape[1:])
            symbols = axiom[None, None]
            for step in range((max(rows, columns) - 1).bit_length()):
                # What the array does not take, and what would grow from it, is never made.
                side = 1 << ((max(rows, columns) - 1).bit_length() - step - 1)
                height, width = symbols.shape
                symbols = rules[symbols].transpose(0, 2, 1, 3).reshape(2 * height, 2 * width)
                symbols = symbols[: -(-rows // side), : -(-columns // side)]
            arrays.append(genotype["values"][symbols].reshape(-1))
        return scaled(jnp.concatenate(arrays), genotype["scales"], like)
