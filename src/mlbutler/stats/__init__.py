"""Statistics in plain Python: tests of paired outcomes, intervals, corrections. No I/O, no project, no NumPy."""
