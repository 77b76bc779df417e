"""Plots in a report: a module for each kind, and the table of them."""
