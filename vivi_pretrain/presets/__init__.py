"""The pretrainings of the paper: their settings, where each value comes from, and the page that says so."""
