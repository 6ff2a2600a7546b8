"""A run in a Git repository: its own branch, three commits, a tag, and a pull request.

`repository.py` runs git, `scan.py` looks at every file before it is committed, `release.py` does all of it or nothing, `forge.py` speaks to
GitHub and GitLab.
"""
