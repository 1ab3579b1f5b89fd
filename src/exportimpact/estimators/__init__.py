"""Estimators, one family to a package; families do not import one another."""
