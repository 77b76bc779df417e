"""Decide whether to reproduce, run the stages, and repair what a failure leaves."""
