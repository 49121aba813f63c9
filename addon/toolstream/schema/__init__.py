"""What arguments should be: declared tools, their schemas, and how values are read, typed and written."""
