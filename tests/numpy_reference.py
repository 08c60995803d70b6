"""The first network, the original program's genetic algorithm and all errors in NumPy, float64.

Written from their definition in docs/design.md and from nothing else, so that agreement with the
package is evidence. Images are [N, 28, 28], with pixels from 0.1 to 0.9; weights are vectors [1397]
in the direct order.
"""

from typing import NamedTuple

import numpy as np
from skimage.metrics import structural_similarity

NUM_WEIGHTS = 1397


class Weights(NamedTuple):
    """A weight vector, or many of them [..., 1397], cut into its arrays."""

    conv_1: np.ndarray  # [..., 5, 5]
    conv_2: np.ndarray  # [..., 5, 5]
    dense: list[tuple[np.ndarray, np.ndarray]]  # four of [..., outputs, inputs], [..., outputs]
    transposed_1: np.ndarray  # [..., 5, 5]
    transposed_2: np.ndarray  # [..., 10, 5, 5]


def cut(vector: np.ndarray) -> Weights:
    """Layer by layer, weights before biases."""
    start = 0

    def take(*shape: int) -> np.ndarray:
        nonlocal start
        part = vector[..., start : start + int(np.prod(shape))]
        start += part.shape[-1]
        return part.reshape(*vector.shape[:-1], *shape)

    weights = Weights(
        take(5, 5),
        take(5, 5),
        [(take(out, size), take(out)) for size, out in ((16, 5), (5, 2), (2, 5), (5, 160))],
        take(5, 5),
        take(10, 5, 5),
    )
    assert start == vector.shape[-1] == NUM_WEIGHTS
    return weights


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


# One network and one image, by loops.


def convolve(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Valid, stride 1, then ReLU: [y, x] -> [y - 4, x - 4]."""
    height, width = image.shape[0] - 4, image.shape[1] - 4
    output = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            output[y, x] = max(0.0, (image[y : y + 5, x : x + 5] * kernel).sum())
    return output


def pool(image: np.ndarray) -> np.ndarray:
    """The maximum of each 2x2 block."""
    output = np.zeros((image.shape[0] // 2, image.shape[1] // 2))
    for y, x in np.ndindex(output.shape):
        output[y, x] = image[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].max()
    return output


def convolve_transposed(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Full, stride 1, without activation: [y, x] -> [y + 4, x + 4]."""
    output = np.zeros((image.shape[0] + 4, image.shape[1] + 4))
    for y, x in np.ndindex(image.shape):
        output[y : y + 5, x : x + 5] += kernel * image[y, x]
    return output


def unpool(image: np.ndarray) -> np.ndarray:
    """Each value as a 2x2 block."""
    return np.kron(image, np.ones((2, 2)))


def encode(vector: np.ndarray, image: np.ndarray) -> np.ndarray:
    """[28, 28] -> the latent [2]."""
    weights = cut(np.asarray(vector, np.float64))
    hidden = pool(convolve(np.asarray(image, np.float64), weights.conv_1))
    hidden = pool(convolve(hidden, weights.conv_2)).reshape(16)
    for kernel, bias in weights.dense[:2]:
        hidden = sigmoid(kernel @ hidden + bias)
    return hidden


def decode(vector: np.ndarray, latent: np.ndarray) -> np.ndarray:
    """The latent [2] -> [28, 28]."""
    weights = cut(np.asarray(vector, np.float64))
    hidden = latent
    for kernel, bias in weights.dense[2:]:
        hidden = sigmoid(kernel @ hidden + bias)
    channels = [
        sigmoid(convolve_transposed(unpool(channel), weights.transposed_1))
        for channel in hidden.reshape(10, 4, 4)
    ]
    merged = sum(
        convolve_transposed(unpool(channel), kernel)
        for channel, kernel in zip(channels, weights.transposed_2, strict=True)
    )
    return sigmoid(merged)


# Many networks and many images at once, for whole runs.


def reconstruct_all(vectors: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Weights [P, 1397] and images [N, 28, 28] -> [P, N, 28, 28]."""
    weights = cut(vectors)
    hidden = np.broadcast_to(images, (len(vectors), *images.shape))
    for kernel in (weights.conv_1, weights.conv_2):
        rows, columns = hidden.shape[2] - 4, hidden.shape[3] - 4
        hidden = sum(
            kernel[:, i, j, None, None, None] * hidden[:, :, i : i + rows, j : j + columns]
            for i, j in np.ndindex(5, 5)
        )
        hidden = np.maximum(hidden, 0)
        blocks = hidden.reshape(*hidden.shape[:2], rows // 2, 2, columns // 2, 2)
        hidden = blocks.max((3, 5))
    hidden = hidden.reshape(*hidden.shape[:2], 16)
    for kernel, bias in weights.dense:
        hidden = sigmoid(hidden @ kernel.swapaxes(1, 2) + bias[:, None])
    hidden = hidden.reshape(*hidden.shape[:2], 10, 4, 4)
    # Unpooling moves no value to another channel, so the channels may be summed before it.
    hidden = sigmoid(
        _spread(hidden[..., None, :, :] * weights.transposed_1.reshape(-1, 1, 1, 25, 1, 1))
    )
    mixed = np.einsum(
        "pcs,pncyx->pnsyx", weights.transposed_2.reshape(-1, 10, 25), hidden, optimize=True
    )
    return sigmoid(_spread(mixed))


def _spread(taps: np.ndarray) -> np.ndarray:
    """Weighted images [..., 25, y, x] -> the sum of the unpooled, each at its kernel position."""
    taps = taps.repeat(2, -2).repeat(2, -1)
    *batch, _, height, width = taps.shape
    output = np.zeros((*batch, height + 4, width + 4))
    for tap, (i, j) in enumerate(np.ndindex(5, 5)):
        output[..., i : i + height, j : j + width] += taps[..., tap, :, :]
    return output


def errors(vectors: np.ndarray, images: np.ndarray) -> np.ndarray:
    """The mean absolute error of each of P networks, [P]."""
    return np.abs(reconstruct_all(vectors, images) - images).mean((1, 2, 3))


def select(candidates: np.ndarray, fitness: np.ndarray) -> np.ndarray:
    """The best candidate, copied to all."""
    return np.repeat(candidates[fitness.argmin()][None], len(candidates), 0)


def mutate(candidates: np.ndarray, positions: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Adds values [K, P] at positions [K], the same for all, to all but candidate 0."""
    candidates = candidates.copy()
    for position, added in zip(positions, values, strict=True):
        candidates[1:, position] += added[1:]
    return candidates


def run(
    seed: int, images: np.ndarray, population_size: int, num_weights: int, num_generations: int
) -> list[float]:
    """The best error of each generation, from a population of independent networks."""
    rng = np.random.default_rng(seed)
    candidates = rng.uniform(-1, 1, (population_size, NUM_WEIGHTS))
    best = []
    for _ in range(num_generations):
        fitness = errors(candidates, images)
        best.append(float(fitness.min()))
        positions = rng.integers(NUM_WEIGHTS, size=num_weights)
        values = rng.uniform(-1, 1, (num_weights, population_size))
        candidates = mutate(select(candidates, fitness), positions, values)
    return best


# The errors of `evoae.fitness`.


def cross_entropy(y, t):
    y = np.clip(y, 1e-6, 1 - 1e-6)
    return -(t * np.log(y) + (1 - t) * np.log(1 - y)).mean()


def logit_huber(y, t):
    y, t = np.clip(y, 1e-6, 1 - 1e-6), np.clip(t, 0.01, 0.99)
    d = np.abs(np.log(y / (1 - y)) - np.log(t / (1 - t)))
    return np.where(d <= 1, d**2 / 2, d - 0.5).mean()


def of_images(similarity):
    """1 less the mean of a similarity of two images [height, width, channels]."""
    return lambda y, t: 1 - np.mean([similarity(a, b) for a, b in zip(y, t, strict=True)])


def skimage_ssim(y, t):
    """By the settings that follow the publication; it leaves out windows that stand over."""
    return structural_similarity(
        *(y, t),
        channel_axis=-1,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )


# By the names of `evoae.fitness`: (outputs, targets), both [N, H, W, C] -> error.
FORMULAS = {
    "mae": lambda y, t: np.abs(y - t).mean(),
    "mse": lambda y, t: np.square(y - t).mean(),
    "rmse": lambda y, t: np.sqrt(np.square(y - t).mean()),
    "bce": cross_entropy,
    "logit_huber": logit_huber,
    "correlation": of_images(lambda y, t: np.corrcoef(y.ravel(), t.ravel())[0, 1]),
    "ssim": of_images(skimage_ssim),
}
