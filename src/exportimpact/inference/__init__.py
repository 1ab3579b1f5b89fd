"""Inference that has to estimate again: the wild cluster bootstrap and randomisation tests."""
