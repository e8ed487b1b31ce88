"""The web front end: one aiohttp server for the page, the API, and those who watch over the bot."""

from __future__ import annotations

import logging
import secrets
import sys
from collections.abc import Iterable

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from bot.app import App
from bot.chat.web import api, pages
from bot.chat.web.callers import Callers
from bot.chat.web.keys import PARTS, Parts
from bot.chat.web.live import Live
from bot.chat.web.metrics import Metrics
from bot.chat.web.refusals import refusals
from bot.chat.web.runs import read_news
from bot.fetch import Fetcher, FetchRules
from bot.lab import Lab
from bot.log import PICTURE
from bot.publishing import Publisher
from store.config import Config

log = logging.getLogger(__name__)

STOP_S = 1.0  # for requests under way; the workers have finished theirs by then
MAX_BODY = 64 * 1024  # of what is read in one piece; pictures are streamed under their own limit
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


class WebFrontEnd:
    """Serves the page and the API; `url` is where, once it is started."""

    name = "web"

    def __init__(self, app: App) -> None:
        """Raises ConfigError where `web.trusted_proxies` cannot be read."""
        self.config = app.config
        self.metrics = Metrics(app.inference)
        app.service.observers.append(self.metrics.observe)
        self.parts = Parts(
            config=app.config,
            service=app.service,
            inference=app.inference,
            database=app.database,
            schedule=app.schedule,
            publisher=Publisher(app.config, app.inference),
            callers=Callers(app.config),
            fetcher=Fetcher(fetch_rules(app.config)),
            metrics=self.metrics,
            why_not_ready=app.why_not_ready,
            live=Live(lambda run, known: app.service.stored(read_news, app.database, run, known), app.schedule),
            lab=Lab(),
        )
        self.url = ""
        self._runner: web.AppRunner | None = None
        self._guests: list[web.RouteDef] = []

    def add_routes(self, routes: Iterable[web.RouteDef]) -> None:
        """Serve another front end's routes too; before `start`."""
        self._guests += routes

    async def start(self) -> None:
        """Listen, and say where on standard output. Raises OSError in one line that says what to do."""
        host, port = self.config.web.host, self.config.web.port
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=STOP_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except (OSError, OverflowError) as error:
            await runner.cleanup()
            reason = getattr(error, "strerror", None) or str(error)
            raise OSError(
                f"cannot listen on {host} port {port}: {reason}. Set web.port (PORT=9000 make run) or web.host."
            ) from None
        self._runner = runner
        await self.metrics.start()
        self.url = address_of(host, runner.addresses[0][1])
        _announce(f"{self.url} で待っています (Ctrl-C で終わり)")

    async def stop(self) -> None:
        """Close the socket, then the connections."""
        await self.metrics.stop()
        if self._runner is not None:
            await self._runner.cleanup()
        await self.parts.fetcher.close()

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self._count, pages.switch_language, refusals], client_max_size=MAX_BODY)
        app[PARTS] = self.parts
        app.on_response_prepare.append(add_headers)
        app.on_shutdown.append(self._close_streams)  # they would never end by themselves
        api.add_routes(app.router)
        pages.set_up(app)
        app.router.add_routes(self._guests)
        return app

    async def _close_streams(self, _app: web.Application) -> None:
        await self.parts.live.close()
        self.parts.lab.close()

    @web.middleware
    async def _count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        token = PICTURE.set(secrets.token_hex(4))
        try:
            response: web.StreamResponse = await handler(request)
            response.headers["X-Request-Id"] = PICTURE.get()  # the log's name for a posted picture
        finally:
            PICTURE.reset(token)
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "none"
        method = request.method if request.method in hdrs.METH_ALL else "other"
        self.metrics.requests.labels(method, route, str(response.status)).inc()
        return response


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """What every answer carries."""
    headers = response.headers
    headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers[hdrs.SERVER] = "bokebot"
    if request.path.startswith("/static/") and response.status in (200, 304):
        headers.setdefault("Cache-Control", f"public, max-age={pages.YEAR_S}, immutable")
    else:
        headers.setdefault("Cache-Control", "no-store")


def fetch_rules(config: Config) -> FetchRules:
    """For links that visitors post: only hosts that the owner named."""
    pictures = config.pictures
    return FetchRules(
        own_hosts=frozenset(),
        allowed_hosts=frozenset(host.lower() for host in pictures.allowed_hosts),
        max_bytes=pictures.max_bytes,
        timeout_s=pictures.fetch_timeout_s,
        max_redirects=pictures.max_redirects,
    )


def address_of(host: str, port: int) -> str:
    """An address to type into a browser on this machine."""
    if host in ("", "0.0.0.0"):
        host = "127.0.0.1"
    elif host == "::":
        host = "::1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _announce(line: str) -> None:
    try:
        print(line, flush=True)
    except UnicodeEncodeError:  # a terminal that knows no Japanese
        sys.stdout.buffer.write(line.encode() + b"\n")
        sys.stdout.buffer.flush()
