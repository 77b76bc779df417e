"""Compare metrics, params, plots, data and predictions of two snapshots; pure."""
