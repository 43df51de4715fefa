"""Stands in for the analysis of a series."""


def summarize(series_dir):
    for name in ("series_results.csv", "series_results.json"):
        (series_dir / name).write_text("")
