"""Images by name or from files: bundled, tensorflow-datasets, IDX, NPZ, folders of pictures."""

from evoae.data.catalogue import DatasetInfo, available
from evoae.data.dataset import Dataset, scale
from evoae.data.loading import load
from evoae.data.sampling import minibatch

__all__ = ["Dataset", "DatasetInfo", "available", "load", "minibatch", "scale"]
