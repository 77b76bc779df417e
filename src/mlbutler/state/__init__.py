"""What mlbutler remembers: one fingerprint of files, one format on disk, one rule of what is still valid.

An entry is valid while its key and the fingerprints of its inputs are what they were, and its time is not over.
"""
