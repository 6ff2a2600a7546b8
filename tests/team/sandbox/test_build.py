"""Building the image, with small recipes on the image that is there: what is proven gets its tag, and nothing else stays."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from team.errors import MlteamError, PrerequisiteMissing, UsageError
from team.sandbox.build import Built, build
from team.sandbox.daemon import connect
from team.sandbox.image import Recipe, find, tag

pytestmark = [pytest.mark.docker, pytest.mark.slow]

HEAD = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE} AS build
LABEL mlteam.sandbox=build REPOSITORY=x
ARG TORCH
USER 0
COPY sandbox_image/requirements*.lock /made/
RUN echo "torch: $TORCH" > /made/torch

FROM ${BASE_IMAGE} AS libraries
LABEL mlteam.sandbox=libraries REPOSITORY=x
COPY --from=build /made /made
"""
TAIL = """
FROM libraries
COPY tools /code/tools
COPY team/sandbox/inside /inside
USER 1000:1000
CMD ["python3", "/code/tools/check.py"]
"""
CHECK = """\
import os
print(open("/made/torch").read())
print(sorted(os.listdir("/made")), os.listdir("/inside"), os.getuid(), os.access("/", os.W_OK))
"""


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    client = connect()
    yield client
    client.close()


@pytest.fixture(scope="module")
def base(client: docker.DockerClient) -> str:
    current = find(client).current
    assert current is not None
    return current


@pytest.fixture
def recipe(tmp_path: Path, client: docker.DockerClient) -> Iterator[Recipe]:
    recipe = Recipe(
        folder=tmp_path / "sandbox_image", tools=tmp_path / "tools", inside=tmp_path / "inside", repository=f"mlteam-test-{os.getpid()}"
    )
    for folder in (recipe.folder, recipe.tools, recipe.inside):
        folder.mkdir()
    for name in ("requirements.lock", "requirements-torch.lock", "smoke.py"):
        (recipe.folder / name).write_text("")
    (recipe.inside / "start.py").write_text("")
    (recipe.tools / "check.py").write_text(CHECK)
    dockerfile(recipe)
    yield recipe
    for name in names(client, recipe):
        client.images.remove(name)
    assert leftovers(client) == []


def dockerfile(recipe: Recipe, head: str = HEAD, tail: str = TAIL) -> None:
    recipe.dockerfile.write_text((head + tail).replace("REPOSITORY", recipe.repository))


def names(client: docker.DockerClient, recipe: Recipe) -> set[str]:
    found = {name for image in client.images.list(name=f"{recipe.repository}*") for name in image.tags}
    return {name for name in found if name.startswith(recipe.repository)}


def leftovers(client: docker.DockerClient) -> list[str | None]:
    """Images without a name that these recipes made."""
    return [image.id for image in client.images.list(filters={"dangling": True, "label": f"mlteam-test-{os.getpid()}"})]


class Progress(list[str]):
    """Lines as they come; may break off, as a person with Ctrl-C does."""

    stop_at = ""

    def __call__(self, line: str) -> None:
        self.append(line)
        if self.stop_at and self.stop_at in line:
            raise KeyboardInterrupt


def made(client: docker.DockerClient, recipe: Recipe, base: str, progress: Progress | None = None, **options: bool) -> Built:
    options = {"torch": False, "offline": False, **options}
    return build(client, base=base, progress=Progress() if progress is None else progress, recipe=recipe, **options)


def test_what_is_proven_gets_its_tag(client: docker.DockerClient, recipe: Recipe, base: str) -> None:
    progress = Progress()
    built = made(client, recipe, base, progress)
    assert built.tag == tag(False, recipe) == find(client, recipe).current
    image = client.images.get(built.tag)
    assert image.attrs["Size"] == built.size_bytes > 100_000_000
    assert image.labels["mlteam.sandbox.image"] == built.tag.partition(":")[2]
    assert "['requirements.lock', 'torch'] ['start.py'] 1000 False" in "\n".join(progress)
    assert "torch: no" in progress
    assert leftovers(client) == []


def test_torch_is_a_variant_of_its_own(client: docker.DockerClient, recipe: Recipe, base: str) -> None:
    without = made(client, recipe, base)
    progress = Progress()
    built = made(client, recipe, base, progress, torch=True)
    assert "torch: yes" in progress
    assert "['requirements-torch.lock', 'requirements.lock', 'torch']" in "\n".join(progress)
    assert {without.tag, built.tag} < names(client, recipe)
    assert find(client, recipe).current == built.tag


def test_a_changed_tool_is_built_on_the_libraries_that_are_there(client: docker.DockerClient, recipe: Recipe, base: str) -> None:
    first = made(client, recipe, base)
    libraries = {name for name in names(client, recipe) if "-libraries:" in name}
    (recipe.tools / "check.py").write_text("print('changed')")
    assert (find(client, recipe).current, find(client, recipe).stale) == (None, True)

    progress = Progress()
    second = made(client, recipe, base, progress, keep_old=True)
    assert f"libraries from {libraries.pop()}" in progress
    assert progress[-1] == "changed"
    assert {first.tag, second.tag} < names(client, recipe)

    third = made(client, recipe, base)
    assert {name for name in names(client, recipe) if "-libraries:" not in name} == {second.tag} == {third.tag}


def test_changed_libraries_take_the_place_of_the_old_ones(client: docker.DockerClient, recipe: Recipe, base: str) -> None:
    made(client, recipe, base)
    before = names(client, recipe)
    (recipe.folder / "requirements.lock").write_text("# changed\n")
    made(client, recipe, base)
    assert len(names(client, recipe)) == len(before) == 2
    assert names(client, recipe) & before == set()


def test_a_build_that_fails_is_told_by_the_end_of_its_log(client: docker.DockerClient, recipe: Recipe, base: str) -> None:
    dockerfile(recipe, HEAD.replace("RUN echo", "RUN seq 100; echo the reason; exit 3; echo"))
    with pytest.raises(MlteamError) as caught:
        made(client, recipe, base)
    lines = str(caught.value).splitlines()
    assert lines[0] == "the image could not be built:"
    assert lines[-4:-2] == ["100", "the reason"]
    assert "returned a non-zero code: 3" in lines[-2]
    assert "mlteam sandbox build --offline" in lines[-1]
    assert len(lines) == 1 + 20 + 2
    assert names(client, recipe) == set()
    assert leftovers(client) == []


def test_a_dockerfile_that_cannot_be_read_is_told(client: docker.DockerClient, recipe: Recipe, base: str) -> None:
    dockerfile(recipe, HEAD.replace("COPY", "COPPY", 1))
    with pytest.raises(MlteamError, match=r"(?i)unknown instruction: coppy"):
        made(client, recipe, base)


def test_an_image_that_fails_its_check_gets_no_tag(client: docker.DockerClient, recipe: Recipe, base: str) -> None:
    (recipe.tools / "check.py").write_text("import sys\nprint('FAIL  something')\nsys.exit(1)")
    with pytest.raises(MlteamError, match=r"(?s)exit code 1.*FAIL  something"):
        made(client, recipe, base)
    assert find(client, recipe).current is None
    assert leftovers(client) == []


@pytest.mark.parametrize("moment", ["COPY --from", "checked"])
def test_an_interrupted_build_gives_no_tag_and_the_next_one_cleans_up(
    client: docker.DockerClient, recipe: Recipe, base: str, moment: str
) -> None:
    (recipe.tools / "check.py").write_text("print('checked')")
    progress = Progress()
    progress.stop_at = moment
    with pytest.raises(KeyboardInterrupt):
        made(client, recipe, base, progress)
    assert find(client, recipe).current is None
    made(client, recipe, base)
    assert leftovers(client) == []


def test_a_base_that_is_not_here_is_told_with_how_to_make_one(client: docker.DockerClient, recipe: Recipe) -> None:
    with pytest.raises(PrerequisiteMissing) as caught:
        build(client, base="mlteam-no-such-base:1", torch=False, offline=True, progress=Progress(), recipe=recipe)
    assert "the base image mlteam-no-such-base:1 is not on this machine" in str(caught.value)
    assert f"{recipe.folder}/make_base.sh mlteam-base:debian12 && mlteam sandbox build --offline" in str(caught.value)


def test_a_base_without_python_is_refused(client: docker.DockerClient, recipe: Recipe) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("empty"))
    name = f"{recipe.repository}:without-python"
    client.api.import_image_from_data(archive.getvalue(), repository=recipe.repository, tag="without-python")
    with pytest.raises(UsageError, match=rf"the base image {name} needs Python 3\.11 or later, with venv and pip"):
        made(client, recipe, name)
