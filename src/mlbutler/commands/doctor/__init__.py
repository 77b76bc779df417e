"""`mlbutler doctor`: what is missing here, each with its remedy."""
