"""Objects of a bucket: from an S3 server of a package on loopback, and from one that answers as Google and Azure do."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from tests.tools.sources.bucket_server import BucketServer, bucket_serving
from tests.tools.sources.conftest import Fetching
from tools.spec import InputRefused

TABLE = b"a,b\n1,2\n"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    reason = "s3fs or moto is not installed: pip install -e '.[dev,s3]'"
    pytest.importorskip("s3fs", reason=reason)
    server = pytest.importorskip("moto.server", reason=reason).ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "AKIAPLANTED",
        "AWS_SECRET_ACCESS_KEY": "s3cret-planted-in-aws",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="shop")
    for key in ("rows/2024/a.csv", "rows/2025/b.csv", "notes.txt"):
        client.put_object(Bucket="shop", Key=key, Body=TABLE)
    client.close()


@pytest.mark.usefixtures("bucket")
def test_an_object_a_prefix_and_a_pattern(fetching: Fetching) -> None:
    assert [file.name for file in fetching("s3://shop/rows/2024/a.csv").files] == ["a.csv"]
    assert fetching.content("a.csv") == TABLE
    assert [file.name for file in fetching("s3://shop/rows/").files] == ["2024/a.csv", "2025/b.csv"]
    assert [file.name for file in fetching("s3://shop/rows/*/b.csv").files] == ["b.csv"]
    with pytest.raises(InputRefused, match=r"there is nothing at s3://shop/none.csv"):
        fetching("s3://shop/none.csv")
    with pytest.raises(InputRefused, match=r"cannot read s3://none/|nothing at s3://none/"):
        fetching("s3://none/")
    with pytest.raises(InputRefused, match="names no object"):
        fetching("s3://shop")
    assert b"s3cret-planted" not in fetching.left()


KEY = "s3cret-planted-in-azure-0123456789abcdef"


@pytest.fixture(params=["gs", "az"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, BucketServer]]:
    """A scheme, and the server that its library asks."""
    package = {"gs": "gcsfs", "az": "adlfs"}[request.param]
    pytest.importorskip(package, reason=f"{package} is not installed: pip install -e '.[dev,cloud]'")
    with bucket_serving() as server:
        server.objects |= {"rows/2024/a.csv": TABLE, "rows/2025/b.csv": TABLE * 3, "notes.txt": b"n"}
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.address)
        monkeypatch.setenv("NO_GCE_CHECK", "true")
        key = base64.b64encode(KEY.encode()).decode()
        told = f"DefaultEndpointsProtocol=http;AccountName=ann;AccountKey={key};BlobEndpoint={server.address}/ann;"
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", told)
        yield str(request.param), server


def test_googles_and_azures_stores(store: tuple[str, BucketServer], fetching: Fetching) -> None:
    scheme, server = store
    assert [file.name for file in fetching(f"{scheme}://shop/rows/2024/a.csv").files] == ["a.csv"]
    assert fetching.content("a.csv") == TABLE
    assert [file.name for file in fetching(f"{scheme}://shop/rows/").files] == ["2024/a.csv", "2025/b.csv"]
    assert fetching.content("2025/b.csv") == TABLE * 3
    assert [file.name for file in fetching(f"{scheme}://shop/rows/*/b.csv").files] == ["b.csv"]
    asked = len(server.seen)
    assert asked
    fetching(f"{scheme}://shop/rows/2024/a.csv")
    assert not any("alt=media" in path for path in server.seen[asked:]), "the cache has what the store still has"
    server.objects["rows/2024/a.csv"] = b"a,b\n9,9\n"
    fetching(f"{scheme}://shop/rows/2024/a.csv")
    assert fetching.content("a.csv") == b"a,b\n9,9\n"
    with pytest.raises(InputRefused, match=rf"there is nothing at {scheme}://shop/none.csv"):
        fetching(f"{scheme}://shop/none.csv")
    with pytest.raises(InputRefused, match=rf"(cannot read|nothing at) {scheme}://none/"):
        fetching(f"{scheme}://none/")
    left = fetching.left()
    assert KEY.encode() not in left
    assert base64.b64encode(KEY.encode()) not in left
