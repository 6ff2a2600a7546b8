"""A package as a container: the folder that `docker build` and `kubectl apply` take.

`image.py` has the Dockerfile, `kubernetes.py` the manifests, `load.py` is the script that puts load on it, `folder.py` writes all of it.
"""
