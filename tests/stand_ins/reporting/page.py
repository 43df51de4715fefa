"""Stands in for the page."""

import os

from emotion_games.layout import PAGE


def write_page(series_dir):
    part = series_dir / f".page.{os.getpid()}"
    part.write_text((series_dir / "experiment_report.json").read_text())
    os.replace(part, series_dir / PAGE)


def refresh(series_dir, least_seconds):
    write_page(series_dir)
