"""The board: the scores of one table as arrays, filled from records, and the statistics of its rows."""
