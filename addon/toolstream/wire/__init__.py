"""The APIs: how their streams are framed, and where texts and calls stand in them."""
