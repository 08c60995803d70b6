"""The page of a run, or of several side by side: one HTML file that needs nothing else."""

from evoae.report.page.record import PAGE, Record, read_record
from evoae.report.page.render import render, write_page

__all__ = ["PAGE", "Record", "read_record", "render", "write_page"]
