raise RuntimeError("this plugin does not import")
