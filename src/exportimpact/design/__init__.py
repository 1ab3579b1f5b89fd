"""Everything that is decided before outcomes after support are looked at."""

from exportimpact.design.design import Design, SealedDesign, in_tie_order

__all__ = ["Design", "SealedDesign", "in_tie_order"]
