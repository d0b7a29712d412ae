"""The figures of /metrics, asked for when they are read. Counts nothing by itself."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterable

from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from reelroom.control.context import Context
from reelroom.domain.recording import State
from reelroom.store import tables

__all__ = ["CONTENT_TYPE", "collect"]
_NAME = re.compile(r"[^a-zA-Z0-9_]")
#: What an ingest process calls its figures that only grow.
_COUNTERS = ("_total", "datagrams", "packets", "frames", "dropped", "lost", "repaired", "rejected")


class _Ready(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _gauge(name: str, text: str, values: dict[str, float], label: str) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _one(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


async def collect(ctx: Context) -> bytes:
    """The text that Prometheus reads."""
    database, ingest, disk = await asyncio.gather(
        _database(ctx), ctx.rooms.stats(), asyncio.to_thread(shutil.disk_usage, ctx.settings.data)
    )
    balance = ctx.capacity.ledger.balance()
    cores = {"limit": balance.limit, "used": balance.used, "booked": balance.booked, "free": balance.free}
    metrics = [
        *database,
        _gauge("reelroom_capacity_cores", "Processor cores: the limit, used, promised to starts, free", cores, "kind"),
        _one("reelroom_disk_free_bytes", "Free space where the data folder is", disk.free),
        _one("reelroom_disk_size_bytes", "Size of the disk where the data folder is", disk.total),
        _one("reelroom_journals_broken", "Journals that cannot be read", len(ctx.follower.broken)),
        CounterMetricFamily("reelroom_journal_lines", "Journal lines indexed", value=ctx.follower.lines),
        _one("reelroom_ingest_processes", "Ingest processes that answer", len(ingest)),
        _one("reelroom_ingest_processes_wanted", "Ingest processes there should be", ctx.settings.workers),
        *_ingest(ingest),
    ]
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Ready(metrics))
    return generate_latest(registry)


async def _database(ctx: Context) -> list[Metric]:
    recording, event = tables.Recording, tables.Event
    async with ctx.database.reading() as session:
        counts = await session.execute(select(recording.state, func.count()).group_by(recording.state))
        by_state = dict(counts.tuples().all())
        callbacks = select(func.count()).where(event.state == "pending")
        pending = await session.scalar(callbacks)
        failing = await session.scalar(callbacks.where(event.attempts > 0))
        given_up = await session.scalar(select(func.count()).where(event.state == "given_up"))
    uploads = await ctx.uploader.stats()
    states = {str(state): float(by_state.get(str(state), 0)) for state in State}
    return [
        _gauge("reelroom_recordings", "Recordings by state", states, "state"),
        _one("reelroom_uploads_pending", "Objects not in storage yet", uploads.pending),
        _one("reelroom_uploads_pending_bytes", "Bytes not in storage yet", uploads.pending_bytes),
        _one("reelroom_uploads_failing", "Objects whose last upload failed", uploads.failing),
        CounterMetricFamily("reelroom_uploads", "Objects uploaded", value=uploads.uploaded),
        CounterMetricFamily("reelroom_uploaded_bytes", "Bytes uploaded", value=uploads.uploaded_bytes),
        CounterMetricFamily("reelroom_upload_failures", "Uploads that failed", value=uploads.failures),
        _one("reelroom_callbacks_pending", "Events to be called back", pending or 0),
        _one("reelroom_callbacks_failing", "Events whose last callback failed", failing or 0),
        CounterMetricFamily("reelroom_media_deleted", "Recordings cleared here", value=ctx.retention.deleted),
        CounterMetricFamily("reelroom_callbacks", "Events delivered", value=ctx.callbacks.delivered),
        CounterMetricFamily("reelroom_callback_failures", "Tries that failed", value=ctx.callbacks.failures),
        _one("reelroom_callback_hosts_failing", "Hosts whose last callback failed", ctx.callbacks.hosts_failing),
        _one("reelroom_storages_down", "Destinations that take nothing now", uploads.destinations_down),
        _one("reelroom_callbacks_given_up", "Events nobody took in time", given_up or 0),
    ]


def _ingest(stats: dict[int, dict[str, float]]) -> list[Metric]:
    families: dict[str, Metric] = {}
    for index, figures in sorted(stats.items()):
        for key, value in figures.items():
            name = "reelroom_ingest_" + _NAME.sub("_", key).removesuffix("_total")
            family = families.get(name)
            if family is None:
                kind = CounterMetricFamily if key.endswith(_COUNTERS) else GaugeMetricFamily
                family = families[name] = kind(name, f"{key} of an ingest process", labels=["worker"])
            family.add_metric([str(index)], value)  # type: ignore[attr-defined]
    return list(families.values())
