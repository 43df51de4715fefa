"""A replacement for the check of a model's context, which needs no model."""


def series_check(specs, files):
    return lambda model: None
