"""The prepared cache: written, read, certified, taken stock of."""
