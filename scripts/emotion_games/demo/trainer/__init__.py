"""Trainer of the demo model: a tiny language model with a known effect of emotion on choice, from `config/demo`.

Knows how to make such a model; knows nothing of experiments, which load it like any other model.
"""
