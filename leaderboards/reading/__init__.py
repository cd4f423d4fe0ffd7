"""From results folders to a board: finding records, reading them once, choosing what shares a table."""
