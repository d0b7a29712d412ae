"""The page at /api/v1/docs, on which the native API is read and tried. Holds no description: that is `openapi.py`.

Its parts come from this server alone, because keys are typed on it.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from importlib.resources import files

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

PAGE = "/api/v1/docs"
PARTS = f"{PAGE}/parts"
_INLINE = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def install(app: FastAPI) -> None:
    """Serve the page, and Swagger UI's files as the package `fastapi-offline` has them."""
    assert app.openapi_url is not None
    page = get_swagger_ui_html(
        openapi_url=app.openapi_url,
        title=f"{app.title} API",
        swagger_js_url=f"{PARTS}/swagger-ui-bundle.js",
        swagger_css_url=f"{PARTS}/swagger-ui.css",
        swagger_favicon_url="data:,",
        swagger_ui_parameters={"persistAuthorization": False},
    )
    page.headers["Content-Security-Policy"] = _policy(bytes(page.body))
    app.mount(PARTS, StaticFiles(directory=str(files("fastapi_offline") / "static")), name="docs-parts")

    @app.get(PAGE, include_in_schema=False)
    async def docs() -> HTMLResponse:
        return page


def _policy(page: bytes) -> str:
    """Nothing from elsewhere, and of scripts in the page only its own (CSP level 3)."""
    own = " ".join(f"'sha256-{b64encode(hashlib.sha256(text).digest()).decode()}'" for text in _INLINE.findall(page))
    return (
        f"default-src 'none'; script-src 'self' {own}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
