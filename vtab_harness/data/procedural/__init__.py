"""Image sets that are drawn instead of downloaded: the ones that the suite `mini` runs on."""
