"""What arguments should be: the declared tools and their schemas, and how values are read, typed and
written.
"""
