"""Self-supervised pretraining on videos (VIVI), a producer of checkpoints for the harness.

Rooms, from the top; imports go down this list only:

    producers   the steps from videos to shards, for study files of the harness
    cli         the command ``vivi``, a module for each subcommand
    plugin      each preset as a pretrainer of the harness
    presets     the paper's runs: values, where each comes from, and the page that says so
    training    a run: model, objective and data, the loop, the ranks, the folder and its checkpoints
    settings    every setting of a run
    watching    metrics and their log, the spread of embeddings, curves
    terms       losses with their heads and predictors
    encoder     the timm encoder that a checkpoint keeps, its norms, pooling
    data        batches of shots and of labelled images, random numbers, random views
    shards      frames of shots in tar files: written from an index, read at random
    synthetic   drawn videos with known shots
    video       decoding, shot detection, the index
"""
