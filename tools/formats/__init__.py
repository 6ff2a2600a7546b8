"""Read tables of any usual format: one adapter each, by the contract in `contract.py`, found by `detect.py`.

Adapters run where the bytes are parsed, which in a run is a sandbox. Libraries that not everybody needs are imported when a file
asks for them, and a missing one is told with the command that brings it.
"""
