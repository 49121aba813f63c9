"""The model server: its address, and whether it answers."""
