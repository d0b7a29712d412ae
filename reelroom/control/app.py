"""The HTTP application: puts the routes of all dialects together. Holds no route of its own."""

from __future__ import annotations

from fastapi import FastAPI

import reelroom
from reelroom.control import docs, openapi, problems
from reelroom.control.context import Context
from reelroom.control.middleware import BodyLimit, Cors, NoNul
from reelroom.dialects import dispatch
from reelroom.dialects.agora import routes as agora
from reelroom.dialects.aliyun import routes as aliyun
from reelroom.dialects.aliyun_rtc import mns
from reelroom.dialects.native import capacity, files, health, media, queues, recordings, rooms, rules, templates, whip
from reelroom.dialects.tencent import routes as tencent
from reelroom.dialects.zego import routes as zego

#: Those whose calls all go to `/`. The first that claims one gets it, so the order is that of how sure they can be.
KINDS: tuple[type[dispatch.Dialect], ...] = (tencent.Dialect, aliyun.Dialect, zego.Dialect)

DESCRIPTION = """
Record WebRTC rooms: every participant in files of their own, or everybody mixed into one.

Authenticate with `Authorization: Bearer KEY`, the app's native key. Publishers and viewers use room tokens
(JWT) at `/whip` and `/whep` instead. Errors are problem details (RFC 9457).
"""


def make_app(context: Context) -> FastAPI:
    """The application on `context`, which its caller opens and closes."""
    app = FastAPI(
        title="Reelroom",
        version=getattr(reelroom, "__version__", "0"),
        description=DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = context
    problems.install(app)
    # Vendors first: a request is held against one route after the other, and they have few.
    app.include_router(dispatch.router(KINDS))
    app.include_router(dispatch.router((tencent.Dialect,), "/tencent"))  # for endpoints with a path
    app.include_router(agora.router)
    app.include_router(mns.router)
    natives = (health, capacity, whip, recordings, files, rooms, templates, rules, media, queues)
    for native in natives:
        app.include_router(native.router)
    openapi.describe(app)
    docs.install(app)
    settings = context.settings
    app.add_middleware(NoNul)
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes, sdp_limit=settings.max_sdp_bytes)
    app.add_middleware(Cors, origins=settings.cors_origins)
    return app
