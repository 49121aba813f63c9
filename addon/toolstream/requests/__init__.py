"""What is asked: repairs of a request."""
