"""Send the experiment that is in the work tree now to where it can run, and bring its results back."""
