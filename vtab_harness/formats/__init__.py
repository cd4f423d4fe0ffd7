"""How bytes lie: archives, lists, HDF5, records, directories of TFDS; decoding to pixels, and the example order."""
