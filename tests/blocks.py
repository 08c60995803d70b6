"""An observer that keeps all that it is told."""

from evoae.runs import Observer


class Blocks(Observer):
    """Keeps the progress after each block."""

    def __init__(self):
        self.told = []

    def block(self, progress):
        self.told.append(progress)
