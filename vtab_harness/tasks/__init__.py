"""Task declarations, one small file a data set."""
