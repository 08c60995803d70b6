"""The page of a run, or of several side by side: one HTML file that needs nothing else."""

from evoae.report.page.record import Record, read_record
from evoae.report.page.render import render, write_page

__all__ = ["Record", "read_record", "render", "write_page"]
