"""The Dockerfile of a served model."""

from __future__ import annotations

PORT = 8000
USER = 10001

DOCKERFILE = f"""# A served model: `docker build -t NAME .` in this folder, with the classic builder too.
# Wheels in wheelhouse/, where that folder is there, are all that pip may use then: there need be no network.
ARG BASE_IMAGE=python:3.11-slim

FROM ${{BASE_IMAGE}} AS build
USER root
COPY requirements.lock wheelhous[e] /build/
RUN set -e; \\
    python3 -m venv --without-pip /venv; \\
    if ls /build/*.whl >/dev/null 2>&1; then set -- --no-index --find-links /build; else set --; fi; \\
    python3 -m pip --python /venv/bin/python install --quiet --no-cache-dir --no-deps --only-binary :all: \\
        --disable-pip-version-check --root-user-action ignore "$@" -r /build/requirements.lock; \\
    find /venv -type d \\( -name tests -o -name test \\) -prune -exec rm -r {{}} +

FROM ${{BASE_IMAGE}}
USER root
RUN find / -xdev -perm /6000 -exec chmod a-s {{}} +
COPY --from=build /venv /venv
# LightGBM looks for the system's OpenMP library, which a slim base lacks; scikit-learn brings the same one under its own name.
RUN python3 -c "import ctypes; ctypes.CDLL('libgomp.so.1')" 2>/dev/null || \\
    ln -s /venv/lib/python3*/site-packages/scikit_learn.libs/libgomp-*.so.* /usr/lib/libgomp.so.1
COPY app /app
COPY model /model
RUN /venv/bin/python -m compileall -q /app
ENV PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1 HOME=/tmp PORT={PORT}
WORKDIR /app
USER {USER}:{USER}
EXPOSE {PORT}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["/venv/bin/python", "-c", \\
    "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/ready', timeout=2)"]
# The key that requests must bring comes from outside: docker run -e MLTEAM_SERVE_KEY.
CMD ["/venv/bin/python", "-m", "tools.serving", "/model"]
"""

DOCKERIGNORE = "kubernetes\nREADME.md\nload.py\n"
