"""The data sets that have a name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a named data set before it is loaded.

    Attributes:
      name: the name that `load` takes.
      description: one line.
      num_train: the number of training images.
      num_test: the number of test images; 0 where there is no such split.
      licence: the licence of the images.
      source: the authors and where it is published.
      bundled: True where the package holds the images, False where they are downloaded.
    """

    name: str
    description: str
    num_train: int
    num_test: int
    licence: str
    source: str
    bundled: bool


_MNIST_SOURCE = "Y. LeCun, C. Cortes, C. Burges, http://yann.lecun.com/exdb/mnist/"

_DATASETS = (
    DatasetInfo(
        name="digits10",
        description="the first image of each digit in MNIST's training set, in the order 0 to 9",
        num_train=10,
        num_test=0,
        licence="CC BY-SA 3.0",
        source=_MNIST_SOURCE,
        bundled=True,
    ),
    DatasetInfo(
        name="mnist-mini",
        description="the first 2,000 training and the first 1,000 test images of MNIST",
        num_train=2_000,
        num_test=1_000,
        licence="CC BY-SA 3.0",
        source=_MNIST_SOURCE,
        bundled=True,
    ),
    DatasetInfo(
        name="mnist",
        description="handwritten digits, 28x28, grey",
        num_train=60_000,
        num_test=10_000,
        licence="CC BY-SA 3.0",
        source=_MNIST_SOURCE,
        bundled=False,
    ),
    DatasetInfo(
        name="fashion_mnist",
        description="articles of clothing in ten classes, 28x28, grey",
        num_train=60_000,
        num_test=10_000,
        licence="MIT",
        source="H. Xiao, K. Rasul, R. Vollgraf, https://github.com/zalandoresearch/fashion-mnist",
        bundled=False,
    ),
    DatasetInfo(
        name="kmnist",
        description="cursive Japanese characters (Kuzushiji) in ten classes, 28x28, grey",
        num_train=60_000,
        num_test=10_000,
        licence="CC BY-SA 4.0",
        source="T. Clanuwat and others, http://codh.rois.ac.jp/kmnist/",
        bundled=False,
    ),
)


def available() -> tuple[DatasetInfo, ...]:
    """Returns the named data sets, the bundled ones first.

    Example:
      >>> [info.name for info in available()]
      ['digits10', 'mnist-mini', 'mnist', 'fashion_mnist', 'kmnist']
    """
    return _DATASETS
