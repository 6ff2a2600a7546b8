"""Write the folder of a deployment: a verified copy of the package, the engine, the pinned requirements, and how to run it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import tools
from tools.deploying.image import DOCKERFILE, DOCKERIGNORE, PORT
from tools.deploying.kubernetes import manifests, resource_name
from tools.package.inputs import Inputs
from tools.package.manifest import DESCRIPTION, INPUTS_FILE, Manifest, read_learnt, verify
from tools.package.mlflow_model import example_of
from tools.package.script import SERVING, lockfile, needed_libraries

README = """# {run}

```
docker build -t {image} .
docker run --rm -p {port}:{port} -e MLTEAM_SERVE_KEY=… --read-only --tmpfs /tmp {image}
python load.py http://127.0.0.1:{port} --key … --rows example.json

kubectl create secret generic {name}-key --from-literal=key=…
kubectl apply -f kubernetes/
```

`model/` is the package, `app/` the engine that it runs in, `requirements.lock` what both need. A file of `model/` that is not as it was
packaged is refused when the container starts.
"""


def write_deployment(package: Path, target: Path, image: str | None = None, host: str | None = None) -> Manifest:
    """Write everything into a new folder, which appears whole or not at all.

    Raises:
        FileExistsError: when there is something at `target`.
        PackageDamaged: when a file of the package is not as it was packaged.
    """
    import yaml

    if target.exists():
        raise FileExistsError(str(target))
    staging = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        (staging / "model").mkdir(parents=True)
        manifest = verify(package, into=staging / "model")
        name = resource_name(manifest.run)
        image = image or f"{name}:1"
        described: dict[str, Any] = json.loads((staging / "model" / DESCRIPTION).read_text(encoding="utf-8"))
        shutil.copytree(
            Path(tools.__file__).parent,
            staging / "app" / "tools",
            ignore=shutil.ignore_patterns("__pycache__", "sources", "deploying", "git"),
        )
        inputs: Inputs = read_learnt(staging / "model", INPUTS_FILE, Inputs)
        files = {
            "Dockerfile": DOCKERFILE,
            ".dockerignore": DOCKERIGNORE,
            "requirements.lock": lockfile(needed_libraries(described), SERVING),
            "README.md": README.format(run=manifest.run, image=image, port=PORT, name=name),
            "load.py": (Path(__file__).parent / "load.py").read_text(encoding="utf-8"),
            "example.json": json.dumps([example_of(inputs)], indent=1),
        }
        for file, text in files.items():
            (staging / file).write_text(text, encoding="utf-8")
        (staging / "kubernetes").mkdir()
        objects = manifests(name, image, host or f"{name}.example.org", image.rpartition(":")[2] if ":" in image else "1")
        for file, document in objects.items():
            (staging / "kubernetes" / file).write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        staging.rename(target)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return manifest
