"""Where the work of a sweep runs."""
