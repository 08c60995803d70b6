"""What one run is: frozen settings, their checks, the presets, and their JSON form."""

from evoae.config.presets import DEFAULT_PRESET, DESCRIPTIONS, PRESETS
from evoae.config.serialization import from_json, to_json
from evoae.config.settings import DataConfig, ModelConfig, RunConfig

__all__ = [
    "DEFAULT_PRESET",
    "DESCRIPTIONS",
    "PRESETS",
    "DataConfig",
    "ModelConfig",
    "RunConfig",
    "from_json",
    "to_json",
]
