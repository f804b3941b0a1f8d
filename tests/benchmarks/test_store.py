"""Published files: added, downloaded, found and verified."""

import dataclasses
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from archscout.benchmarks import packing
from archscout.benchmarks.catalogue import FILES, SOURCES, PublishedFile, checksums, select
from archscout.benchmarks.downloading import fetch
from archscout.benchmarks.store import Change, DataFolder
from archscout.errors import InputError
from archscout.text import load_corpus

WIKITEXT_LOGS = "train_logs_wikitext-2/logs.zip"
SINGLE_LOGS = "train_logs_single_run/logs.zip"
CURVES = "BERT_benchmark_train_ablation.json"
MULTI_LOGS = "train_logs_multi_runs/logs.zip"


def zipped(members: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            # Without a date: two processes that test at once must make the same names of tests.
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def logs(data: str, note: str = "") -> bytes:
    log = {"data": data, "recepie": "{}", "note": note}
    return zipped({"__MACOSX/._log.json": "?", "logs/log_stats_model_1.json": json.dumps(log)})


def table(file: PublishedFile, row: str = "1") -> bytes:
    return f"\ufeff{','.join(file.columns)},{file.name}\n{row}\n".encode()


def texts(**more: str) -> bytes:
    splits = {split: f"the {split} of news\n" for split in ("train", "valid", "test")}
    return zipped(
        {f"datasets/ptb/{split}.txt": text for split, text in splits.items()}
        | {f"datasets/wikitext-2/{split}.txt": "wiki\n" for split in splits}
        | {"datasets/ptb/ptb.char.train.txt": "c h a r s\n"}
        | more
    )


def packed(texts: Mapping[str, str]) -> bytes:
    return json.dumps(dict(texts), sort_keys=True).encode()


def made_up(file: PublishedFile) -> bytes:
    """Content of the form of a published file."""
    if file.is_folder:
        summaries = dict.fromkeys(file.summaries, "M1: 1.5\n")
        return packed(summaries | {"M1/model_config.yaml": f"name: {file.name}\n"})
    if file.suffix == ".csv":
        return table(file)
    if file.suffix == ".json":
        return json.dumps([{"id": 0}, {"id": file.name}]).encode()
    if file.suffix == ".txt":
        return f"\n = {file.name} = \n".encode()
    if file.corpus:
        return texts()
    return logs("data/wikitext-2" if "wikitext" in file.name else "data/ptb", file.name)


CONTENT = {file.name: made_up(file) for file in FILES}


@pytest.fixture
def files() -> list[PublishedFile]:
    """The catalogue, as if the made-up contents were published."""

    def published(file: PublishedFile) -> PublishedFile:
        content = CONTENT[file.name]
        if file.is_folder:  # each has one decoder here
            return dataclasses.replace(file, num_entries=min(file.num_entries, 1))
        sha256 = hashlib.sha256(content).hexdigest()
        (blob,) = checksums(content) - {sha256}
        return dataclasses.replace(file, checksum=blob if file.sha256 is None else sha256)

    return [published(file) for file in FILES]


@pytest.fixture
def folder(tmp_path: Path, files: list[PublishedFile]) -> DataFolder:
    return DataFolder(tmp_path / "data", files)


def put(file: PublishedFile, path: Path) -> Path:
    """Write a file, or a folder of files, with the content made up for it."""
    if not file.is_folder:
        return write(path, CONTENT[file.name])
    packing.unpack(CONTENT[file.name], path)
    return path


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def checkouts(tmp_path: Path) -> Path:
    """A folder with all that was published and more."""
    for file in FILES:
        put(file, tmp_path / "upstream" / file.path)
    write(tmp_path / "upstream" / "README.md", b"read me")
    write(tmp_path / "upstream" / "ptb" / "train.txt", b"another corpus")
    write(tmp_path / "upstream" / ".git" / "RNN_results.csv", b"git's own")
    return tmp_path / "upstream"


def done(changes: list[Change]) -> dict[str, str]:
    return {change.stored.file.name: change.action for change in changes}


def everything_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


# The catalogue


def test_names_and_places_are_unique_and_addresses_are_of_a_commit() -> None:
    assert len({file.name for file in FILES}) == len({file.path for file in FILES}) == 22
    for file in FILES:
        source = SOURCES[file.source]
        assert file.licence == source.licence
        if file.is_folder:
            page = f"https://github.com/{source.repository}/tree/{source.commit}/"
            assert file.url == f"{page}{source.root}{file.name}"
            raw = f"https://raw.githubusercontent.com/{source.repository}/{source.commit}/"
            assert file.url_of("a.yaml") == f"{raw}{source.root}{file.name}/a.yaml"
            continue
        assert (file.sha256 is None) != (file.git_blob is None)
        start = f"https://raw.githubusercontent.com/{source.repository}/{source.commit}/"
        assert file.url.startswith(start)
        assert file.url.endswith(f"/{file.basename}")


def test_gits_name_of_a_content_is_gits() -> None:
    assert "ce013625030ba8dba906f756967f9e9ca394464a" in checksums(b"hello\n")


def test_files_are_selected_by_name_source_and_corpus() -> None:
    assert [file.name for file in select(["ptb", "datasets.zip"], FILES)] == ["datasets.zip"]
    assert len(select(["wikitext-2", "wikitext-2/test.txt"], FILES)) == 3
    with pytest.raises(InputError, match=r"'RNN_result\.csv'; did you mean RNN_results\.csv\?"):
        select(["RNN_result.csv"], FILES)


# Finding


def test_the_default_folder_is_that_of_the_text_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHSCOUT_DATA", str(tmp_path))
    assert DataFolder().path == tmp_path
    assert DataFolder(tmp_path / "other").path == tmp_path / "other"


def test_an_absent_file_says_how_to_get_it(folder: DataFolder) -> None:
    with pytest.raises(InputError) as caught:
        folder.find("RNN_results.csv")
    message = str(caught.value)
    assert f"RNN_results.csv is not in the data folder {folder.path}" in message
    assert "`archscout data download RNN_results.csv`" in message
    assert "`archscout data add PATH`" in message
    assert "--data-dir" in message
    assert "ARCHSCOUT_DATA" in message
    assert message.count("\n") <= 1
    assert not folder.holds("RNN_results.csv")


def test_a_name_that_nobody_published_is_refused(folder: DataFolder) -> None:
    with pytest.raises(InputError, match="no published file 'x'"):
        folder.holds("x")
    with pytest.raises(InputError, match="'wikitext-2' is no single published file"):
        folder.find("wikitext-2")


def test_what_is_read_is_what_is_hashed(folder: DataFolder) -> None:
    place = write(folder.path / "training-free-nas/data/RNN_results.csv", b"x")
    content, stored = folder.read("RNN_results.csv")
    assert (content, stored.size, stored.modified, stored.path) == (b"x", 1, True, place)
    write(place, CONTENT["RNN_results.csv"])
    assert not folder.find("RNN_results.csv").modified


def test_a_file_that_cannot_be_read_is_named(folder: DataFolder) -> None:
    (folder.path / "training-free-nas/data/RNN_results.csv").mkdir(parents=True)
    with pytest.raises(InputError, match=r"cannot read .*RNN_results\.csv: Is a directory"):
        folder.find("RNN_results.csv")


def test_the_reference_checkouts_are_a_data_folder(shared: Path) -> None:
    states = {s.file.name: s.state for s in DataFolder(shared / "upstream").status()}
    assert states["RNN_batch_ablation.csv"] == "present"
    assert states["RNN_results.csv"] == "modified"
    assert states["datasets.zip"] == "absent"
    assert all(v.problem is None for v in DataFolder(shared / "upstream").verify())


# Adding


def test_checkouts_are_added_whole(folder: DataFolder, checkouts: Path) -> None:
    changes = folder.add(checkouts)
    assert done(changes) == dict.fromkeys(CONTENT, "added")
    assert {s.state for s in folder.status()} == {"present"}
    texts = {f"ptb/{split}.txt" for split in ("train", "valid", "test")}
    folders = {
        f"{file.path}/{name}"
        for file in FILES
        if file.is_folder
        for name in (*file.summaries, "M1/model_config.yaml")
    }
    files = {file.path for file in FILES if not file.is_folder}
    assert set(everything_below(folder.path)) == files | folders | texts
    assert all(v.problem is None and not v.stored.modified for v in folder.verify())


def test_adding_again_changes_nothing(folder: DataFolder, checkouts: Path) -> None:
    folder.add(checkouts)
    before = everything_below(folder.path)
    assert set(done(folder.add(checkouts)).values()) == {"present"}
    assert everything_below(folder.path) == before


def test_texts_are_found_by_name_once_added(folder: DataFolder, checkouts: Path) -> None:
    (archive,) = [c for c in folder.add(checkouts) if c.unpacked]
    assert archive.stored.file.name == "datasets.zip"
    assert load_corpus("ptb", folder.path).tokens()[:3] == ["the", "test", "of"]
    assert load_corpus("wikitext-2", folder.path).names() == ("train", "valid", "test")
    assert [path.name for path in archive.unpacked] == ["train.txt", "valid.txt", "test.txt"]


def test_a_text_that_is_gone_is_unpacked_again(folder: DataFolder, checkouts: Path) -> None:
    folder.add(checkouts)
    before = everything_below(folder.path)
    (folder.path / "ptb" / "valid.txt").unlink()
    folder.add(checkouts / "nas-bench-nlp-release")
    assert everything_below(folder.path) == before


def test_no_member_of_an_archive_decides_where_it_is_written(
    folder: DataFolder, tmp_path: Path
) -> None:
    members = {f"../../ptb/{split}.txt": f"{split}\n" for split in ("train", "valid", "test")}
    folder.add(write(tmp_path / "given" / "datasets.zip", zipped(members)))
    assert everything_below(tmp_path / "data" / "ptb").keys() == {
        "train.txt",
        "valid.txt",
        "test.txt",
    }
    assert {path.name for path in tmp_path.iterdir()} == {"data", "given"}


def test_a_users_own_text_stays_the_only_one_of_its_split(
    folder: DataFolder, checkouts: Path
) -> None:
    write(folder.path / "ptb" / "ptb.test.txt", b"my own test\n")
    folder.add(checkouts)
    assert load_corpus("ptb", folder.path).tokens()[:3] == ["my", "own", "test"]


def test_a_file_as_published_may_have_any_name(folder: DataFolder, tmp_path: Path) -> None:
    for i, file in enumerate(file for file in FILES if not file.is_folder):
        folder.add(write(tmp_path / f"download-{i}", CONTENT[file.name]))
    states = {s.state for s in folder.status() if not s.file.is_folder}
    assert states == {"present"}


@pytest.mark.parametrize(
    ("place", "content", "name"),
    [
        ("RNN_results.csv", table(FILES[0], "2"), "RNN_results.csv"),
        ("BERT_benchmark.json", b'[{"id": 7}]', "BERT_benchmark.json"),
        ("anywhere/logs.zip", logs("data/wikitext-2", "other"), WIKITEXT_LOGS),
        ("train_logs_multi_runs/logs.zip", logs("data/ptb", "other"), MULTI_LOGS),
        ("train_logs_single_run/logs.zip", logs("data/ptb", "other"), SINGLE_LOGS),
        ("wikitext-2-v1/test.txt", b"other words\n", "wikitext-2/test.txt"),
        ("datasets.zip", texts(more="x"), "datasets.zip"),
    ],
)
def test_a_valid_file_that_differs_is_added_as_modified(
    folder: DataFolder, tmp_path: Path, place: str, content: bytes, name: str
) -> None:
    (change,) = folder.add(write(tmp_path / "given" / place, content))
    assert change.stored.file.name == name
    assert change.stored.modified
    assert folder.read(name) == (content, change.stored)
    (verified,) = folder.verify()
    assert verified.problem is None


def test_a_modified_file_gives_way_to_the_published_and_never_takes_its_place(
    folder: DataFolder, tmp_path: Path
) -> None:
    modified = write(tmp_path / "modified" / "RNN_results.csv", table(FILES[0], "2"))
    published = write(tmp_path / "published" / "RNN_results.csv", CONTENT["RNN_results.csv"])
    assert done(folder.add(modified)) == {"RNN_results.csv": "added"}
    assert done(folder.add(published)) == {"RNN_results.csv": "replaced"}
    assert done(folder.add(modified)) == {"RNN_results.csv": "kept"}
    assert folder.read("RNN_results.csv")[0] == CONTENT["RNN_results.csv"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("RNN_results.csv", b"", "it is empty"),
        ("RNN_results.csv", b"a,b\n1,2\n", "columns begin with 'a, b' instead of 'log name, "),
        ("RNN_results.csv", CONTENT["RNN_parameters.csv"][:-2] + b"9\n", "columns begin with"),
        ("RNN_results.csv", table(FILES[0]).split(b"\n")[0], "no rows"),
        ("RNN_results.csv", b"\xff\xfe", "byte 0 is not UTF-8"),
        ("BERT_benchmark.json", b'[{"id": 0}, {"id', "not valid JSON"),
        ("BERT_benchmark.json", b'{"id": 0}', "no list of entries"),
        ("BERT_benchmark.json", b'[{"id": 0}, {"name": 1}]', "entry 1 has no id"),
        ("BERT_benchmark.json", b'[{"id": 0, "scores": null}]', "entry 0 has null as scores; an "),
        ("BERT_benchmark.json", b'[{"id": 0, "scores": {"sst": {"a": 1}}}]', 'has {"a": 1} as sst'),
        (CURVES, b'[{"id": 0, "scores": {"sst": 1}}]', "has scores of step 'sst'; a whole number"),
        (CURVES, b'[{"id": 0, "scores": {"50": {"sst": "x"}}}]', 'has "x" as sst; a number is'),
        (SINGLE_LOGS, CONTENT[SINGLE_LOGS][:-30], "no whole zip archive"),
        (SINGLE_LOGS, zipped({"a.txt": "a"}), "no training logs"),
        (SINGLE_LOGS, zipped({"a.json": "[]"}), "is no training log"),
        ("datasets.zip", zipped({"a.txt": "a"}), "no texts of ptb"),
        ("wikitext-2/test.txt", b"\xff", "not UTF-8"),
    ],
)
def test_a_damaged_file_is_refused_and_nothing_replaced(
    folder: DataFolder, tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    folder.add(write(tmp_path / "given" / name, CONTENT[name]))
    before = everything_below(folder.path)
    damaged = write(tmp_path / "given" / name, content)
    with pytest.raises(InputError, match=reason) as caught:
        folder.add(damaged)
    assert str(damaged) in str(caught.value)
    assert "nothing was replaced" in str(caught.value)
    assert everything_below(folder.path) == before


def test_an_archive_with_a_damaged_member_is_refused(folder: DataFolder, tmp_path: Path) -> None:
    content = bytearray(CONTENT["datasets.zip"])
    content[50] ^= 0xFF
    with pytest.raises(InputError, match=r"datasets\.zip: .*(damaged|no whole zip)"):
        folder.add(write(tmp_path / "datasets.zip", bytes(content)))


def test_what_was_added_before_a_damaged_file_is_kept_and_told(
    folder: DataFolder, tmp_path: Path
) -> None:
    good = write(tmp_path / "a" / "RNN_results.csv", CONTENT["RNN_results.csv"])
    bad = write(tmp_path / "b" / "BERT_benchmark.json", b"[")
    with pytest.raises(InputError, match=r"JSON.*\nRNN_results\.csv before it: done, and kept"):
        folder.add(good, bad)
    assert folder.holds("RNN_results.csv")


def test_logs_that_could_be_of_two_archives_are_refused(folder: DataFolder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"keep upstream's folder name: train_logs_single_run or"):
        folder.add(write(tmp_path / "logs.zip", logs("data/ptb", "other")))


def test_archives_of_others_are_passed_over_in_folders(folder: DataFolder, tmp_path: Path) -> None:
    given = tmp_path / "given"
    write(given / "downloads" / "logs.zip", logs("python-docs"))  # of one of two, or of none
    write(given / "more" / "logs.zip", zipped({"server.log": "started"}))
    write(given / "mine" / "logs.zip", logs("text/wikitext-2/valid.txt"))  # of one's own
    write(given / "mine" / "benchmark.json", b"{}")
    with pytest.raises(InputError, match="nothing to add in"):
        folder.add(given)
    write(given / "RNN_results.csv", CONTENT["RNN_results.csv"])
    assert done(folder.add(given)) == {"RNN_results.csv": "added"}


def test_two_files_that_claim_the_same_name_are_refused(folder: DataFolder, tmp_path: Path) -> None:
    one = write(tmp_path / "a" / "RNN_results.csv", CONTENT["RNN_results.csv"])
    other = write(tmp_path / "b" / "RNN_results.csv", table(FILES[0], "2"))
    with pytest.raises(InputError, match=r"both claim to be RNN_results\.csv") as caught:
        folder.add(tmp_path)
    assert str(one) in str(caught.value)
    assert str(other) in str(caught.value)
    assert not folder.path.exists()
    write(other, CONTENT["RNN_results.csv"])
    assert done(folder.add(tmp_path)) == {"RNN_results.csv": "added"}


def test_a_folder_around_the_data_folder_can_be_added_again(
    folder: DataFolder, checkouts: Path, tmp_path: Path
) -> None:
    folder.add(checkouts)
    write(folder.path / "training-free-nas/data/RNN_results.csv", table(FILES[0], "2"))
    assert done(folder.add(tmp_path))["RNN_results.csv"] == "replaced"


def test_nothing_to_add_is_told(folder: DataFolder, tmp_path: Path) -> None:
    write(tmp_path / "ptb" / "train.txt", b"some words")
    for source in (tmp_path, tmp_path / "ptb" / "train.txt"):
        with pytest.raises(InputError, match="nothing to add in"):
            folder.add(source)
    with pytest.raises(InputError, match=r"cannot read .*absent: No such file"):
        folder.add(tmp_path / "absent")


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, files: list[PublishedFile], checkouts: Path
) -> None:
    below_a_file = write(tmp_path / "file", b"") / "data"
    with pytest.raises(InputError, match=r"cannot write to the data folder .*--data-dir"):
        DataFolder(below_a_file, files).add(checkouts)


def test_without_permission_the_folder_is_named(
    folder: DataFolder, checkouts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(InputError, match=r"cannot write to the data folder .*: Permission denied"):
        folder.add(checkouts)
    assert everything_below(folder.path) == {}


# Downloading


class Server:
    """Serves contents by path, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.cut: set[str] = set()
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path[1:])
                content = server.contents.get(self.path[1:])
                if content is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                end = len(content) // 2 if self.path[1:] in server.cut else len(content)
                self.wfile.write(content[:end])

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/{path}"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    server.contents = {file.path: CONTENT[file.name] for file in FILES if not file.is_folder}
    for file in FILES:
        if file.is_folder:
            texts = packing.members(CONTENT[file.name])
            server.contents |= {f"{file.path}/{n}": text.encode() for n, text in texts.items()}
    thread = Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.http.shutdown()
    server.http.server_close()
    thread.join()


@dataclasses.dataclass(frozen=True)
class Served(PublishedFile):
    """A file that is fetched from another address."""

    address: str = ""

    @property
    def url(self) -> str:
        return self.address

    def url_of(self, member: str) -> str:
        return f"{self.address}/{member}"


@pytest.fixture
def online(tmp_path: Path, files: list[PublishedFile], server: Server) -> DataFolder:
    """A data folder whose files are published by the server."""
    served = [Served(**vars(file), address=server.url(file.path)) for file in files]
    return DataFolder(tmp_path / "data", served)


class Bar:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.total = 0
        self.done = 0
        self.closed = False

    def update(self, n: int) -> None:
        self.done += n

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        self.closed = True


def test_everything_is_downloaded_with_progress_and_only_once(
    online: DataFolder, server: Server
) -> None:
    bars: dict[str, Bar] = {}

    def progress(file: PublishedFile) -> Bar:
        return bars.setdefault(file.name, Bar())

    assert done(online.download(progress=progress)) == dict.fromkeys(CONTENT, "downloaded")
    assert {s.state for s in online.status()} == {"present"}
    assert {name: (b.done, b.closed) for name, b in bars.items()} == {
        file.name: (len(CONTENT[file.name]), True) for file in FILES if not file.is_folder
    } | {
        file.name: (sum(map(len, packing.members(CONTENT[file.name]).values())), True)
        for file in FILES
        if file.is_folder
    }
    assert load_corpus("ptb", online.path).names() == ("train", "valid", "test")
    server.asked.clear()
    assert set(done(online.download(progress=progress)).values()) == {"present"}
    assert server.asked == []


def test_only_what_is_named_is_downloaded(online: DataFolder, server: Server) -> None:
    assert set(done(online.download(["ptb", "wikitext-2"]))) == {
        "datasets.zip",
        *(f"wikitext-2/{split}.txt" for split in ("train", "valid", "test")),
    }
    with pytest.raises(InputError, match="no published file 'ptp'"):
        online.download(["RNN_results.csv", "ptp"])
    assert len(server.asked) == 4


def test_a_modified_file_is_replaced_by_the_published(online: DataFolder) -> None:
    write(online.path / "training-free-nas/data/RNN_results.csv", b"x")
    assert done(online.download(["RNN_results.csv"])) == {"RNN_results.csv": "replaced"}
    assert not online.find("RNN_results.csv").modified


def cut(server: Server, file: PublishedFile) -> None:
    server.cut.add(file.path)


def send_another(server: Server, file: PublishedFile) -> None:
    server.contents[file.path] = b"another"


def remove(server: Server, file: PublishedFile) -> None:
    del server.contents[file.path]


@pytest.mark.parametrize("name", ["RNN_parameters.csv", SINGLE_LOGS])
@pytest.mark.parametrize(
    ("fail", "reason"),
    [
        (cut, "the connection ended before the file did"),
        (send_another, "did not send .* as published: of its 7 bytes"),
        (remove, "the server says 404 Not Found"),
    ],
)
def test_a_failed_download_leaves_nothing_and_goes_on_when_called_again(
    online: DataFolder,
    server: Server,
    name: str,
    fail: Callable[[Server, PublishedFile], None],
    reason: str,
) -> None:
    (file,) = select([name], online.files)
    fail(server, file)
    with pytest.raises(InputError, match=reason) as caught:
        online.download(["RNN_results.csv", name])
    assert file.url in str(caught.value)
    assert "RNN_results.csv before it: done, and kept" in str(caught.value)
    assert set(everything_below(online.path)) == {"training-free-nas/data/RNN_results.csv"}
    server.cut.clear()
    server.contents[file.path] = CONTENT[name]
    assert done(online.download(["RNN_results.csv", name])) == {
        "RNN_results.csv": "present",
        name: "downloaded",
    }


def test_a_folder_is_downloaded_whole_or_not_at_all(online: DataFolder, server: Server) -> None:
    (file,) = select(["random_GPT2_lm1b"], online.files)
    missing = f"{file.path}/M1/model_config.yaml"
    content = server.contents.pop(missing)
    with pytest.raises(InputError, match=r"M1/model_config\.yaml: the server says 404 Not Found"):
        online.download(["random_GPT2_lm1b"])
    assert everything_below(online.path) == {}
    server.contents[missing] = content
    assert done(online.download(["random_GPT2_lm1b"])) == {"random_GPT2_lm1b": "downloaded"}
    assert online.read("random_GPT2_lm1b")[0] == CONTENT["random_GPT2_lm1b"]


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ({}, "it has no ppl_summary.yaml"),
        ({"ppl_summary.yaml": "M1: 1\n"}, "it has no params_summary.yaml"),
        ({"ppl_summary.yaml": "- 1\n", "params_summary.yaml": "M1: 1\n"}, "holds no mapping"),
        ({"ppl_summary.yaml": "a: [\n", "params_summary.yaml": "M1: 1\n"}, "is no YAML"),
        (
            {"ppl_summary.yaml": "M1: 1\nM1: 2\n", "params_summary.yaml": "M1: 1\n"},
            "'M1' stands there twice",
        ),
        (
            {"ppl_summary.yaml": "M1: 1\n", "params_summary.yaml": "M1: 1\n"},
            "it has no M1/model_config.yaml",
        ),
    ],
)
def test_a_damaged_folder_is_refused(
    folder: DataFolder, tmp_path: Path, texts: dict[str, str], reason: str
) -> None:
    given = tmp_path / "given" / "random_GPT2_wt103"
    packing.unpack(packed({**texts, "note.yaml": "a: 1\n"}), given)
    with pytest.raises(InputError, match=f"cannot add .*{reason}"):
        folder.add(given)
    assert everything_below(folder.path) == {}


def test_a_folder_gives_way_to_a_newer_one(folder: DataFolder, tmp_path: Path) -> None:
    (file,) = select(["random_GPT2_wt103"], FILES)
    given = put(file, tmp_path / "random_GPT2_wt103")
    folder.add(given)
    (given / "M1" / "model_config.yaml").write_text("name: other\n")
    assert done(folder.add(tmp_path)) == {"random_GPT2_wt103": "replaced"}
    (verified,) = folder.verify()
    assert verified.problem is None
    assert b"other" in folder.read("random_GPT2_wt103")[0]
    (folder.path / file.path / "M1" / "model_config.yaml").unlink()
    (verified,) = folder.verify()
    assert verified.problem == "it has no M1/model_config.yaml"


def test_a_folder_that_lacks_decoders_is_modified(
    online: DataFolder, server: Server, tmp_path: Path
) -> None:
    name, entries = "random_GPT2_wt103", {"M1/model_config.yaml": "a: 1\n"}
    more = dict.fromkeys(("ppl_summary.yaml", "params_summary.yaml"), "M1: 1\nM2: 1\n")
    given = tmp_path / "given" / name
    packing.unpack(packed(more | entries | {"M2/model_config.yaml": "a: 2\n"}), given)
    assert done(online.add(given)) == {name: "added"}
    (verified,) = online.verify()
    assert (verified.stored.modified, verified.problem) == (True, None)
    assert online.find(name).modified
    assert done(online.download([name])) == {name: "replaced"}
    assert not online.find(name).modified
    assert done(online.add(given)) == {name: "kept"}
    # How many decoders are on a front is not known.
    front = tmp_path / "given" / "pareto_GPT2_lm1b_arm"
    summaries = ("ppl", "params", "latency", "memory")
    packing.unpack(
        packed({f"{each}_summary.yaml": "M1: 1\n" for each in summaries} | entries), front
    )
    online.add(front)
    assert not online.find("pareto_GPT2_lm1b_arm").modified


def test_a_folder_that_lacks_a_configuration_is_downloaded_again(
    online: DataFolder, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "random_GPT2_lm1b"
    (file,) = select([name], online.files)
    given = put(file, tmp_path / name)
    monkeypatch.chdir(given)
    assert done(online.add(".")) == {name: "added"}
    (online.path / file.path / "M1" / "model_config.yaml").unlink()
    assert done(online.download([name])) == {name: "replaced"}
    assert done(online.download([name])) == {name: "present"}


def test_a_failed_download_leaves_the_file_that_was_there(
    online: DataFolder, server: Server
) -> None:
    (file,) = select(["RNN_results.csv"], online.files)
    place = write(online.path / file.path, table(file, "2"))
    cut(server, file)
    with pytest.raises(InputError):
        online.download(["RNN_results.csv"])
    assert place.read_bytes() == table(file, "2")


def test_ctrl_c_leaves_no_part(online: DataFolder) -> None:
    class Interrupted(Bar):
        def update(self, n: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        online.download(["RNN_results.csv"], lambda file: Interrupted())
    assert everything_below(online.path) == {}


def test_a_server_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    file = Served(**vars(FILES[0]), address="http://127.0.0.1:9/RNN_results.csv")
    with pytest.raises(InputError) as caught:
        fetch(file, tmp_path / "part")
    message = str(caught.value)
    assert message.startswith(f"cannot download {file.url}: ")
    assert "Connection refused" in message
    assert "\n" not in message
    assert len(message) < 200


@pytest.mark.parametrize("name", ["/etc/escaped", "../escaped", "a/../../b", "C:/x", "..\\x", ""])
def test_what_was_packed_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    content = json.dumps({"M1/model_config.yaml": "a: 1\n", name: "b: 2\n"}).encode()
    with pytest.raises(ValueError, match="is no path below its folder"):
        packing.unpack(content, tmp_path / "folder")
    assert everything_below(tmp_path) == {}
    with pytest.raises(ValueError, match="is no path below its folder"):
        packing.place_of(name or "..")


@pytest.mark.parametrize("content", [b"[]", b'{"a.yaml": 5}'])
def test_what_holds_no_texts_is_not_unpacked(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ValueError, match="it holds no texts by their paths"):
        packing.unpack(content, tmp_path / "folder")


def test_a_file_that_is_called_as_a_folder_is_none(folder: DataFolder, tmp_path: Path) -> None:
    given = tmp_path / "random_GPT2_wt103"
    given.write_text('{"model_config.yaml": "a: 1"}')
    with pytest.raises(InputError, match="nothing to add"):
        folder.add(given)


def test_a_folder_that_is_a_link_is_replaced(folder: DataFolder, tmp_path: Path) -> None:
    (file,) = select(["random_GPT2_wt103"], FILES)
    given = put(file, tmp_path / "random_GPT2_wt103")
    folder.add(given)
    place = next(folder.path.rglob("random_GPT2_wt103"))
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    (given / "M1" / "model_config.yaml").write_text("name: other\n")
    assert done(folder.add(given)) == {"random_GPT2_wt103": "replaced"}
    assert not place.is_symlink() and (tmp_path / "elsewhere" / "M1").is_dir()
    assert [each.name for each in place.parent.iterdir()] == [place.name]
