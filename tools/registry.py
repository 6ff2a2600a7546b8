"""MLflow's Model Registry: versions of packaged models, which of them is champion, and why.

What was begun stands in the registry itself: the run that holds a package's files is tagged with name and hash and is finished when they
are whole, a version has the hash from the start, and why one is champion is written before it is. So whoever is killed in between, and
calls again, finds each step done or does it, and none of them twice.
"""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tools.contract import Contract
from tools.package.manifest import PACKAGE, packaged, verify
from tools.package.mlflow_model import save_pyfunc
from tools.trackers.mlflow_file import make_store
from tools.trackers.mlflow_store import load_tracker

CHAMPION, CHALLENGER = "champion", "challenger"
RUN_TAG, PLACE_TAG, PACKAGE_TAG, NAME_TAG = "mlteam.run", "mlteam.place", "mlteam.package", "mlteam.model"
WHY_TAG, BEFORE_TAG = "mlteam.promoted", "mlteam.before"
"""Of a version that was made champion: why, and the version that was champion before."""
EXPERIMENT = "mlteam registry"
LONGEST_TAG = 500


class RegistryRefused(Exception):
    """The registry did not take what was asked; the message says why."""


class Version(BaseModel):
    """One version of a registered model."""

    name: str
    version: str
    run: str
    place: str
    """Run directory on the machine that registered it."""
    package: str
    """SHA-256 of its `package.json`, which holds the hashes of all other files."""
    why: str | None = None
    """What made it champion, where it was made that."""
    before: str | None = None
    """The version that was champion then."""


class Registry:
    """One registry. `embedded_registry` gives one in a file.

    Args:
        uri: of the tracking server, or `sqlite:///FILE`.
        artefacts: where one in a file keeps the models; None leaves that to the server.
    """

    def __init__(self, uri: str, artefacts: Path | None = None) -> None:
        load_tracker()
        from mlflow.tracking import MlflowClient

        self.uri, self._artefacts = uri, artefacts
        with _told(uri):
            self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    def register(self, name: str, package: Path, contract: Contract, tags: dict[str, str]) -> Version:
        """Add a package as a new version, or give the one that is there of the very same package.

        Raises:
            PackageDamaged: when a file is not as it was packaged.
            RegistryRefused: when the registry does not take it; it has no version of it then.
        """
        verify(package)
        digest = packaged(package / PACKAGE).sha256
        with _told(self.uri):
            self._ensure(name)
            for version in self.versions(name):
                if version.package == digest:
                    return version
            run_id, source = self._uploaded(name, package, contract, digest)
            made = self._client.create_model_version(name, source, run_id, tags={**_cut(tags), PACKAGE_TAG: digest}, description=None)
            return self._version(made)

    def versions(self, name: str) -> list[Version]:
        """All versions of a model, the newest first."""
        quoted = name.replace("'", "\\'")
        with _told(self.uri):
            found = self._client.search_model_versions(f"name='{quoted}'", max_results=1000)
            return [self._version(one) for one in sorted(found, key=lambda one: -int(one.version))]

    def challenge(self, version: Version) -> None:
        """Make a version the challenger, in the place of another."""
        with _told(self.uri):
            self._client.set_registered_model_alias(version.name, CHALLENGER, version.version)

    def promote(self, version: Version, why: str, before: Version | None) -> None:
        """Make a version the champion in the place of another; that and the reason stand in its tags."""
        with _told(self.uri):
            self._client.set_model_version_tag(version.name, version.version, WHY_TAG, why[:LONGEST_TAG])
            if before is not None:
                self._client.set_model_version_tag(version.name, version.version, BEFORE_TAG, before.version)
            elif version.before is not None:
                self._client.delete_model_version_tag(version.name, version.version, BEFORE_TAG)
            self._client.set_registered_model_alias(version.name, CHAMPION, version.version)
        self.no_challenger(version)

    def no_challenger(self, champion: Version) -> None:
        """See to it that a champion does not wait as challenger any more."""
        with _told(self.uri):
            waiting = self.by_alias(champion.name, CHALLENGER)
            if waiting and waiting.version == champion.version:
                self._client.delete_registered_model_alias(champion.name, CHALLENGER)

    def by_alias(self, name: str, alias: str) -> Version | None:
        """The version that has an alias; None where none has."""
        from mlflow.exceptions import MlflowException

        with _told(self.uri):
            try:
                return self._version(self._client.get_model_version_by_alias(name, alias))
            except MlflowException as error:
                if error.error_code in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"):
                    return None
                raise

    def _version(self, found: Any) -> Version:
        tags = dict(found.tags)
        return Version(
            name=found.name,
            version=str(found.version),
            run=tags.get(RUN_TAG, ""),
            place=tags.get(PLACE_TAG, ""),
            package=tags.get(PACKAGE_TAG, ""),
            why=tags.get(WHY_TAG),
            before=tags.get(BEFORE_TAG),
        )

    def _ensure(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _uploaded(self, name: str, package: Path, contract: Contract, digest: str) -> tuple[str, str]:
        """The package as an MLflow model among the files of a run of its own: the run's id, and where the model is."""
        experiment = self._experiment()
        begun = [
            run
            for run in self._client.search_runs([experiment], filter_string=f"tags.`{PACKAGE_TAG}` = '{digest}'")
            if run.data.tags.get(NAME_TAG) == name
        ]
        tags = {PACKAGE_TAG: digest, NAME_TAG: name}
        run = begun[0] if begun else self._client.create_run(experiment, tags=tags, run_name=f"{name} {package.parent.name}")
        if run.info.status != "FINISHED":
            with tempfile.TemporaryDirectory(prefix="mlteam-registry-") as folder:
                place = Path(folder, "model")
                save_pyfunc(place, package, contract)
                self._client.log_artifacts(run.info.run_id, str(place), "model")
            self._client.set_terminated(run.info.run_id)
        return run.info.run_id, f"{run.info.artifact_uri}/model"

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        location = self._artefacts.absolute().as_uri() if self._artefacts else None
        return str(self._client.create_experiment(EXPERIMENT, artifact_location=location))


@contextmanager
def embedded_registry(path: Path, artefacts: Path) -> Iterator[Registry]:
    """The registry in a file, made where there is none. Other processes that register there wait until the block is left.

    Args:
        artefacts: folder for the models.

    Raises:
        RegistryRefused: when it cannot be made.
    """
    load_tracker()
    from sqlalchemy.exc import SQLAlchemyError

    try:
        artefacts.mkdir(parents=True, exist_ok=True)
        lock = os.open(artefacts, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise RegistryRefused(f"the registry {str(path)!r} cannot be made: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            try:
                make_store(path, artefacts)
            except (OSError, SQLAlchemyError) as error:
                raise RegistryRefused(f"the registry {str(path)!r} cannot be made ({type(error).__name__})") from None
        yield Registry(f"sqlite:///{path}", artefacts)
    finally:
        os.close(lock)


def _cut(tags: dict[str, str]) -> dict[str, str]:
    return {name: value[:LONGEST_TAG] for name, value in tags.items()}


@contextmanager
def _told(uri: str) -> Iterator[None]:
    """MLflow's own errors as one of ours, without what a server's page may repeat of the request."""
    from mlflow.exceptions import MlflowException, RestException

    try:
        yield
    except RestException as error:
        raise RegistryRefused(f"the registry at {uri} refused it ({error.error_code})") from None
    except MlflowException as error:
        said = re.split("Response (?:body|text)|Response", str(error))[0]
        raise RegistryRefused(f"the registry at {uri} does not work: {said.splitlines()[0][:200] if said else error.error_code}") from None
