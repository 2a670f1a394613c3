"""The files that browsers load: read once, named by their content, kept by browsers for ever."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

router = APIRouter()

FOREVER = "public, max-age=31536000, immutable"
_FOLDER = Path(__file__).with_name("static")
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, plain and compressed. Pages themselves are never compressed: they hold a secret (BREACH)."""

    url: str
    media_type: str
    data: bytes
    packed: bytes


@cache
def assets() -> dict[str, Asset]:
    """File name → asset."""
    found = {}
    for path in sorted(_FOLDER.iterdir()):
        if path.suffix in _TYPES:
            data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()[:12]
            url = f"/berkas/{digest}/{path.name}"
            found[path.name] = Asset(url, _TYPES[path.suffix], data, gzip.compress(data, mtime=0))
    return found


def url(name: str) -> str:
    """Where a file is served."""
    return assets()[name].url


@router.get("/berkas/{digest}/{name}")
def asset(digest: str, name: str, request: Request) -> Response:
    found = assets().get(name)
    if found is None or found.url != f"/berkas/{digest}/{name}":
        return Response(status_code=404)
    headers = {"cache-control": FOREVER, "vary": "accept-encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(
            found.packed, media_type=found.media_type, headers={**headers, "content-encoding": "gzip"}
        )
    return Response(found.data, media_type=found.media_type, headers=headers)
