"""The only reader of records: finds them, reads them once, says what a person means and what may share a table."""
