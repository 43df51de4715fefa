"""A replacement for the statistics of an experiment."""


def analyse(trials, checks, game, settings, n_planned, about, power):
    return {}
