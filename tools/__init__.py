"""Typed tools and the machine-learning engine behind them.

Kernel tools run as cells in a sandboxed Jupyter kernel, host tools run beside the conductor. This package is
installed in both places and imports nothing from `team`, `evals` or `reports`.
"""
