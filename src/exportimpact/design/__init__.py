"""Everything that is decided before outcomes after support are looked at."""

from exportimpact.design.design import Design, SealedDesign

__all__ = ["Design", "SealedDesign"]
