"""Hostile inputs by the thousand: `mutations` makes them, `targets` reads them, `oracles` judges what came of it.

`test_fuzz.py` tries some of each kind; ``make fuzz`` (`bench/fuzz.py`) tries a million. An input is known by its target
and a number: the same two give the same input again.
"""
