"""Settings: flags over environment over file, mistakes named, secrets masked, --dev on loopback only."""

import re
from pathlib import Path

import pytest

from reelroom.config import INHERITED, Settings, SettingsError, inherited, load, split_host_port


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"REELROOM_{name.upper()}", raising=False)
    monkeypatch.delenv("REELROOM_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def test_each_place_overrides_the_one_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "reelroom.toml").write_text('workers = 2\nring_s = 5\nsilent_s = 60\nrtc_announce = ["192.0.2.1"]\n')
    monkeypatch.setenv("REELROOM_RING_S", "7")
    monkeypatch.setenv("REELROOM_SILENT_S", "70")
    found = load({"silent_s": 80, "workers": None})
    assert (found.workers, found.ring_s, found.silent_s) == (2, 7, 80)
    assert found.rtc_announce == ["192.0.2.1"]
    monkeypatch.setenv("REELROOM_RTC_ANNOUNCE", "192.0.2.2, 2001:db8::1")
    assert load().rtc_announce == ["192.0.2.2", "2001:db8::1"]
    assert load().mix_hardware == []
    monkeypatch.setenv("REELROOM_MIX_HARDWARE", "vaapi,nvenc")
    assert load().mix_hardware == ["vaapi", "nvenc"]


def test_the_file_may_be_named_and_must_then_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    named = tmp_path / "other.toml"
    with pytest.raises(SettingsError, match="does not exist"):
        load(config=named)
    named.write_text("workers = 3\n")
    assert load(config=named).workers == 3
    monkeypatch.setenv("REELROOM_CONFIG", str(named))
    assert load().workers == 3


@pytest.mark.parametrize(
    ("file", "flags", "said"),
    [
        ("wrokers = 2", {}, "wrokers"),
        ("workers = 'many'", {}, "workers"),
        ("workers =", {}, "reelroom.toml"),
        ("", {"http": "8080"}, "HOST:PORT"),
        ("", {"http": "[::1]:99999"}, "HOST:PORT"),
        ("", {"rtc_host": "example.com"}, "rtc_host"),
        ("", {"rtc_port": 65535, "workers": 2}, "no room"),
        ("", {"database_url": "nonsense"}, "database_url"),
        ("mix_hardware = ['gpu']", {}, "mix_hardware.0: Input should be 'nvenc', 'vaapi' or 'qsv'"),
        ("", {"workers": 0}, "workers"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, file: str, flags: dict, said: str) -> None:
    (tmp_path / "reelroom.toml").write_text(file)
    with pytest.raises(SettingsError, match=re.escape(said)):
        load(flags)


def test_dev_binds_loopback_and_nothing_else() -> None:
    found = load({"dev": True})
    assert set(found.rtc_host) == {"127.0.0.1", "::1"}
    assert found.allow_private
    for flags in ({"http": "0.0.0.0:80"}, {"rtc_host": "0.0.0.0"}, {"http": "[::]:80"}, {"rtc_host": "192.0.2.1"}):
        with pytest.raises(SettingsError, match="loopback"):
            load({"dev": True, **flags})
    assert not load().allow_private


def test_the_file_may_say_dev_too(tmp_path: Path) -> None:
    (tmp_path / "reelroom.toml").write_text("dev = true\n")
    assert load().rtc_host == ["127.0.0.1", "::1"]
    (tmp_path / "reelroom.toml").write_text('dev = true\nhttp = "0.0.0.0:80"\n')
    with pytest.raises(SettingsError, match="loopback"):
        load()


def test_passwords_are_masked_where_settings_are_shown() -> None:
    found = load({"database_url": "postgresql://reel:hunter2@db.example/reel"})
    assert "hunter2" not in str(found.masked())
    assert found.masked()["database_url"] == "postgresql://reel:***@db.example/reel"


def test_children_get_the_same_settings() -> None:
    found = load({"workers": 3, "database_url": "postgresql://reel:hunter2@db.example/reel"})
    assert inherited({INHERITED: found.model_dump_json()}) == found
    with pytest.raises(SettingsError, match="reelroom serve"):
        inherited({})


def test_sockets_get_a_short_path(tmp_path: Path) -> None:
    found = load({"data": tmp_path / ("x" * 90)}).with_folders()
    assert len(str(found.run)) <= 64
    assert found.run.stat().st_mode & 0o777 == 0o700
    for folder in (found.data, found.recordings, found.storage, found.keys):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert (found.data / "reelroom.db").stat().st_mode & 0o777 == 0o600
    found.run.rmdir()
    with pytest.raises(SettingsError, match="short path"):
        load({"data": tmp_path, "run_dir": tmp_path / ("x" * 90)}).with_folders()


def test_host_and_port() -> None:
    assert split_host_port("[::1]:80") == ("::1", 80)
    assert split_host_port("localhost:0") == ("localhost", 0)
    for wrong in ("", ":80", "x", "x:", "x:-1", "x:8x"):
        with pytest.raises(ValueError, match="HOST:PORT"):
            split_host_port(wrong)


def test_refusals_are_in_our_own_words() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"dev": True, "http": "0.0.0.0:8080"})
    assert str(caught.value).startswith("--dev has well-known credentials")
