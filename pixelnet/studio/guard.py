"""Who may ask: pages of this server alone, by its own names, and elsewhere than on this machine with its token."""

import secrets
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST = 2**22  # bytes of a request
COOKIE = "pixelnet"  # and the port, as all servers of a host share their cookies
LOCAL = ("127.0.0.1", "localhost", "::1")
HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """Refuse what does not come from a page of ours.

    Args:
        app: behind it.
        host: that the server is bound to: of this machine alone, Host must be one of its names; no other page can have
            a browser send that (DNS rebinding).
        token: that must be known, in the address once and then as a cookie; None on this machine.
    """

    def __init__(self, app: ASGIApp, host: str, token: str | None) -> None:
        self.app, self.host, self.token = app, host, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refused = self._refusal(scope, Headers(scope=scope))
        if refused is not None:
            await refused(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            await send(message)

        await self.app(scope, receive, sent)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        named = urlsplit(f"//{headers.get('host', '')}").hostname
        if self.host in LOCAL and named not in LOCAL:
            return _said(421, f"this server answers as {self.host} alone; open the address that it printed")
        origin = headers.get("origin")
        if (origin is not None and urlsplit(origin).netloc != headers.get("host")) or (
            headers.get("sec-fetch-site") in ("cross-site", "same-site") and scope["method"] != "GET"
        ):
            return _said(403, "another page has sent this; use the studio's own page")
        length = headers.get("content-length")
        if scope["method"] not in ("GET", "HEAD"):
            if length is None and "transfer-encoding" in headers:
                return _said(411, "say how long the request is")
            if length is not None and (not length.isdigit() or int(length) > LARGEST):
                return _said(413, f"this is more than {LARGEST:,} bytes; send it in parts")
        return None if self.token is None else self._stranger(scope, headers, self.token)

    def _stranger(self, scope: Scope, headers: Headers, token: str) -> Response | None:
        name = f"{COOKIE}-{urlsplit('//' + headers.get('host', '')).port or 80}"
        cookie = SimpleCookie(headers.get("cookie", "")).get(name)
        if cookie is not None and secrets.compare_digest(cookie.value.encode(), token.encode()):
            return None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if secrets.compare_digest(given.encode(), token.encode()):
            welcome = RedirectResponse("/", 303)
            welcome.set_cookie(name, token, httponly=True, samesite="strict")
            return welcome
        return _said(403, "this address needs its token; open the whole address that the server printed last")


def _said(status: int, words: str) -> Response:
    return JSONResponse({"detail": words}, status, headers=HEADERS)
