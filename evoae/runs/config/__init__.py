"""What one run is: frozen settings, their checks, the presets, and their JSON form."""

from evoae.runs.config.model_settings import ModelConfig
from evoae.runs.config.presets import DEFAULT_PRESET, DESCRIPTIONS, PRESETS
from evoae.runs.config.serialization import from_json, to_json
from evoae.runs.config.setting_names import full_name, setting, with_settings
from evoae.runs.config.settings import DataConfig, RunConfig
from evoae.runs.config.sweep_grid import Grid, grid

__all__ = [
    "DEFAULT_PRESET",
    "DESCRIPTIONS",
    "PRESETS",
    "DataConfig",
    "Grid",
    "ModelConfig",
    "RunConfig",
    "from_json",
    "full_name",
    "grid",
    "setting",
    "to_json",
    "with_settings",
]
