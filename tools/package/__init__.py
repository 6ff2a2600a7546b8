"""A model package: the folder that a run releases, and that serves without the run.

`manifest.py` says what is in it and refuses what is not as it was packaged, `inputs.py` what rows it takes, `drift.py` what rows it
learnt from, `interchange.py` writes the model for other programs, as ONNX by `onnx_model.py` on `onnx_columns.py`, `onnx_trees.py` and
`onnx_graph.py`, `script.py` is what lies beside it to be typed.
"""
