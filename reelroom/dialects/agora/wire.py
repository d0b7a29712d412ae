"""The JSON of Agora's requests, modes individual and mix. Holds types and single-field ranges; rules between fields and
meaning are in `translate.py`.

Leniency as section 3 asks: unknown keys are ignored, null equals absent, "" equals absent where a string is
optional, an int may be written 1.0, a float 1. Anything else of the wrong type is code 2. Bodies of what is not
supported (snapshots) are kept as they came: their presence is what gets refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from reelroom.dialects import wording
from reelroom.dialects.agora import errors


def _integral(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Int = Annotated[int, BeforeValidator(_integral)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(max_length=4096)]
Uids = Annotated[list[Annotated[str, Field(min_length=1, max_length=128)]], Field(min_length=1, max_length=32)]


class Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _absent(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        required = {f.alias or name for name, f in cls.model_fields.items() if f.is_required()}
        return {k: v for k, v in data.items() if v is not None and (v != "" or k in required)}


class ExtensionParams(Wire):
    sse: Text | None = None
    tag: Text | None = None
    endpoint: Text | None = None


class StorageConfig(Wire):
    vendor: Int
    region: Int = 0  # required by the letter; clients leave out zeros
    bucket: Annotated[str, Field(pattern=r"^[$A-Za-z0-9][A-Za-z0-9._\-]{0,254}$")]  # becomes part of a host name
    accessKey: Annotated[str, Field(min_length=1, max_length=1024)]
    secretKey: Annotated[str, Field(min_length=1, max_length=4096)]
    stsToken: Annotated[str, Field(max_length=16384)] | None = None
    stsExpiration: Int | None = None
    fileNamePrefix: Annotated[list[str], Field(max_length=64)] | None = None
    extensionParams: ExtensionParams | None = None


class Subscriptions(Wire):
    """The four lists, in every spelling that clients send (section 2.4)."""

    subscribeAudioUids: Uids | None = None
    unSubscribeAudioUids: Uids | None = None
    subscribeVideoUids: Uids | None = None
    unSubscribeVideoUids: Uids | None = None

    @model_validator(mode="before")
    @classmethod
    def _spellings(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        spelled: dict[Any, Any] = {
            "unsubscribeAudioUids": "unSubscribeAudioUids",
            "unsubscribeVideoUids": "unSubscribeVideoUids",
            "unsunscribeAudioUids": "unSubscribeAudioUids",
            "unsunscribeVideoUids": "unSubscribeVideoUids",
        }
        seen: dict[str, Any] = {}
        for key, value in data.items():
            name = str(spelled.get(key, key))
            if value is None:
                continue
            if seen.setdefault(name, value) != value:
                raise ValueError(f"{name} is given twice in different spellings, with different values")
        return seen


class RecordingConfig(Subscriptions):
    channelType: Annotated[Int, Field(ge=0, le=1)] = 0
    streamTypes: Annotated[Int, Field(ge=0, le=2)] = 2
    streamMode: Text = "default"
    videoStreamType: Annotated[Int, Field(ge=0, le=1)] = 0
    decryptionMode: Annotated[Int, Field(ge=0, le=8)] = 0
    secret: Text | None = None
    salt: Text | None = None
    maxIdleTime: Annotated[Int, Field(ge=5, le=2_592_000)] = 30
    subscribeUidGroup: Annotated[Int, Field(ge=0, le=5)] = 0
    privateParams: Text | None = None
    audioProfile: Any = None  # these two are for mode mix; mode individual does not look at them
    transcodingConfig: Any = None


class Region(Wire):
    """One entry of `layoutConfig` (section 4.5)."""

    uid: Text | None = None
    x_axis: Fraction
    y_axis: Fraction
    width: Fraction
    height: Fraction
    alpha: Fraction = 1.0
    render_mode: Annotated[Int, Field(ge=0, le=1)] = 0


class UserBackground(Wire):
    uid: Text
    image_url: Text
    render_mode: Annotated[Int, Field(ge=0, le=1)] = 0


class LayoutKeys(Wire):
    """What a layout is, in `transcodingConfig` and in `updateLayout` (sections 2.5 and 3.4)."""

    mixedVideoLayout: Annotated[Int, Field(ge=0, le=3)] = 0
    maxResolutionUid: Text | None = None
    backgroundColor: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] = "#000000"
    backgroundImage: Annotated[str, Field(max_length=2048)] | None = None
    defaultUserBackgroundImage: Annotated[str, Field(max_length=2048)] | None = None
    layoutConfig: Annotated[list[Region], Field(max_length=17)] | None = None
    backgroundConfig: Annotated[list[UserBackground], Field(max_length=17)] | None = None


class TranscodingConfig(LayoutKeys):
    width: Annotated[Int, Field(ge=16, le=1920)] = 360
    height: Annotated[Int, Field(ge=16, le=1920)] = 640
    fps: Int = 15
    bitrate: Annotated[Int, Field(ge=1, le=6500)] = 500  # kbit/s


class RecordingFileConfig(Wire):
    avFileType: Annotated[list[str], Field(min_length=1, max_length=8)] = ["hls"]


class AppsCollection(Wire):
    combinationPolicy: Literal["default", "postpone_transcoding"] = "default"


class TransConfig(Wire):
    transMode: Literal["postponeTranscoding", "audioMix"]


class Container(Wire):
    format: Literal["mp4", "mp3", "m4a", "aac"] | None = None


class PostponedAudio(Wire):
    """Of a postponed audio mix; all strings (section 3.8)."""

    sampleRate: Literal["48000", "32000", "16000"] = "48000"
    bitrate: Literal["48000"] = "48000"  # bit/s, whatever the vendor's page says; it has no other value
    channels: Literal["1", "2"] = "2"


class TranscodeOptions(Wire):
    transConfig: TransConfig
    container: Container = Container()
    audio: PostponedAudio | None = None


class StartRequest(Wire):
    token: Text | None = None
    storageConfig: StorageConfig
    recordingConfig: RecordingConfig = RecordingConfig()
    recordingFileConfig: RecordingFileConfig = RecordingFileConfig()
    snapshotConfig: Any = None
    appsCollection: AppsCollection = AppsCollection()
    transcodeOptions: TranscodeOptions | None = None


class AcquireRequest(Wire):
    scene: Annotated[Int, Field(ge=0, le=2)] = 0
    resourceExpiredHour: Int = 72
    startParameter: dict[str, Any] | None = None
    excludeResourceIds: Annotated[list[str], Field(max_length=100)] | None = None
    region: Text | None = None
    regionAffinity: Annotated[Int, Field(ge=0, le=4)] = 0


class StreamSubscribe(Wire):
    audioUidList: Subscriptions | None = None
    videoUidList: Subscriptions | None = None


class UpdateRequest(Wire):
    streamSubscribe: StreamSubscribe | None = None
    storageConfig: StorageConfig | None = None
    webRecordingConfig: Any = None
    rtmpPublishConfig: Any = None


class StopRequest(Wire):
    async_stop: bool = False


class Frame(Wire):
    """What every POST body is: names of the session and `clientRequest`."""

    cname: str
    uid: str
    clientRequest: dict[str, Any]


_W = TypeVar("_W", bound=Wire)


def parse(model: type[_W], data: Any, where: str) -> _W:
    """`data` as `model`; ServiceError code 2 that names the first wrong field and says what is right."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]  # never the input: it may be a secret
        path = ".".join(part for part in (where, wording.path(first)) if part)
        raise errors.invalid(f"{path}: {wording.wrong(first)}") from None
