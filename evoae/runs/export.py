"""A run's network in forms that other programs read."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import jax.export
import numpy as np

from evoae.checks import check_choice
from evoae.files import user_path
from evoae.models.own import has_method
from evoae.report.output_files import replacing
from evoae.runs.finished_run import Run
from evoae.runs.paths import write_settings, writing
from evoae.runs.weight_files import save_weights

Format = Literal["safetensors", "stablehlo"]
PLATFORMS = ("cpu", "cuda", "tpu")
WEIGHTS, DESCRIPTION = "weights.safetensors", "export.json"


def export_run(
    run: Run, folder: str | os.PathLike[str], formats: Sequence[Format] = get_args(Format)
) -> list[Path]:
    """Writes the best network of a run for programs without evoae.

    Args:
      run: the run.
      folder: where to write; it is made if need be, and files of these names are replaced.
      formats: "safetensors" for the weights, in weights.safetensors; "stablehlo" for programs with
        the weights in them, by `jax.export`, on CPU, CUDA and TPU: reconstruct.stablehlo, and
        encode.stablehlo and decode.stablehlo where the model has these. They take any number of
        images. Only the programs of a model that counts images, for example by `len`, take one.

    Returns:
      The files, with export.json, which describes inputs and outputs.

    Raises:
      ValueError: an unknown format, or no package for it.
      OSError: what cannot be written.
    """
    if isinstance(formats, str) or not formats:
        raise ValueError(f"formats must be one or more, got {formats!r}")
    for asked in formats:
        check_choice("formats", asked, get_args(Format))
    out = user_path(folder)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        files = []
        if "safetensors" in formats:
            save_weights(out / WEIGHTS, run.params)
            files.append(out / WEIGHTS)
        described: dict[str, Any] = {
            "model": run.config.model_name,
            "pixels": [run.config.data.low, run.config.data.high],
            "image_shape": list(run.image_shape),
        }
        if "stablehlo" in formats:
            for name, exported in _programs(run).items():
                file = out / f"{name}.stablehlo"
                with replacing(file) as temporary:
                    temporary.write_bytes(_serialized(exported))
                described[name] = [str(exported.in_avals[0]), str(exported.out_avals[0])]
                files.append(file)
        write_settings(out, json.loads(json.dumps(described)), DESCRIPTION)
    return [*files, out / DESCRIPTION]


def _programs(run: Run) -> dict[str, jax.export.Exported]:
    """What the network does, for any number N of images or latents where it can, else for one."""
    try:
        return _exported(run, jax.export.symbolic_shape("N")[0])
    except Exception:  # whatever a network raises that counts its images, as by len()
        return _exported(run, 1)


def _exported(run: Run, number: Any) -> dict[str, jax.export.Exported]:
    def export(method: Literal["encode", "decode"] | None, shape: Sequence[Any]) -> Any:
        program = jax.export.export(jax.jit(run.function(method)), platforms=PLATFORMS)
        return program(jax.ShapeDtypeStruct((number, *shape), np.float32))

    exported = {"reconstruct": export(None, run.image_shape)}
    if has_method(run.model, "encode") and has_method(run.model, "decode"):
        exported["encode"] = export("encode", run.image_shape)
        exported["decode"] = export("decode", exported["encode"].out_avals[0].shape[1:])
    return exported


def _serialized(exported: jax.export.Exported) -> bytearray:
    try:
        return exported.serialize()
    except ImportError as error:  # JAX does not install what it needs for this
        raise ValueError('flatbuffers must be installed: pip install "evoae[export]"') from error
