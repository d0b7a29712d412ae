"""The settings: TOML file, environment and flags, each overriding the one before. Opens nothing."""

from __future__ import annotations

import ipaddress
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

DEFAULT_FILE = Path("reelroom.toml")
INHERITED = "REELROOM_SETTINGS"  # what the supervisor hands to its children: the settings as JSON
DATABASE = "reelroom.db"
MAX_RUN_DIR = 64  # bytes; a Unix socket's path may have 107, and the longest name in there needs 40

Listed = Annotated[list[str], NoDecode]  # "a,b" in the environment, a list in TOML


class SettingsError(Exception):
    """Settings that cannot be: says which, where it came from is left to the reader."""


class Settings(BaseModel):
    """Everything that can be set. Immutable; children get the same object as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dev: bool = Field(False, description="make the app `dev`; bind loopback only; allow loopback callbacks")
    http: str = Field("127.0.0.1:8080", description="HOST:PORT of the HTTP server; port 0: a free one")
    rtc_host: Listed = Field(
        ["0.0.0.0", "::"],  # noqa: S104 - media comes from outside; --dev narrows it
        description="addresses the UDP ports are bound to; --dev: loopback",
    )
    rtc_port: int = Field(7900, ge=0, le=65535, description="UDP port of worker 0; worker i has +i; 0: free ones")
    rtc_announce: Listed = Field([], description="addresses to offer instead of the bound ones (NAT)")
    data: Path = Field(Path("reelroom-data"), description="recordings, database, keys, local storage")
    run_dir: Path | None = Field(None, description="sockets; short path; default DATA/run or a temporary folder")
    workers: int = Field(1, ge=1, le=64, description="ingest processes, one UDP port each")
    ring_s: float = Field(10, ge=1, le=60, description="seconds of every track that are kept in memory")
    ring_bytes: int = Field(16 << 20, ge=1 << 16, le=1 << 30, description="bound of one track's ring")
    mix_max_side: int = Field(
        1920, ge=16, le=3840, description="longest side of a mixed recording's picture in pixels; 3840 for 4K"
    )
    mix_hardware: Annotated[list[Literal["nvenc", "vaapi", "qsv"]], NoDecode] = Field(
        [],
        description="hardware that may encode mixed recordings' pictures, tried in this order: nvenc, vaapi, qsv; "
        "none by default; where none of them works, an event says why and software encodes; "
        "not tested on such hardware yet",
    )
    max_cpu: float = Field(
        0.9,
        ge=0,
        le=10,
        description="share of the cores that recordings may use; a start beyond is refused; 0: no limit",
    )
    video_orientation: bool = Field(
        False,
        description="agree to the header extension by which phones tell how a picture is turned, instead of turning it",
    )
    silent_s: float = Field(30, ge=2, le=3600, description="a silent participant leaves after this")
    database_url: str = Field("", description="SQLAlchemy URL; default SQLite in the data folder")
    allow_private: bool = Field(
        False, description="callbacks and storage endpoints may be loopback or private addresses"
    )
    cors_origins: Listed = Field(["*"], description="origins whose pages may call the HTTP server")
    max_body_bytes: int = Field(1 << 20, ge=1024, le=64 << 20, description="longest HTTP request body")
    max_sdp_bytes: int = Field(256 << 10, ge=1024, le=4 << 20, description="longest SDP")
    delete_local_after_s: float | None = Field(
        None, ge=0, description="media of a finished, uploaded recording goes after this; unset: it stays"
    )
    upload_concurrency: int = Field(8, ge=1, le=256, description="uploads at the same time")
    upload_pause_max_s: float = Field(60, ge=1, le=3600, description="longest pause between tries of one upload")
    callback_concurrency: int = Field(16, ge=1, le=256, description="callbacks at the same time")
    callback_timeout_s: float = Field(10, ge=1, le=60, description="how long a callback may take")
    callback_give_up_s: float = Field(86_400, ge=60, description="an event is retried for so long")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"

    @field_validator("rtc_host", "rtc_announce", "cors_origins", "mix_hardware", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @field_validator("rtc_host", "rtc_announce")
    @classmethod
    def _addresses(cls, value: list[str]) -> list[str]:
        for address in value:
            ipaddress.ip_address(address)
        return value

    @field_validator("http")
    @classmethod
    def _host_port(cls, value: str) -> str:
        split_host_port(value)
        return value

    @field_validator("data", "run_dir")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else Path(os.path.abspath(value.expanduser()))

    @field_validator("database_url")
    @classmethod
    def _url(cls, value: str) -> str:
        if value:
            try:
                make_url(value)
            except ArgumentError as error:
                raise ValueError("not a database URL such as postgresql://user:password@host/name") from error
        return value

    @model_validator(mode="before")
    @classmethod
    def _dev_defaults(cls, values: Any) -> Any:
        if isinstance(values, dict) and str(values.get("dev", "")).lower() in ("true", "1", "yes", "on"):
            return {"rtc_host": ["127.0.0.1", "::1"], "allow_private": True, **values}
        return values

    @model_validator(mode="after")
    def _dev_is_loopback(self) -> Settings:
        if not self.rtc_host:
            raise ValueError("rtc_host needs at least one address")
        if self.rtc_port and self.rtc_port + self.workers - 1 > 65535:
            raise ValueError(f"rtc_port {self.rtc_port} leaves no room for {self.workers} workers")
        if self.dev:
            for host in (self.http_host, *self.rtc_host):
                if not is_loopback(host):
                    raise ValueError(
                        f"--dev has well-known credentials and binds loopback only, not {host}; "
                        "leave --dev out and make an app with `reelroom app add`"
                    )
        return self

    @property
    def http_host(self) -> str:
        return split_host_port(self.http)[0]

    @property
    def http_port(self) -> int:
        return split_host_port(self.http)[1]

    @property
    def recordings(self) -> Path:
        return self.data / "recordings"

    @property
    def storage(self) -> Path:
        return self.data / "storage"

    @property
    def keys(self) -> Path:
        return self.data / "keys"

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data / DATABASE}"

    @property
    def run(self) -> Path:
        """The folder of the sockets, once `with_folders` has chosen it."""
        if self.run_dir is None:
            raise SettingsError("run_dir is not chosen yet: use the settings of `with_folders`")
        return self.run_dir

    def with_folders(self) -> Settings:
        """Make the folders, choose `run_dir` if it is not set, and return the settings with it."""
        for folder in (self.data, self.recordings, self.storage):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # people's faces: for nobody else on the machine
        if not self.database_url:
            (self.data / DATABASE).touch(mode=0o600)  # SQLite gives its other files the same mode
        self.keys.mkdir(mode=0o700, exist_ok=True)
        run = self.run_dir or self.data / "run"
        if len(os.fsencode(run)) > MAX_RUN_DIR:
            if self.run_dir is not None:
                raise SettingsError(f"run_dir {run} is longer than {MAX_RUN_DIR} bytes: sockets need a short path")
            run = Path(tempfile.mkdtemp(prefix="reelroom-"))
        run.mkdir(parents=True, exist_ok=True, mode=0o700)
        run.chmod(0o700)
        return self.model_copy(update={"run_dir": run})

    def masked(self) -> dict[str, Any]:
        """The settings as they may be shown."""
        shown = self.model_dump(mode="json")
        if self.database_url:
            shown["database_url"] = make_url(self.database_url).render_as_string(hide_password=True)
        return shown


def _sources(file: Path | None) -> type[BaseSettings]:
    """Settings with the places that they come from: arguments, the environment, `file`."""

    class Sources(BaseSettings, Settings):
        model_config = SettingsConfigDict(env_prefix="REELROOM_", extra="forbid", frozen=True)

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            toml = [TomlConfigSettingsSource(settings_cls, toml_file=file)] if file else []
            return (init_settings, env_settings, *toml)

    return Sources


def load(flags: Mapping[str, Any] | None = None, config: Path | None = None) -> Settings:
    """The effective settings.

    `flags` that are None were not given. The file is `config`, else $REELROOM_CONFIG, else ./reelroom.toml
    if there is one. Raises SettingsError with one line per mistake.
    """
    named = config or (Path(os.environ["REELROOM_CONFIG"]) if os.environ.get("REELROOM_CONFIG") else None)
    if named is not None and not named.is_file():
        raise SettingsError(f"settings file {named} does not exist")
    file = named or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    try:
        sources = _sources(file)(**given)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from error
    except ValueError as error:  # a TOML file that is none, an environment variable that does not decode
        raise SettingsError(f"{file or 'environment'}: {error}") from error
    return Settings.model_validate(sources.model_dump())


def inherited(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings that the supervisor gave to this child process."""
    text = (os.environ if environ is None else environ).get(INHERITED)
    if not text:
        raise SettingsError(f"{INHERITED} is not set: this process is started by `reelroom serve`")
    return Settings.model_validate_json(text)


def split_host_port(value: str) -> tuple[str, int]:
    """("::1", 80) of "[::1]:80"; ValueError when it is not HOST:PORT."""
    host, colon, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{value!r} is not HOST:PORT")
    return host, int(port)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _explain(error: ValidationError) -> str:
    lines = []
    for mistake in error.errors(include_url=False):
        where = ".".join(str(part) for part in mistake["loc"])
        message = str(mistake["msg"]).removeprefix("Value error, ")  # pydantic's word for what our validators say
        lines.append(f"{where}: {message}" if where else message)
    return "\n".join(lines)
