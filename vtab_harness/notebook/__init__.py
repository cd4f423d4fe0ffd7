"""The harness from Python: modules in memory, tasks as objects, results as DataFrames, progress and errors to match."""
