"""Trackers: places that show runs and their candidates side by side, each behind one contract."""
