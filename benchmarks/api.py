"""`./run bench api`: how fast each dialect answers start, query and stop while many recordings run. Judges no files."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from reelroom.control.apps import DEV
from reelroom.demo.clip import make_clip
from reelroom.demo.publisher import AiortcPublisher
from reelroom.dialects.tencent.routes import TRTC
from tests.servers import KEY, Server
from tests.unit.agora_server import AUTH, BASE, STORAGE
from tests.unit.aliyun_server import LIVE, REQUEST, RTC, TEMPLATE, signed, wire
from tests.unit.tencent_server import SDK_APP_ID, authorization, create
from tests.unit.zego_server import common, single

Say = Callable[[str], None]
JSON = {"Content-Type": "application/json"}
IDLE_S = 3600  # rooms are empty: no recording may end by itself while it is measured
DEFAULTS = (  # no limits of calls, and no storage to be reached
    "agora.requests_per_second=0",
    "agora.storage=app",
    "aliyun_live.requests_per_second=0",
    "aliyun_live.storage=app",
    "aliyun_rtc.requests_per_second=0",
    "aliyun_rtc.storage=app",
    "tencent.requests_per_second=0",
    "tencent.storage=app",
    "zego.starts_per_second=0",
    "zego.others_per_second=0",
    "zego.storage=app",
)


@dataclass(frozen=True)
class Request:
    """One signed call."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True)
class Row:
    """`at_once` clients, each with one connection; milliseconds from the request to the last byte of the answer."""

    dialect: str
    call: str
    at_once: int
    calls: int
    per_second: float
    p50_ms: float
    p99_ms: float


class Client:
    """One kept-alive connection. `__call__` is RuntimeError for an answer that is a refusal in any dialect."""

    def __init__(self, host: str) -> None:
        self.http = HTTPConnection(host, timeout=60)
        self.took_ms: list[float] = []

    def __call__(self, request: Request) -> dict[str, Any]:
        began = time.perf_counter()
        self.http.request(request.method, request.path, request.body, request.headers)
        answer = self.http.getresponse()
        body = answer.read()
        self.took_ms.append((time.perf_counter() - began) * 1e3)
        said: dict[str, Any] = json.loads(body)
        refused = said.get("Code") or said.get("Response", {}).get("Error")
        if answer.status >= 300 or answer.will_close or refused:
            raise RuntimeError(f"{request.method} {request.path}: {answer.status} {body.decode()}")
        return said


class Native:
    """Reelroom's own API."""

    headers = JSON | {"Authorization": f"Bearer {KEY}"}

    def __init__(self, host: str) -> None:
        self.host = host
        self.client = Client(host)  # for what is prepared and not measured

    def close(self) -> None:
        self.client.http.close()

    def _make(self, method: str, path: str, body: Any = None) -> Request:
        return Request(method, path, b"" if body is None else json.dumps(body).encode(), self.headers)

    def start(self, number: int) -> Request:
        body = {"room": f"native-{number}", "limits": {"idle_s": IDLE_S}}
        return self._make("POST", "/api/v1/recordings", body)

    def started(self, number: int, answer: dict[str, Any]) -> Any:
        return answer["id"]

    def query(self, task: Any) -> Request:
        return self._make("GET", f"/api/v1/recordings/{task}")

    def stop(self, task: Any) -> Request:
        return self._make("POST", f"/api/v1/recordings/{task}/stop")


class Agora(Native):
    """Basic authentication; `acquire` is made before and not measured, and the stop does not wait for uploads."""

    headers = JSON | {"Authorization": "Basic " + b64encode(":".join(AUTH).encode()).decode()}

    def _body(self, number: int, **request: Any) -> dict[str, Any]:
        return {"cname": f"agora-{number}", "uid": "900001", "clientRequest": request}

    def start(self, number: int) -> Request:
        resource = self.client(self._make("POST", f"{BASE}/acquire", self._body(number)))["resourceId"]
        body = self._body(number, storageConfig=STORAGE, recordingConfig={"maxIdleTime": IDLE_S})
        return self._make("POST", f"{BASE}/resourceid/{resource}/mode/individual/start", body)

    def started(self, number: int, answer: dict[str, Any]) -> Any:
        return f"{BASE}/resourceid/{answer['resourceId']}/sid/{answer['sid']}/mode/individual", number

    def query(self, task: Any) -> Request:
        return self._make("GET", f"{task[0]}/query")

    def stop(self, task: Any) -> Request:
        return self._make("POST", f"{task[0]}/stop", self._body(task[1], async_stop=True))


class Aliyun(Native):
    """Signature V1 over a form, which both generations have."""

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    version = ""

    def _call(self, action: str, **parameters: str) -> Request:
        return Request("POST", "/", urlencode(signed(self.version, action, parameters)).encode(), self.headers)


class AliyunLive(Aliyun):
    """Starts nothing where nobody is: all is in one room, in which somebody speaks whom no recording wants."""

    version = LIVE

    def __init__(self, host: str) -> None:
        super().__init__(host)
        native = Native(host)
        minted = native._make("POST", "/api/v1/rooms/live/tokens", {"identity": "somebody"})
        token = native.client(minted)["token"]
        context = multiprocessing.get_context("spawn")
        self._somebody = context.Process(target=_speak, args=(f"http://{host}/whip/live", token), daemon=True)
        self._somebody.start()
        deadline = time.monotonic() + 60
        while not any(room["participants"] for room in native.client(native._make("GET", "/api/v1/rooms"))["rooms"]):
            if time.monotonic() > deadline:
                raise RuntimeError("nobody came into the room within 60 s")
            time.sleep(0.1)
        native.close()

    def close(self) -> None:
        super().close()
        self._somebody.terminate()
        self._somebody.join()

    def start(self, number: int) -> Request:
        asked = wire(REQUEST | {"ChannelId": "live", "MaxIdleTime": str(IDLE_S)})
        return self._call("StartRtcCloudRecording", **asked)

    def started(self, number: int, answer: dict[str, Any]) -> Any:
        return answer["TaskId"]

    def query(self, task: Any) -> Request:
        return self._call("DescribeRtcCloudRecordingFiles", TaskId=task)

    def stop(self, task: Any) -> Request:
        return self._call("StopRtcCloudRecording", TaskId=task)


class AliyunRtc(Aliyun):
    """A task of this API waits for somebody to publish: no recorder is started in an empty room."""

    version = RTC

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.template = self.client(self._call("AddRecordTemplate", **TEMPLATE))["TemplateId"]

    def start(self, number: int) -> Request:
        names = {"AppId": "dev", "ChannelId": f"rtc-{number}", "TaskId": f"task-{number}"}
        return self._call("StartRecordTask", **names, TemplateId=self.template)

    def started(self, number: int, answer: dict[str, Any]) -> Any:
        return f"task-{number}"

    def query(self, task: Any) -> Request:
        return self._call("DescribeRecordFiles", AppId="dev", **{"TaskIds.1": task})

    def stop(self, task: Any) -> Request:
        return self._call("StopRecordTask", AppId="dev", TaskId=task)


def _speak(url: str, token: str) -> None:
    """Publishes sound until the process is ended."""

    async def work() -> None:
        publisher = AiortcPublisher(url, token, make_clip(4, size=(320, 180)), kinds=("audio",), loop=True)
        await publisher.start()
        await publisher.run(36_000)

    asyncio.run(work())


class Tencent(Native):
    """Signature TC3."""

    def _call(self, action: str, asked: dict[str, Any]) -> Request:
        body, now = json.dumps(asked).encode(), int(time.time())
        headers = JSON | {
            "Host": self.host,
            "X-TC-Action": action,
            "X-TC-Version": TRTC,
            "X-TC-Timestamp": str(now),
            "Authorization": authorization(body, now, host=self.host),
        }
        return Request("POST", "/", body, headers)

    def start(self, number: int) -> Request:
        params = {"RecordMode": 1, "MaxIdleTime": IDLE_S}
        return self._call("CreateCloudRecording", create(RoomId=str(1 + number), RecordParams=params))

    def started(self, number: int, answer: dict[str, Any]) -> Any:
        return answer["Response"]["TaskId"]

    def query(self, task: Any) -> Request:
        return self._call("DescribeCloudRecording", {"SdkAppId": SDK_APP_ID, "TaskId": task})

    def stop(self, task: Any) -> Request:
        return self._call("DeleteCloudRecording", {"SdkAppId": SDK_APP_ID, "TaskId": task})


class Zego(Native):
    """An MD5 of nonce, secret and time."""

    def _call(self, action: str, asked: dict[str, Any]) -> Request:
        return Request("POST", f"/?{urlencode(common(action))}", json.dumps(asked).encode(), JSON)

    def start(self, number: int) -> Request:
        return self._call("StartRecord", single(MaxIdleTime=IDLE_S) | {"RoomId": f"zego-{number}"})

    def started(self, number: int, answer: dict[str, Any]) -> Any:
        return answer["Data"]["TaskId"]

    def query(self, task: Any) -> Request:
        return self._call("DescribeRecordStatus", {"TaskId": task})

    def stop(self, task: Any) -> Request:
        return self._call("StopRecord", {"TaskId": task})


DIALECTS: dict[str, type[Native]] = {
    "native": Native,
    "agora": Agora,
    "aliyun_live": AliyunLive,
    "aliyun_rtc": AliyunRtc,
    "tencent": Tencent,
    "zego": Zego,
}


def run(dialects: Sequence[str], running: int, starts: int, queries: int, at_once: int, say: Say) -> list[Row]:
    """`running` recordings of empty rooms throughout; each dialect starts and stops `starts` more, one by one."""
    rows: list[Row] = []
    with _server() as server:
        host = server.url.removeprefix("http://")
        say(f"starting {running} recordings; control is process {server.children()['control']}")
        native = Native(host)
        kept = [native.client(native.start(-1 - number))["id"] for number in range(running)]
        for name in dialects:
            say(name)
            api = DIALECTS[name](host)
            for row in _measure(name, api, starts, queries, at_once):
                say(f"  {row.call} by {row.at_once}: {row.per_second}/s, p50 {row.p50_ms}, p99 {row.p99_ms} ms")
                rows.append(row)
            api.close()
        native.close()  # by now the server has closed the idle connection, too
        native = Native(host)
        ended = [id for id in kept if native.client(native.query(id))["state"] != "recording"]
        if ended:
            raise RuntimeError(f"{len(ended)} of the {running} recordings did not run throughout:\n{server.tail()}")
    return rows


def _measure(name: str, api: Native, starts: int, queries: int, at_once: int) -> Iterator[Row]:
    answers: list[dict[str, Any]] = []
    begins = [api.start(number) for number in range(starts)]
    yield _timed(name, "start", api.host, 1, starts, begins.__getitem__, answers)
    tasks = [api.started(number, answer) for number, answer in enumerate(answers)]
    for clients in (1, at_once):
        yield _timed(name, "query", api.host, clients, queries, lambda n: api.query(tasks[n % starts]), [])
    yield _timed(name, "stop", api.host, 1, starts, lambda n: api.stop(tasks[n]), [])


def _timed(
    name: str,
    call: str,
    host: str,
    at_once: int,
    calls: int,
    make: Callable[[int], Request],
    answers: list[dict[str, Any]],
) -> Row:
    """Each call is signed right before it, as a copy of an old one is refused; that is in no call's time."""
    clients = [Client(host) for _ in range(at_once)]
    failed: list[BaseException] = []

    def work(index: int) -> None:
        try:
            for number in range(index, calls, at_once):
                answers.append(clients[index](make(number)))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(at_once)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s = time.perf_counter() - began
    if failed:
        raise failed[0]
    spent = [ms for client in clients for ms in client.took_ms]
    for client in clients:
        client.http.close()
    p99 = statistics.quantiles(spent, n=100, method="inclusive")[98]
    per_second = round(calls / took_s)
    return Row(name, call, at_once, calls, per_second, round(statistics.median(spent), 1), round(p99, 1))


@contextmanager
def _server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="reelroom-bench-") as folder:
        data = Path(folder) / "data"
        command = [sys.executable, "-m", "reelroom", "app", "add", "dev", "--data", str(data), "--json"]
        for dialect, fields in DEV.items():
            for name, value in fields.items():
                command += ["--credential", f"{dialect}.{name}={value}"]
        for default in DEFAULTS:
            command += ["--default", default]
        subprocess.run(command, check=True, capture_output=True)
        server = Server(data, environment={"REELROOM_MAX_CPU": "0"})
        try:
            yield server.start()
        finally:
            server.stop()


def as_json(rows: Sequence[Row]) -> str:
    return json.dumps([asdict(row) for row in rows])
