"""The paper's proposal: do genes that make the weights train faster, and mind mutation less?"""

from evoae.experiments.paper.encodings.experiment import ENCODINGS

__all__ = ["ENCODINGS"]
