"""The paper's claims about agents, mutated weights, their size, and crossover."""
