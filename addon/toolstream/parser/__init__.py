"""Text to events: finds the calls in what a model wrote."""
