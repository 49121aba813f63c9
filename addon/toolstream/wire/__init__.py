"""One file per API, each with its `Wire` (see base.py), and what they share."""
