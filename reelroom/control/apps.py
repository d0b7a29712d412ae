"""Apps: the tenants and their credentials for every API. Holds no HTTP and checks no signature."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from reelroom.control.errors import ControlError
from reelroom.domain.names import check_name
from reelroom.store import tables
from reelroom.store.db import Database
from reelroom.store.destinations import forget
from reelroom.store.secrets import SecretBox

#: The credential by which a request of each dialect says whose it is; nothing secret about it.
PUBLIC = {
    "native": "app",
    "agora": "appid",
    "aliyun": "access_key_id",
    "tencent": "secret_id",
    "zego": "app_id",
}
#: Credentials that an app need not have; an empty value takes one away.
OPTIONAL = {
    "aliyun": frozenset({"security_token"}),  # of temporary (STS) credentials
    "tencent": frozenset({"token", "callback_key"}),  # the same; without a key callbacks are not signed
}
_RELOAD_S = 1.0  # how often at most an unknown credential makes us look for apps added meanwhile

#: What `--dev` makes. Known to everybody, hence loopback only.
DEV: dict[str, dict[str, str]] = {
    "native": {"key": "dev-secret"},
    "agora": {
        "appid": "dev",
        "customer_id": "dev",
        "customer_secret": "dev-secret",
        "callback_secret": "dev-secret",
    },
    "aliyun": {"access_key_id": "dev", "access_key_secret": "dev-secret", "app_id": "dev"},
    "tencent": {
        "secret_id": "dev",
        "secret_key": "dev-secret",
        "sdk_app_id": "1400000000",
        "sdk_secret_key": "dev-secret",
        "callback_key": "dev-secret",
    },
    "zego": {"app_id": "1000000000", "server_secret": "dev-secret", "callback_secret": "dev-secret"},
}


@dataclass(slots=True)
class AppContext:
    """One app with its credentials opened. Never to be logged: `repr` leaves the secrets out."""

    id: str
    secrets: dict[str, dict[str, str]] = field(repr=False)
    defaults: dict[str, Any] = field(default_factory=dict)
    destination: str | None = None

    @property
    def key(self) -> str:
        """The native bearer key, which signs the app's tokens too."""
        return self.secrets["native"]["key"]


def make_credentials(app: str) -> dict[str, dict[str, str]]:
    """Fresh random credentials for every dialect, in each vendor's form."""
    number = secrets.randbelow(9 * 10**8) + 10**8
    return {
        "native": {"key": "rr_" + secrets.token_urlsafe(32)},
        "agora": {
            "appid": secrets.token_hex(16),
            "customer_id": secrets.token_hex(16),
            "customer_secret": secrets.token_hex(16),
            "callback_secret": secrets.token_urlsafe(24),
        },
        "aliyun": {
            "access_key_id": "LTAI" + secrets.token_hex(10),
            "access_key_secret": secrets.token_urlsafe(24),
            "app_id": secrets.token_hex(4),
        },
        "tencent": {
            "secret_id": "AKID" + secrets.token_hex(16),
            "secret_key": secrets.token_urlsafe(24),
            "sdk_app_id": str(1_400_000_000 + number % 10**8),
            "sdk_secret_key": secrets.token_hex(32),
            "callback_key": secrets.token_hex(16),
        },
        "zego": {
            "app_id": str(number),
            "server_secret": secrets.token_hex(16),
            "callback_secret": secrets.token_hex(16),
        },
    }


class Apps:
    """The apps in the database, kept open in memory: a request must not wait for a decryption."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box
        self._by_id: dict[str, AppContext] = {}
        self._by_key: dict[str, AppContext] = {}
        self._by_public: dict[tuple[str, str], AppContext] = {}
        self._opened: dict[str, tuple[bytes, dict[str, dict[str, str]]]] = {}  # sealed and open credentials
        self._looked = -_RELOAD_S  # for an unknown credential; other looks do not keep us from that

    async def add(
        self,
        id: str,
        credentials: dict[str, dict[str, str]] | None = None,
        destination: tables.Destination | None = None,
        defaults: dict[str, Any] | None = None,
    ) -> AppContext:
        """A new app; credentials not given are made. ControlError("conflict") when one is taken."""
        try:
            check_name("app", id)
        except ValueError as error:
            raise ControlError("invalid", str(error), "app") from error
        merged = _merged(make_credentials(id), credentials or {})
        await self.load()
        self._check_free(id, merged)
        row = tables.App(
            id=id,
            secrets=self._box.seal(merged),
            key_hash=_hash(merged["native"]["key"]),
            defaults=defaults or {},
            destination=None if destination is None else destination.id,
            created_ns=time.time_ns(),
        )
        try:
            async with self._database.transaction() as session:
                if destination is not None:
                    session.add(destination)
                    await session.flush()
                session.add(row)
        except IntegrityError as error:
            raise ControlError("conflict", f"app {id!r} exists already", "app") from error
        await self.load()
        return self._by_id[id]

    async def change(
        self,
        id: str,
        credentials: dict[str, dict[str, str]] | None = None,
        defaults: dict[str, Any] | None = None,
        destination: tables.Destination | None = None,
        no_destination: bool = False,
    ) -> AppContext:
        """Replace what is given of an app and leave the rest; `defaults` as a whole.

        ControlError("not_found") without such an app, "conflict" when a credential is another's. A server that runs
        sees it within seconds. Recordings go on to where they were started with.
        """
        await self.load()
        app = self._by_id.get(id)
        if app is None:
            raise ControlError("not_found", f"no app {id!r}"[:160], "app")
        merged = _merged(app.secrets, credentials or {})
        self._check_free(id, merged)
        async with self._database.transaction() as session:
            row = await session.get_one(tables.App, id, with_for_update=True)
            if credentials:
                row.secrets, row.key_hash = self._box.seal(merged), _hash(merged["native"]["key"])
            if defaults is not None:
                row.defaults = defaults
            before = row.destination
            if destination is not None:
                session.add(destination)
                await session.flush()
                row.destination = destination.id
            elif no_destination:
                row.destination = None
            await session.flush()
            if before is not None and before != row.destination:
                await forget(session, before)  # else it goes with the last recording and file of the library
        await self.load()
        return self._by_id[id]

    def _check_free(self, id: str, credentials: dict[str, dict[str, str]]) -> None:
        """ControlError unless no other app has one of these."""
        for dialect, fields in credentials.items():
            for name, value in fields.items():
                if not value:
                    raise ControlError("invalid", "must not be empty", f"credentials.{dialect}.{name}")
        for dialect, public in PUBLIC.items():
            other = dialect != "native" and self._by_public.get((dialect, credentials[dialect][public]))
            if other and other.id != id:
                raise ControlError("conflict", f"another app has this {dialect} {public}", "credentials")
        other = self._by_key.get(_hash(credentials["native"]["key"]))
        if other and other.id != id:
            raise ControlError("conflict", "another app has this native key", "credentials.native.key")

    async def ensure_dev(self) -> None:
        """Make the app `dev` unless it is there."""
        await self.load()
        if "dev" not in self._by_id:
            await self.add("dev", DEV)

    async def list(self) -> list[AppContext]:
        await self.load()
        return list(self._by_id.values())

    def known(self) -> tuple[AppContext, ...]:
        """Those of the last look into the database, without another."""
        return tuple(self._by_id.values())

    async def load(self) -> None:
        """Read all apps again; those are opened that changed."""
        async with self._database.reading() as session:
            rows = (await session.scalars(select(tables.App).order_by(tables.App.created_ns))).all()
        opened = {row.id: self._secrets(row) for row in rows}
        self._opened = {row.id: (row.secrets, opened[row.id]) for row in rows}
        contexts = [AppContext(row.id, opened[row.id], row.defaults, row.destination) for row in rows]
        self._by_id = {context.id: context for context in contexts}
        self._by_key = {row.key_hash: self._by_id[row.id] for row in rows}
        self._by_public = {
            (dialect, context.secrets[dialect][public]): context
            for context in contexts
            for dialect, public in PUBLIC.items()
            if dialect != "native" and dialect in context.secrets
        }

    def _secrets(self, row: tables.App) -> dict[str, dict[str, str]]:
        sealed, secrets = self._opened.get(row.id, (b"", {}))
        if sealed != row.secrets:
            secrets = self._box.open(row.secrets)
        return secrets

    async def by_id(self, id: str) -> AppContext | None:
        if id not in self._by_id:
            await self._look_again()
        return self._by_id.get(id)

    async def by_key(self, bearer: str) -> AppContext | None:
        """Whose native key `bearer` is. Takes as long whether or not the first characters are right."""
        hashed = _hash(bearer)
        if hashed not in self._by_key:
            await self._look_again()
        context = self._by_key.get(hashed)
        if context is None or not hmac.compare_digest(context.key.encode(), bearer.encode()):
            return None
        return context

    async def by_dialect(self, dialect: str, public_id: str) -> AppContext | None:
        """Whose public credential of that dialect (see PUBLIC) this is; its secret is still to be checked."""
        if dialect == "native":
            return await self.by_id(public_id)
        if (dialect, public_id) not in self._by_public:
            await self._look_again()
        return self._by_public.get((dialect, public_id))

    async def _look_again(self) -> None:
        if time.monotonic() - self._looked >= _RELOAD_S:
            self._looked = time.monotonic()
            await self.load()


def _merged(known: dict[str, dict[str, str]], given: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """`known` with `given` put in; ControlError for what no dialect has."""
    merged = {dialect: dict(fields) for dialect, fields in known.items()}
    for dialect, fields in given.items():
        if dialect not in merged:
            raise ControlError("invalid", f"no dialect {dialect!r}", f"credentials.{dialect}")
        optional = OPTIONAL.get(dialect, frozenset())
        if unknown := fields.keys() - DEV[dialect].keys() - optional:
            has = ", ".join(dict.fromkeys([*DEV[dialect], *sorted(optional)]))
            raise ControlError("invalid", f"{dialect} has {has}", f"credentials.{dialect}.{min(unknown)}")
        merged[dialect] |= fields
        for name in optional:
            if not merged[dialect].get(name):
                merged[dialect].pop(name, None)
    return merged


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
