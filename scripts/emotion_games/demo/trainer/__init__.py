"""Trainer of the demo model: a tiny language model in which emotions move choices by known amounts.

Experiments load this model like any other.
"""
