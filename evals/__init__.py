"""Measurements of the project itself: what the bundled datasets give, what the framework costs."""
