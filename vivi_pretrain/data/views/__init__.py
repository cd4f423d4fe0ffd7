"""Random views of frames, drawn and applied for a whole batch at once."""
