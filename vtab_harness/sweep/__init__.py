"""A sweep: backbones x tasks under one protocol, planned, run and resumed."""
