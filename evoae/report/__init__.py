"""What a run leaves for people to look at: pictures, films, curves and numbers.

Host side only: NumPy arrays (or what turns into them) come in, files and pictures go out.
"""

from evoae.report.animation import animation
from evoae.report.baselines import baselines, diversity
from evoae.report.comparison import Course, comparison
from evoae.report.curve import curve
from evoae.report.galleries import galleries
from evoae.report.gallery import gallery
from evoae.report.growth import draw_growth
from evoae.report.latent import latent_map
from evoae.report.metrics import write_metrics
from evoae.report.principal_components import pca_error
from evoae.report.recorder import Frame, FrameRecorder

__all__ = [
    "Course",
    "Frame",
    "FrameRecorder",
    "animation",
    "baselines",
    "comparison",
    "curve",
    "diversity",
    "draw_growth",
    "galleries",
    "gallery",
    "latent_map",
    "pca_error",
    "write_metrics",
]
