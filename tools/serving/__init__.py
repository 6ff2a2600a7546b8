"""A packaged model behind HTTP.

`app.py` is the application, `rows.py` what a request may hold, `gate.py` who may ask how much of it, `backend.py` where the model is.
`python -m tools.serving PACKAGE` serves a package in this very process, which is what a container is for; `mlteam serve` keeps the model
in a sandbox beside it.
"""
