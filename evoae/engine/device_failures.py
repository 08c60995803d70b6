"""What JAX raises when a device or another process fails, as one clear error with advice."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import jax

# What XLA, Gloo, NCCL and JAX's coordination service say of a process that is gone.
_OF_OTHERS = ("gloo", "nccl", "coordination", "peer", "heartbeat", "barrier")


@contextmanager
def explained() -> Iterator[None]:
    """Raises a `MemoryError` or a `ConnectionError` in place of XLA's own error of that kind.

    >>> with explained():
    ...     raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory.")
    Traceback (most recent call last):
        ...
    MemoryError: the device has too little memory for the run; choose a smaller chunk_size, ...
    """
    try:
        yield
    except (RuntimeError, ValueError) as error:  # XLA's own comes as either
        text = " ".join(str(error).split())
        if not re.match(r"[A-Z_]+: ", text):  # the codes with which XLA's begin
            raise
        if "RESOURCE_EXHAUSTED" in text:
            raise MemoryError(
                "the device has too little memory for the run; choose a smaller chunk_size, "
                f"batch_size or population_size (XLA: {text[:200]})"
            ) from error
        if jax.process_count() > 1 and any(word in text.lower() for word in _OF_OTHERS):
            raise ConnectionError(
                "another process of this run has stopped or cannot be reached; start all of them "
                f"again, by evoae resume where there is a checkpoint (XLA: {text[:200]})"
            ) from error
        raise
