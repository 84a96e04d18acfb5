"""`/sdk/…`: what functions are made with, as the very files that this coordinator goes with. They hold no secret."""

import hashlib

from litestar import HttpMethod, Response, route
from litestar.params import FromPath

from coordinator.api.context import Request
from coordinator.api.guards import PUBLIC
from coordinator.errors import NotFound, joined
from coordinator.sdk.sources import SOURCES

_BY_NAME = {source.name: source for source in SOURCES}
_CACHE = "public, max-age=300"


# HEAD is answered as GET: the server itself sends no body then.
@route("/sdk/{name:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD], opt=PUBLIC)
async def read_sdk(request: Request, name: FromPath[str]) -> Response[bytes]:
    """The file that makes a cloud function of a plain one, in JavaScript (with its types) or in Python."""
    source = _BY_NAME.get(name)
    if source is None:
        raise NotFound("not_found", f"There is no file {name!r} here; there is {joined(list(_BY_NAME))}.")
    tag = f'"{hashlib.sha256(source.content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": _CACHE}
    if tag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, headers=headers)
    if source.language == "js":
        # Deno takes the types from there when it imports the module by its address.
        headers["X-TypeScript-Types"] = "./coordinator.d.mts"
    return Response(source.content, media_type=source.media_type, headers=headers)
