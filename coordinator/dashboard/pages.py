"""`/ui`: the page, its scripts and its styles, for everybody. They hold nothing; what there is to see, the API tells.

A script or a style that stands in the page itself is not run, whoever wrote it there, nor one from elsewhere.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from litestar import HttpMethod, Request, Response, route
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from coordinator.edges.headers import PAGE_HEADERS

_STATIC = Path(__file__).parent / "static"
_MEDIA_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript"}

PAGE = "index.html"

_YEAR_OF_HTTPS = {"Strict-Transport-Security": "max-age=31536000"}

# HEAD is answered as GET: the server itself sends no body then.
_METHODS = [HttpMethod.GET, HttpMethod.HEAD]
_FOR_ALL = {"public": True}

Asked = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    tag: str


@route("/ui", http_method=_METHODS, opt=_FOR_ALL, include_in_schema=False)
async def read_page(request: Asked) -> Response[bytes]:
    """The page. What it names is beside it, so it has one address."""
    if request.scope["raw_path"].endswith(b"/"):
        return Response(b"", status_code=308, headers=_headers(request) | {"Location": "../ui"})
    # Not kept, and so not shown when somebody who has signed out goes back to it.
    return _answer(request, PAGE, "no-store")


@route("/ui/{name:path}", http_method=_METHODS, opt=_FOR_ALL, include_in_schema=False)
async def read_asset(request: Asked, name: FromPath[str]) -> Response[bytes]:
    """What the page is made of, by its path: asked for each time, and sent when it has changed."""
    name = name.removeprefix("/")
    if name == PAGE or name not in _files():
        raise NotFoundException
    return _answer(request, name, "no-cache")


def _answer(request: Asked, name: str, cache_control: str) -> Response[bytes]:
    file = _files()[name]
    headers = _headers(request) | {"ETag": file.tag, "Cache-Control": cache_control}
    if file.tag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)


def _headers(request: Asked) -> dict[str, str]:
    return PAGE_HEADERS | (_YEAR_OF_HTTPS if request.app.state["is_https"] else {})


@cache
def _files() -> dict[str, _File]:
    """All there are, by their path below `static`: a request opens no path that it names."""
    found = (path for path in _STATIC.rglob("*") if path.suffix in _MEDIA_TYPES)
    return {path.relative_to(_STATIC).as_posix(): _read(path) for path in found}


def _read(path: Path) -> _File:
    content = path.read_bytes()
    return _File(content, _MEDIA_TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')
