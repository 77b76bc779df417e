"""Judge numbers by rules, repeated runs and waivers; pure."""
