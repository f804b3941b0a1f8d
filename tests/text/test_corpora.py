"""Texts from files, from folders, and by name."""

import hashlib
import os
from pathlib import Path

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archscout.errors import InputError
from archscout.text import CORPORA, EOS, load_corpus


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refuse_to_read(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Make one file unreadable, also for the superuser."""
    read_bytes = Path.read_bytes

    def guarded(path: Path) -> bytes:
        if path.name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", guarded)


@pytest.fixture
def home_without_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's data folder on a fresh machine."""
    folder = tmp_path / "home"
    monkeypatch.delenv("ARCHSCOUT_DATA", raising=False)
    monkeypatch.setattr(platformdirs, "user_data_dir", lambda name: str(folder / name))
    return folder / "archscout"


# Tokens


def test_each_line_is_split_on_whitespace_and_closed_by_eos(tmp_path: Path) -> None:
    corpus = load_corpus(write(tmp_path / "a.txt", " the  cat\tsat \n\non the mat"))
    assert corpus.tokens() == ["the", "cat", "sat", EOS, EOS, "on", "the", "mat", EOS]


def test_a_line_ends_at_universal_newlines_and_nowhere_else(tmp_path: Path) -> None:
    text = "a\r\nb\rc\nd\x0be\x0cf\x1cg\x85h\u2028i\u2029j"
    corpus = load_corpus(write(tmp_path / "a.txt", text))
    assert corpus.tokens() == ["a", EOS, "b", EOS, "c", EOS, *"defghij", EOS]


@given(st.text(st.sampled_from("ab \t\n\r\x0b\x0c\x1c\x85\u2028\ufeff\u00e9\U0001f600")))
def test_lines_are_those_of_python_reading_the_file(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = write(tmp_path_factory.mktemp("lines") / "a.txt", "two words " + text)
    with path.open(encoding="utf-8") as file:
        expected = [token for line in file for token in [*line.split(), EOS]]
    assert load_corpus(path).tokens() == expected


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    corpus = load_corpus(write(tmp_path / "a.txt", b"\xef\xbb\xbfa b\n"))
    assert corpus.tokens() == ["a", "b", EOS]


def test_wikitext_2_test_text_has_the_published_counts(shared: Path) -> None:
    corpus = load_corpus(shared / "text" / "wikitext-2" / "test.txt")
    assert len(corpus.tokens()) == 245_569
    assert len(corpus.vocabulary()) == 14_143


# Files


def test_a_file_is_one_text_that_records_where_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.txt", "a b\n")
    monkeypatch.chdir(tmp_path)
    corpus = load_corpus("a.txt")
    assert corpus.name == "a.txt"
    assert list(corpus.splits) == ["all"]
    assert corpus.sources == (str(tmp_path / "a.txt"),)
    assert corpus.sha256 == hashlib.sha256(b"a b\n").hexdigest()


def test_several_files_are_one_text_in_the_order_given(tmp_path: Path) -> None:
    one = write(tmp_path / "1.txt", "a b")
    two = write(tmp_path / "2.txt", b"\xef\xbb\xbfc")
    corpus = load_corpus([two, str(one)])
    assert corpus.name == "2.txt and 1 more"
    assert corpus.tokens() == ["c", EOS, "a", "b", EOS]
    assert corpus.sources == (str(two), str(one))
    assert corpus.sha256 != load_corpus([one, two]).sha256


def test_a_list_of_one_source_is_that_source(tmp_path: Path) -> None:
    write(tmp_path / "folder" / "test.txt", "a b")
    assert load_corpus([tmp_path / "folder"]) == load_corpus(tmp_path / "folder")


# Folders


@pytest.mark.parametrize(
    ("train", "valid", "test"),
    [
        ("train.txt", "valid.txt", "test.txt"),
        ("ptb.train.txt", "ptb.val.txt", "ptb.test.txt"),
        ("wiki.train.tokens", "wiki.validation.tokens", "wiki.test.tokens"),
    ],
)
def test_a_folder_with_parts_is_a_corpus_with_splits(
    tmp_path: Path, train: str, valid: str, test: str
) -> None:
    write(tmp_path / test, "e f\n")
    write(tmp_path / train, "a b\n")
    write(tmp_path / valid, "c d\n")
    write(tmp_path / "README.md", "not part of it\n")
    corpus = load_corpus(tmp_path)
    assert corpus.name == tmp_path.name
    assert list(corpus.splits) == ["train", "valid", "test"]
    assert corpus.tokens("train") == ["a", "b", EOS]
    assert corpus.tokens("valid") == ["c", "d", EOS]
    assert corpus.tokens() == corpus.tokens("test") == ["e", "f", EOS]
    assert corpus.vocabulary().tokens == ("a", "b", EOS, "c", "d", "e", "f")
    assert corpus.vocabulary(limit=3).tokens == ("a", EOS, "<unk>")
    assert corpus.sources == tuple(str(tmp_path / name) for name in (train, valid, test))
    content = b"a b\n" + b"c d\n" + b"e f\n"
    assert corpus.sha256 == hashlib.sha256(content).hexdigest()


def test_a_folder_may_hold_some_of_the_parts_only(tmp_path: Path) -> None:
    write(tmp_path / "test.txt", "a b\n")
    write(tmp_path / "valid.txt", "c d\n")
    corpus = load_corpus(tmp_path)
    assert list(corpus.splits) == ["valid", "test"]
    assert corpus.vocabulary().tokens == ("c", "d", EOS, "a", "b")


def test_the_character_corpus_beside_ptb_is_not_mistaken_for_it(tmp_path: Path) -> None:
    write(tmp_path / "ptb.test.txt", "a b\n")
    write(tmp_path / "ptb.char.test.txt", "a _ b\n")
    assert load_corpus(tmp_path).tokens() == ["a", "b", EOS]


def test_any_other_folder_is_one_text_of_its_texts_in_sorted_order(tmp_path: Path) -> None:
    write(tmp_path / "b.txt", "three\n")
    write(tmp_path / "a" / "z.md", "two\n")
    write(tmp_path / "a" / "b" / "y.txt", "one\n")
    write(tmp_path / "c.py", "no text\n")
    write(tmp_path / "empty.txt", "")
    corpus = load_corpus(tmp_path)
    assert list(corpus.splits) == ["all"]
    assert corpus.tokens() == ["one", EOS, "two", EOS, "three", EOS]
    assert [Path(source).name for source in corpus.sources] == [
        "y.txt",
        "z.md",
        "b.txt",
        "empty.txt",
    ]


# Names


def test_python_docs_is_english_prose_that_is_always_there(home_without_data: Path) -> None:
    assert not home_without_data.exists()
    corpus = load_corpus("python-docs")
    assert corpus.name == "python-docs"
    assert corpus.sources == ("python-docs",)
    assert len(corpus.tokens()) > 50_000
    assert {"the", "statement", "object", EOS} <= set(corpus.tokens())
    assert corpus == load_corpus("python-docs")


@pytest.mark.parametrize("below", ["wikitext-2", "text/wikitext-2"])
@pytest.mark.parametrize("given_by", ["argument", "environment", "platform"])
def test_a_name_is_looked_up_below_the_data_folder(
    tmp_path: Path,
    home_without_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    below: str,
    given_by: str,
) -> None:
    data = home_without_data if given_by == "platform" else tmp_path / "data"
    write(data / below / "test.txt", "a b\n")
    if given_by == "environment":
        monkeypatch.setenv("ARCHSCOUT_DATA", str(data))
    corpus = load_corpus("wikitext-2", data_dir=data if given_by == "argument" else None)
    assert corpus.name == "wikitext-2"
    assert corpus.tokens() == ["a", "b", EOS]


def test_a_name_wins_over_a_folder_called_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "data" / "ptb" / "test.txt", "by name\n")
    write(tmp_path / "ptb" / "test.txt", "by path\n")
    monkeypatch.chdir(tmp_path)
    assert load_corpus("ptb", data_dir=tmp_path / "data").tokens() == ["by", "name", EOS]
    assert load_corpus(f".{os.sep}ptb").tokens() == ["by", "path", EOS]


def test_a_name_that_is_absent_says_where_it_was_looked_for(home_without_data: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_corpus("ptb")
    message = str(caught.value)
    assert repr(str(home_without_data / "ptb")) in message
    assert repr(str(home_without_data / "text" / "ptb")) in message
    assert "put its train.txt, valid.txt and test.txt" in message
    assert "ARCHSCOUT_DATA" in message
    assert message.count("\n") <= 1


def test_every_known_corpus_has_a_description_and_a_licence() -> None:
    assert set(CORPORA) == {"python-docs", "wikitext-2", "ptb"}
    assert all(known.description and known.licence for known in CORPORA.values())


# Mistakes


@pytest.mark.parametrize(
    ("misspelt", "nearest"),
    [("wikitext2", "wikitext-2"), ("PTB", "ptb"), ("python_docs", "python-docs")],
)
def test_a_misspelt_name_gets_the_nearest_known_one(misspelt: str, nearest: str) -> None:
    with pytest.raises(InputError, match=rf"'{misspelt}'.*did you mean '{nearest}'\?\naccepted"):
        load_corpus(misspelt)


def test_a_missing_path_is_named_with_what_is_accepted(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.txt'.*\naccepted is a text file.*python-docs"):
        load_corpus(tmp_path / "absent.txt")


@pytest.mark.parametrize("source", ["", [], ["a.txt", ""]], ids=repr)
def test_a_source_that_names_nothing_is_refused(source: str | list[str]) -> None:
    with pytest.raises(InputError, match="names no text; accepted is"):
        load_corpus(source)


def test_a_path_that_no_system_accepts_is_refused() -> None:
    with pytest.raises(InputError, match="cannot read"):
        load_corpus("a\0b")
    with pytest.raises(InputError, match="cannot read"):
        load_corpus("a" * 5000)


def test_a_file_below_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*Not a directory"):
        load_corpus(write(tmp_path / "a.txt", "a b") / "b.txt")


def test_a_missing_file_or_a_folder_among_several_files_is_named(tmp_path: Path) -> None:
    good = write(tmp_path / "a.txt", "a b")
    with pytest.raises(InputError, match=r"absent\.txt': No such file"):
        load_corpus([good, tmp_path / "absent.txt"])
    with pytest.raises(InputError, match=f"cannot read the text {str(tmp_path)!r}"):
        load_corpus([good, tmp_path])


def test_a_file_without_permission_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "test.txt", "a b")
    refuse_to_read(monkeypatch, "test.txt")
    for source in (tmp_path, tmp_path / "test.txt"):
        with pytest.raises(InputError, match=r"test\.txt': Permission denied"):
            load_corpus(source)


@pytest.mark.parametrize("closed", [".", "below"])
def test_a_folder_without_permission_is_named(tmp_path: Path, closed: str) -> None:
    write(tmp_path / "a.txt", "a b")
    folder = tmp_path / closed
    folder.mkdir(exist_ok=True)
    folder.chmod(0)
    if os.access(folder, os.R_OK):
        pytest.skip("no permission keeps this user from reading a folder")
    try:
        with pytest.raises(InputError, match="Permission denied"):
            load_corpus(tmp_path)
    finally:
        folder.chmod(0o700)


def test_a_folder_without_a_text_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "code.py", "pass")
    with pytest.raises(InputError, match=r"holds no text: accepted are train\.txt"):
        load_corpus(tmp_path)


def test_two_files_for_one_split_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "val.txt", "a b")
    write(tmp_path / "valid.txt", "a b")
    with pytest.raises(InputError, match=r"two files for its valid split, 'val.txt' and 'valid"):
        load_corpus(tmp_path)


@pytest.mark.parametrize(
    ("content", "byte", "offset"),
    [
        (b"a b\0c", "0x00", 3),
        (b"a \xff b", "0xff", 2),
        (b"\xef\xbb\xbfa b\xe9 c", "0xe9", 6),
        ("a b".encode("utf-16-le"), "0x00", 1),
        (b"a b \xe2\x82", "0xe2", 4),
    ],
    ids=["NUL", "not UTF-8", "after a byte-order mark", "UTF-16", "cut short"],
)
def test_a_binary_file_is_named_with_the_offset(
    tmp_path: Path, content: bytes, byte: str, offset: int
) -> None:
    path = write(tmp_path / "binary.txt", content)
    with pytest.raises(InputError, match=rf"binary\.txt'.*byte {byte} at offset {offset};"):
        load_corpus(path)
    with pytest.raises(InputError, match=rf"binary\.txt'.*byte {byte} at offset {offset};"):
        load_corpus(tmp_path)


@pytest.mark.parametrize("content", ["", "\n \n\t\n", "\ufeff"], ids=["none", "blank", "mark"])
def test_an_empty_text_is_named(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match=r"empty\.txt' is empty"):
        load_corpus(write(tmp_path / "empty.txt", content))


def test_an_empty_split_is_named(tmp_path: Path) -> None:
    write(tmp_path / "train.txt", "a b")
    write(tmp_path / "test.txt", "")
    with pytest.raises(InputError, match=r"test\.txt' is empty"):
        load_corpus(tmp_path)


def test_a_text_of_one_distinct_token_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "one.txt", "ha ha\nha\n")
    with pytest.raises(InputError, match=r"nothing to learn from one token.*one\.txt'.*'ha'"):
        load_corpus(path)
    with pytest.raises(InputError, match=r"one\.txt' and 1 more holds only 'ha'"):
        load_corpus([path, path])


def test_an_unknown_split_is_refused_with_those_that_are_there(tmp_path: Path) -> None:
    write(tmp_path / "train.txt", "a b")
    write(tmp_path / "valid.txt", "a b")
    corpus = load_corpus(tmp_path)
    for split in ("dev", None):
        with pytest.raises(InputError, match=f"no split '{split or 'test'}'.*: train, valid$"):
            corpus.tokens(split)
    with pytest.raises(InputError, match=r"no split 'test'.*: all$"):
        load_corpus(tmp_path / "train.txt").tokens("test")
