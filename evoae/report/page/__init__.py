"""The page of a run, or of several side by side: one HTML file that needs nothing else."""

from evoae.report.page.html import render, write_page
from evoae.report.page.record import PAGE, Record, read_record

__all__ = ["PAGE", "Record", "read_record", "render", "write_page"]
