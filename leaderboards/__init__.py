"""Records -> tables and comparisons."""
