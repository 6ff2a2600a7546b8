"""A model package: the folder that a run releases, and that serves without the run.

`manifest.py` says what is in it and refuses what is not as it was packaged, `inputs.py` what rows it takes, `drift.py` what rows it
learnt from, `interchange.py` and `onnx_graph.py` write the model for other programs, `script.py` is what lies beside it to be typed.
"""
