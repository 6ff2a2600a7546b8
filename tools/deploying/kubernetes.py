"""The Kubernetes manifests of a served model: Deployment, Service, Ingress, HorizontalPodAutoscaler."""

from __future__ import annotations

import re
from typing import Any

from tools.deploying.image import PORT, USER

READY_S = 30
"""Seconds that a pod may take to end requests after SIGTERM."""


def resource_name(text: str) -> str:
    """A text as the name of a Kubernetes object: RFC 1123, at most 50 characters."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:50].strip("-")
    return plain if plain[:1].isalpha() else f"model-{plain}".rstrip("-")


def manifests(name: str, image: str, host: str, version: str, memory_mb: int = 1024) -> dict[str, dict[str, Any]]:
    """The objects by the names of their files.

    Args:
        name: as `resource_name` gives it.
        image: reference of the built image.
        host: name under which the Ingress answers.
        version: of the model, a label.
        memory_mb: what a pod may use, MiB.
    """
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": "mlteam"}
    meta = {"name": name, "labels": {**labels, "app.kubernetes.io/version": version}}
    selector = {"app.kubernetes.io/name": name}
    return {
        "deployment.yaml": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": selector},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                "template": {"metadata": {"labels": meta["labels"], "annotations": _scraped()}, "spec": _pod(name, image, memory_mb)},
            },
        },
        "service.yaml": {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"type": "ClusterIP", "selector": selector, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
        },
        "ingress.yaml": {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": meta,
            "spec": {"rules": [{"host": host, "http": {"paths": [_path(name, path) for path in ("/predict", "/schema")]}}]},
        },
        "autoscaler.yaml": {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": meta,
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "minReplicas": 2,
                "maxReplicas": 10,
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}],
            },
        },
    }


def _scraped() -> dict[str, str]:
    return {"prometheus.io/scrape": "true", "prometheus.io/port": str(PORT), "prometheus.io/path": "/metrics"}


def _path(name: str, path: str) -> dict[str, Any]:
    """Metrics and health stay inside the cluster."""
    return {"path": path, "pathType": "Exact", "backend": {"service": {"name": name, "port": {"name": "http"}}}}


def _pod(name: str, image: str, memory_mb: int) -> dict[str, Any]:
    probe = {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 10, "timeoutSeconds": 3}
    return {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": READY_S,
        "securityContext": {"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "model",
                "image": image,
                "ports": [{"name": "http", "containerPort": PORT}],
                "env": [{"name": "MLTEAM_SERVE_KEY", "valueFrom": {"secretKeyRef": {"name": f"{name}-key", "key": "key"}}}],
                "resources": {
                    "requests": {"cpu": "500m", "memory": f"{memory_mb // 2}Mi"},
                    "limits": {"cpu": "1", "memory": f"{memory_mb}Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                # Loading a model takes its time once; after that a process that does not answer is ended.
                "startupProbe": {**probe, "failureThreshold": 30},
                "livenessProbe": {**probe, "failureThreshold": 3},
                "readinessProbe": {**probe, "httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5, "failureThreshold": 2},
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
    }
