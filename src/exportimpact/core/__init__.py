"""The vocabulary: outcomes, estimands, assumptions, results, findings; frozen, and without data."""
