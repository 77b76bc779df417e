"""Looking after the mirror: who uses what, what it holds, what goes when it is too large."""
