"""Continuous machine learning for DVC projects."""

__version__ = "0.1.0"
