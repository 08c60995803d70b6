"""The paper's figures made again, and its claims measured: one experiment a file.

`evoae.experiments.paper.registry` names them all, and imports what draws pictures.
"""
