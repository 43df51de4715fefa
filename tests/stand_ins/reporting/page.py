"""A replacement for the page that copies the report."""

import os

from emotion_games import layout


def write_page(series_dir):
    part = series_dir / f".page.{os.getpid()}"
    part.write_text((series_dir / layout.REPORT).read_text())
    os.replace(part, series_dir / layout.PAGE)


def refresh(series_dir, least_seconds):
    write_page(series_dir)
