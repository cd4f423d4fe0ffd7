"""Statistics on arrays: what the tables, comparisons and the gate say about uncertainty."""
