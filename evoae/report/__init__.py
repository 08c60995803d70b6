"""What a run leaves for people to look at: pictures, films, curves and numbers.

Host side only: NumPy arrays (or what turns into them) come in, files and pictures go out.
"""

from evoae.report.animation import write_animation
from evoae.report.comparison import Course, draw_comparison
from evoae.report.curve import draw_curve
from evoae.report.film import Frame, FrameRecorder
from evoae.report.gallery import draw_galleries, draw_gallery
from evoae.report.growth import draw_growth
from evoae.report.latent import draw_latent_map
from evoae.report.metrics import write_metrics

__all__ = [
    "Course",
    "Frame",
    "FrameRecorder",
    "draw_comparison",
    "draw_curve",
    "draw_galleries",
    "draw_gallery",
    "draw_growth",
    "draw_latent_map",
    "write_animation",
    "write_metrics",
]
