"""Spec strings -> loaded backbones with transform and fingerprint."""
