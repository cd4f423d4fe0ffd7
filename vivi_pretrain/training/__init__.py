"""A run: its model, objective and data, the loop, the processes, the folder and its checkpoints."""
