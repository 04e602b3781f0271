"""A download is whole and of the declared content, or an error that keeps nothing wrong; the next one continues or begins anew."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from replications.commands.data import sources
from replications.engine import downloads
from replications.engine.datasets import DataSource, load
from replications.errors import DataError

TEXT = "To be or not to be. " * 20_000
BODY = TEXT.encode()
PAGE = b"<html>sign in to this network</html>"
# Of a data set of one row 'text': column name, zero, text, zero.
FINGERPRINT = hashlib.sha256(b"text\0" + BODY + b"\0").hexdigest()[:16]

Answer = Callable[[BaseHTTPRequestHandler, int], None]


class Server:
    """Answers each request by the next of `answers`, the last one for ever; `requests` gathers the ranges that were asked for."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append(self.headers.get("Range"))
                start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
                answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                answer(self, start)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/file.txt"


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: object) -> None:
    handler.send_response(status)
    for name, value in ({"Content_Length": len(body)} | headers).items():
        if value is not None:
            handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()
    handler.wfile.write(body)


def whole(handler: BaseHTTPRequestHandler, start: int) -> None:
    if start == 0:
        send(handler, 200, BODY)
    elif start >= len(BODY):
        send(handler, 416, b"", Content_Range=f"bytes */{len(BODY)}")
    else:
        send(handler, 206, BODY[start:], Content_Range=f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")


def closed_early(handler: BaseHTTPRequestHandler, start: int) -> None:
    send(handler, 200, BODY[:100_000], Content_Length=len(BODY))


def closed_in_a_chunk(handler: BaseHTTPRequestHandler, start: int) -> None:
    handler.protocol_version = "HTTP/1.1"
    send(handler, 200, b"186a0\r\n" + BODY[:50_000], Content_Length=None, Transfer_Encoding="chunked")
    handler.close_connection = True


def without_length(handler: BaseHTTPRequestHandler, start: int) -> None:
    send(handler, 200, BODY[:100_000], Content_Length=None)


def sign_in(handler: BaseHTTPRequestHandler, start: int) -> None:
    send(handler, 200, PAGE, Content_Type="text/html")


def ignores_ranges(handler: BaseHTTPRequestHandler, start: int) -> None:
    send(handler, 200, BODY)


def another_range(handler: BaseHTTPRequestHandler, start: int) -> None:
    send(handler, 206, BODY[5:], Content_Range=f"bytes 5-{len(BODY) - 1}/{len(BODY)}")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("REPLICATIONS_CACHE", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    for name in ("REPLICATIONS_DATA", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    started = Server()
    yield started
    started.server.shutdown()
    started.server.server_close()


def source(server: Server) -> DataSource:
    return DataSource(
        name="play",
        splits={"all": 1},
        licence="",
        citation="",
        address=server.address,
        file="text/play.txt",
        fingerprints={"all": FINGERPRINT},
    )


def text_of(server: Server) -> str:
    return str(load(source(server), "all")[0][0]["text"])


def test_a_file_is_fetched_once(server: Server) -> None:
    server.answers = [whole]
    assert text_of(server) == text_of(server) == TEXT
    assert server.requests == [None]


def test_a_connection_closed_early_is_an_error_and_the_next_call_continues(server: Server) -> None:
    server.answers = [closed_early, whole]
    with pytest.raises(DataError, match=r"closed after 100,000 of 400,000 bytes; .*data fetch play"):
        text_of(server)
    assert text_of(server) == TEXT
    assert server.requests == [None, "bytes=100000-"]


def test_a_chunk_cut_short_is_an_error_and_the_next_call_fetches_the_file(server: Server) -> None:
    server.answers = [closed_in_a_chunk, whole]
    with pytest.raises(DataError, match=r"play could not be fetched from .*the answer is damaged"):
        text_of(server)
    assert text_of(server) == TEXT


@pytest.mark.parametrize("answer", [sign_in, without_length], ids=["sign-in-page", "cut-off-without-a-length"])
def test_other_content_is_not_kept(server: Server, tmp_path: Path, answer: Answer) -> None:
    server.answers = [answer, whole]
    with pytest.raises(DataError, match=r"answered with something else than play, which was not kept"):
        text_of(server)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"] == []
    assert text_of(server) == TEXT


@pytest.mark.parametrize(
    ("part", "answer"),
    [
        (BODY, whole),
        (BODY + b"more", whole),
        (PAGE, whole),
        (BODY[:1000], ignores_ranges),
    ],
    ids=["whole-already", "longer-than-the-file", "of-something-else", "server-without-ranges"],
)
def test_a_part_that_is_there_is_completed_or_replaced(server: Server, tmp_path: Path, part: bytes, answer: Answer) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "play.txt.part").write_bytes(part)
    server.answers = [answer]
    assert text_of(server) == TEXT


def test_a_range_that_was_not_asked_for_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    part = tmp_path / "text" / "play.txt.part"
    part.write_bytes(BODY[:1000])
    server.answers = [another_range]
    with pytest.raises(DataError, match=r"another part of the file than was asked for; remove .*play.txt.part"):
        text_of(server)
    assert part.read_bytes() == BODY[:1000]


def test_a_damaged_file_of_the_cache_is_fetched_again(server: Server, tmp_path: Path) -> None:
    server.answers = [whole]
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "play.txt").write_bytes(PAGE)
    assert text_of(server) == TEXT


@pytest.mark.parametrize("value", ["1", "on", "YES", "true"])
@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_as_the_hub_s_libraries_read_it_asks_no_network(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    server.answers = [whole]
    monkeypatch.setenv(name, value)
    with pytest.raises(DataError, match="play is not on this machine"):
        text_of(server)
    assert server.requests == []
    monkeypatch.setenv(name, "0")
    assert not downloads.offline()


def test_a_damaged_file_of_the_cache_is_named_where_it_cannot_be_fetched(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "play.txt").write_bytes(PAGE)
    with pytest.raises(DataError, match=rf"from pinned address {tmp_path}/text/play.txt is not the declared data"):
        text_of(server)


def test_every_file_that_is_fetched_has_a_fingerprint() -> None:
    for declared in sources().values():
        if declared.address:
            assert set(declared.fingerprints) == set(declared.splits), declared.name
