"""Put results on the branch as one commit: which files, how it is made without the index, where it goes."""
