"""Pure functions on arrays, in the notation of the papers that they implement.

SciPy's modules are used as ``scipy.special`` and ``scipy.sparse``, which SciPy loads on first use.
"""
