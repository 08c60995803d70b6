"""One run and many: settings, the loop, what is saved, taken up again, swept and compared."""

from evoae.runs.clock import Clock, Pace
from evoae.runs.comparison import Comparison, compare
from evoae.runs.config import (
    DEFAULT_PRESET,
    PRESETS,
    DataConfig,
    ModelConfig,
    RunConfig,
    from_json,
    to_json,
)
from evoae.runs.finished_run import Run, load_run
from evoae.runs.loop import Observer, Progress, run_loop
from evoae.runs.result import Result
from evoae.runs.sweeps import Sweep, sweep
from evoae.runs.training import resume, train
from evoae.runs.weight_files import load_weights

__all__ = [
    "DEFAULT_PRESET",
    "PRESETS",
    "Clock",
    "Comparison",
    "DataConfig",
    "ModelConfig",
    "Observer",
    "Pace",
    "Progress",
    "Result",
    "Run",
    "RunConfig",
    "Sweep",
    "compare",
    "from_json",
    "load_run",
    "load_weights",
    "resume",
    "run_loop",
    "sweep",
    "to_json",
    "train",
]
