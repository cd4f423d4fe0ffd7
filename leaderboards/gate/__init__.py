"""The gate: did a backbone get worse than a baseline, by more than a margin and more than chance?"""
