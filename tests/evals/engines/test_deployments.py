"""What docs/machines/ offers for clusters is what their schemas and programs take."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[3] / "docs" / "machines"


def validate(document: dict[str, Any]) -> None:
    import kubernetes_validate

    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_the_manifests_are_valid_by_the_schemas_of_kubernetes_and_fit_together() -> None:
    import kubernetes_validate

    documents = list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))
    for document in documents:
        validate(document)
    pods = {(d["kind"], d["metadata"]["name"]): d["spec"]["template"] for d in documents if "template" in d["spec"]}
    assert set(pods) == {("Deployment", "mlteam-scheduler"), ("Deployment", "mlteam-worker"), ("Job", "mlteam-eval")}
    service = next(d for d in documents if d["kind"] == "Service")
    assert service["spec"]["selector"] == pods["Deployment", "mlteam-scheduler"]["metadata"]["labels"]
    named = {pod["spec"]["containers"][0]["image"] for pod in pods.values()}
    assert named == {"registry/mlteam:0.1.0"}
    words = pods["Job", "mlteam-eval"]["spec"]["containers"][0]["command"]
    assert words[words.index("--engine") + 1] == f"dask://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(service | {"spec": {"ports": 8786}})


def test_the_pods_of_the_operators_cluster_are_valid() -> None:
    cluster = yaml.safe_load((FOLDER / "daskcluster.yaml").read_text())
    assert (cluster["apiVersion"], cluster["kind"]) == ("kubernetes.dask.org/v1", "DaskCluster")
    for part in ("scheduler", "worker"):
        validate({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": part}, "spec": cluster["spec"][part]["spec"]})
    validate({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": cluster["spec"]["scheduler"]["service"]})


def test_the_job_that_slurm_is_given_is_a_script_with_what_was_asked_for() -> None:
    found = importlib.util.spec_from_file_location("slurm_of_the_docs", FOLDER / "slurm.py")
    assert found is not None
    assert found.loader is not None
    slurm = importlib.util.module_from_spec(found)
    found.loader.exec_module(slurm)
    with slurm.cluster(interface="lo", scheduler_options={"dashboard_address": ":0", "port": 0}) as cluster:
        script = cluster.job_script()
    assert subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, timeout=60, check=False).returncode == 0
    for line in ("#SBATCH -J mlteam-worker", "#SBATCH --cpus-per-task=2", "#SBATCH --mem=8G", "#SBATCH -t 04:00:00"):
        assert line in script
    assert "--nthreads 1" in script
    assert "--lifetime 225m" in script
