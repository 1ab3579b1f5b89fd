"""Checks that any estimator can be put through, with known truth, and the receipt.

`certify(Estimator())` returns a `Receipt`; `parametrize([...])` gives pytest one test per check;
``exportimpact bench MODULE:CLASS`` does it from the command line.
"""

from exportimpact.conformance.arranged import Arranged
from exportimpact.conformance.check import Check, Ruling
from exportimpact.conformance.receipt import Receipt
from exportimpact.conformance.suite import certify, certify_all, declared, parametrize

__all__ = [
    "Arranged",
    "Check",
    "Receipt",
    "Ruling",
    "certify",
    "certify_all",
    "declared",
    "parametrize",
]
