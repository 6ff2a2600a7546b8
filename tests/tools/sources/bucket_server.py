"""A server on loopback that answers as Google's and Azure's object stores do, as far as reading goes: descriptions, lists and ranges."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

XML = '<?xml version="1.0" encoding="utf-8"?>'
WHEN = "Thu, 01 Jan 2026 00:00:00 GMT"


@dataclass
class BucketServer:
    """Objects of one bucket by key, and the paths that were asked for."""

    objects: dict[str, bytes] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    address: str = ""
    bucket: str = "shop"


def etag(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()


@contextmanager
def bucket_serving() -> Iterator[BucketServer]:
    server = BucketServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_GET(self) -> None:
            server.seen.append(self.path)
            url = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
            if google := re.fullmatch(r"/(?:download/)?storage/v1/b/([^/]+)/o(?:/(.*))?", url.path):
                self._google(google[1], google[2] and unquote(google[2]), asked)
            elif azure := re.fullmatch(r"/ann/([^/]+)(?:/(.*))?", url.path):
                self._azure(azure[1], azure[2] and unquote(azure[2]), asked)
            else:
                self._send(404)

        def do_HEAD(self) -> None:
            self.do_GET()

        def _google(self, bucket: str, key: str | None, asked: dict[str, str]) -> None:
            if bucket != server.bucket or (key and key not in server.objects):
                self._send(404, b'{"error": {"code": 404, "message": "Not Found"}}', "application/json")
            elif key and asked.get("alt") == "media":
                self._body(server.objects[key])
            elif key:
                self._send(200, json.dumps(self._described(key)).encode(), "application/json")
            else:
                keys, below = self._listed(asked.get("prefix", ""), asked.get("delimiter", ""))
                page = {"kind": "storage#objects", "items": [self._described(key) for key in keys], "prefixes": below}
                self._send(200, json.dumps(page).encode(), "application/json")

        def _described(self, key: str) -> dict[str, Any]:
            body = server.objects[key]
            media = f"{server.address}/download/storage/v1/b/{server.bucket}/o/{key.replace('/', '%2F')}?alt=media"
            md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
            times = dict.fromkeys(("timeCreated", "updated"), "2026-01-01T00:00:00.000Z")
            about = {"kind": "storage#object", "name": key, "bucket": server.bucket, "size": str(len(body)), "mediaLink": media}
            return {**about, **times, "etag": etag(body), "md5Hash": md5, "generation": "1", "contentType": "text/csv"}

        def _azure(self, container: str, key: str | None, asked: dict[str, str]) -> None:
            if container != server.bucket:
                self._send(404, x_ms_error_code="ContainerNotFound")
            elif key:
                if key in server.objects:
                    self._body(server.objects[key], x_ms_blob_type="BlockBlob", Last_Modified=WHEN)
                else:
                    self._send(404, x_ms_error_code="BlobNotFound")
            elif asked.get("comp") != "list":
                self._send(200, Last_Modified=WHEN, ETag='"1"')
            else:
                keys, below = self._listed(asked.get("prefix", ""), asked.get("delimiter", ""))
                blobs = "".join(
                    f"<Blob><Name>{escape(key)}</Name><Properties><Last-Modified>{WHEN}</Last-Modified><Etag>{etag(server.objects[key])}</Etag>"
                    f"<Content-Length>{len(server.objects[key])}</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>"
                    for key in keys
                ) + "".join(f"<BlobPrefix><Name>{escape(name)}</Name></BlobPrefix>" for name in below)
                page = f'<EnumerationResults ContainerName="{server.bucket}"><Blobs>{blobs}</Blobs></EnumerationResults>'
                self._send(200, (XML + page).encode(), "application/xml")

        def _listed(self, prefix: str, delimiter: str) -> tuple[list[str], list[str]]:
            found = [key for key in sorted(server.objects) if key.startswith(prefix)]
            if not delimiter:
                return found, []
            below = {prefix + key[len(prefix) :].partition(delimiter)[0] + delimiter for key in found if delimiter in key[len(prefix) :]}
            return [key for key in found if delimiter not in key[len(prefix) :]], sorted(below)

        def _body(self, body: bytes, **headers: str) -> None:
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("x-ms-range") or self.headers.get("Range") or "")
            if asked is None:
                self._send(200, body, "text/csv", ETag=f'"{etag(body)}"', **headers)
                return
            start, stop = int(asked[1]), min(len(body), int(asked[2] or len(body)) + 1)
            if start >= len(body):
                self._send(416, Content_Range=f"bytes */{len(body)}")
                return
            there = f"bytes {start}-{stop - 1}/{len(body)}"
            self._send(206, body[start:stop], "text/csv", ETag=f'"{etag(body)}"', Content_Range=there, **headers)

        def _send(self, status: int, body: bytes = b"", kind: str = "text/plain", **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content_Type": kind, "Content_Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    server.address = f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join(60)
