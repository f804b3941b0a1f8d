"""Word pieces: training, files, the hub, and minibatches for encoders."""

import json
import os
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from transformers import AutoTokenizer, BertTokenizerFast

from archscout.errors import InputError
from archscout.text import (
    SPECIAL_PIECES,
    Corpus,
    Tokenizer,
    Vocabulary,
    WordPiece,
    load_corpus,
    load_vocabulary,
    tokenizer_for,
)

PIECES = [*SPECIAL_PIECES, "the", "cat", "##s", "sat", "a", ","]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus("python-docs")


@pytest.fixture(scope="module")
def wordpiece(corpus: Corpus) -> WordPiece:
    return WordPiece.train(corpus, 2000)


def words(text: str) -> Corpus:
    return Corpus("words", {"all": tuple(text.split())}, "0" * 64, ("words",))


def folder_of(path: Path, pieces: list[str], **configuration: object) -> Path:
    """A published tokenizer as the older ones lie on the hub: vocab.txt and little more."""
    path.mkdir(parents=True)
    (path / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    (path / "config.json").write_text('{"model_type": "electra"}', encoding="utf-8")
    (path / "tokenizer_config.json").write_text(json.dumps(configuration), encoding="utf-8")
    return path


def decoded(wordpiece: WordPiece, text: str) -> list[str]:
    return [wordpiece.tokens[number] for number in wordpiece.encode(text)]


# Training


def test_the_special_pieces_come_first(wordpiece: WordPiece) -> None:
    assert wordpiece.tokens[:5] == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    assert [wordpiece.id_of(piece) for piece in SPECIAL_PIECES] == [0, 1, 2, 3, 4]
    assert len(wordpiece) == len(set(wordpiece.tokens)) == 2000
    assert repr(wordpiece) == "<WordPiece of 2000 pieces>"


def test_a_small_text_has_fewer_pieces_than_the_limit(corpus: Corpus) -> None:
    assert len(WordPiece.train(corpus)) < 10_000


@pytest.mark.parametrize("limit", [7, 8, 11, 60])
def test_no_limit_is_exceeded(limit: int) -> None:
    text = "the cats sat on the mats, the rats sat on the hats " * 3
    assert len(WordPiece.train(text, limit)) <= limit


def test_the_most_frequent_characters_have_pieces_and_ties_go_to_the_first() -> None:
    assert WordPiece.train("a a a c b", 8).tokens[5:] == ("a", "b", "c")
    assert WordPiece.train("a a a c b", 7).tokens[5:] == ("a", "b")
    assert WordPiece.train("ab ab", 40).tokens[5:] == ("a", "b", "##b", "ab")


@pytest.mark.parametrize("limit", [6, 0, -1, 2.5, "100"])
def test_a_limit_below_seven_or_not_whole_is_refused(limit: int) -> None:
    with pytest.raises(InputError, match=rf"limit '?{limit}'?: .*at least 7"):
        WordPiece.train("a b", limit)


@pytest.mark.parametrize("text", ["", [], "<unk> <eos>", "\x00"], ids=repr)
def test_a_text_without_words_is_refused(text: str | list[str]) -> None:
    with pytest.raises(InputError, match="text without words"):
        WordPiece.train(text)


def test_the_forms_of_a_text_are_one(tmp_path: Path) -> None:
    for split, line in (("train", "the cats sat\n"), ("valid", "the mats\n"), ("test", "cats !\n")):
        (tmp_path / f"{split}.txt").write_text(line)
    expected = WordPiece.train("the cats sat\nthe mats\ncats!\n")
    assert WordPiece.train(["the cats sat", "the mats", "cats!"]) == expected
    assert WordPiece.train(load_corpus(tmp_path)) == expected
    assert expected != WordPiece.train("the cats sat")


def test_fresh_processes_train_the_same_tokenizer_and_import_little(
    wordpiece: WordPiece, tmp_path: Path
) -> None:
    code = (
        "import sys; from archscout.text import WordPiece, load_corpus;"
        "WordPiece.train(load_corpus('python-docs'), 2000).save(sys.argv[1]);"
        "sys.exit(bool({'transformers', 'huggingface_hub'} & sys.modules.keys()))"
    )
    settings = (
        {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1", "PYTHONHASHSEED": "1"},
        {"TOKENIZERS_PARALLELISM": "true", "RAYON_NUM_THREADS": "5", "PYTHONHASHSEED": "2"},
    )
    started = []
    for number, changes in enumerate(settings):
        path = tmp_path / f"{number}.json"
        command = [sys.executable, "-c", code, str(path)]
        started.append((path, subprocess.Popen(command, env=os.environ | changes)))
    for path, process in started:
        assert process.wait(timeout=120) == 0
        assert WordPiece.load(path) == wordpiece


# Pieces


def test_pieces_are_those_of_transformers_own_tokenizer(
    wordpiece: WordPiece, corpus: Corpus
) -> None:
    own = BertTokenizerFast(vocab={piece: i for i, piece in enumerate(wordpiece.tokens)})
    text = " ".join(corpus.tokens()[:20_000]).replace("<eos>", "\n")
    for sample in (text, "Ünïcode naïve 漢字 don't", "\u2603 snow [MASK]s, \u00a0x\u200by"):
        expected = own(sample, add_special_tokens=False)["input_ids"]
        assert wordpiece.encode(sample).tolist() == expected


def test_pieces_spell_the_words(wordpiece: WordPiece) -> None:
    assert decoded(wordpiece, "Statements") == ["statements"]
    pieces = decoded(wordpiece, "unstatementable")
    assert len(pieces) > 1
    assert pieces[0] + "".join(piece.removeprefix("##") for piece in pieces[1:]) == (
        "unstatementable"
    )


def test_words_in_any_form_have_the_same_ids(wordpiece: WordPiece) -> None:
    ids = wordpiece.encode("the statement\nis  true")
    assert ids.dtype == torch.long
    assert torch.equal(ids, wordpiece.encode(["the", "statement", "<eos>", "is", "true", "<eos>"]))
    assert wordpiece.encode("").shape == wordpiece.encode([]).shape == (0,)
    assert wordpiece.encode("").dtype == torch.long


def test_unknown_characters_and_the_corpus_mark_are_one_unknown_piece(
    wordpiece: WordPiece,
) -> None:
    assert decoded(wordpiece, "the \u2603x <unk> (<unk>)") == [
        *("the", "[UNK]", "[UNK]", "(", "[UNK]", ")"),
    ]
    assert not any("unk" in piece for piece in WordPiece.train("a <unk> <unk> b").tokens[5:])


def test_a_piece_that_is_not_there_is_named(wordpiece: WordPiece) -> None:
    with pytest.raises(InputError, match="'zebra' is none of the 2000 pieces"):
        wordpiece.id_of("zebra")


# Minibatches


@pytest.mark.parametrize(
    ("sequence_length", "batch_size", "index"), [(3, 1, 0), (70, 50, 0), (12, 7, 3)]
)
def test_each_input_is_a_stretch_of_pieces_between_cls_and_sep(
    wordpiece: WordPiece, corpus: Corpus, sequence_length: int, batch_size: int, index: int
) -> None:
    batch = wordpiece.minibatch(corpus, "all", sequence_length, batch_size, index)
    assert batch.shape == (sequence_length, batch_size)
    assert batch.dtype == torch.long
    ids = wordpiece.encode(corpus.tokens("all")).tolist()
    rows = sequence_length - 2
    for b in range(batch_size):
        first = b * (len(ids) // batch_size) + index * rows
        assert batch[:, b].tolist() == [2, *ids[first : first + rows], 3]


def test_words_are_cut_as_published(corpus: Corpus) -> None:
    vocabulary = corpus.vocabulary()
    batch = vocabulary.minibatch(corpus, None, 35, 20, 2)
    length = len(corpus.tokens()) // 20
    expected = corpus.tokens()[length + 70 : length + 105]
    assert vocabulary.decode(batch[:, 1]) == expected


@pytest.mark.parametrize("length", [2, 0, -1, 3.5])
def test_a_sequence_without_room_for_a_piece_is_refused(length: int) -> None:
    with pytest.raises(InputError, match=rf"sequence length {length}: .*at least 3, as \[CLS\]"):
        WordPiece.train("a b").minibatch(words("a b"), None, length, 1)


def test_one_piece_too_few_is_refused_with_the_number_needed() -> None:
    wordpiece = WordPiece.train("a b")
    assert wordpiece.minibatch(words("a b a b"), None, 4, 2).tolist() == [
        *([2, 2], [5, 5], [6, 6], [3, 3]),
    ]
    with pytest.raises(InputError, match=r"has 3 pieces.*length 4 and .* needs 4;\ntake a"):
        wordpiece.minibatch(words("a b a <eos>"), None, 4, 2)
    with pytest.raises(InputError, match="no split 'dev'"):
        wordpiece.minibatch(words("a b"), "dev", 4, 2)


# Files


def test_loading_undoes_saving(wordpiece: WordPiece, tmp_path: Path) -> None:
    wordpiece.save(tmp_path / "w.json")
    for loaded in (WordPiece.load(tmp_path / "w.json"), load_vocabulary(tmp_path / "w.json")):
        assert loaded == wordpiece
        assert loaded.tokens == wordpiece.tokens
    vocabulary = Vocabulary(("a", "b"))
    vocabulary.save(tmp_path / "v.json")
    assert load_vocabulary(tmp_path / "v.json") == vocabulary


def test_both_kinds_write_what_transformers_loads(wordpiece: WordPiece, tmp_path: Path) -> None:
    kinds: dict[str, Tokenizer] = {"w": wordpiece, "v": Vocabulary(("a", "b", "<unk>", "<eos>"))}
    for name, tokenizer in kinds.items():
        tokenizer.save_pretrained(tmp_path / "made" / name)
        loaded = AutoTokenizer.from_pretrained(tmp_path / "made" / name)
        assert tuple(loaded.convert_ids_to_tokens(range(len(tokenizer)))) == tokenizer.tokens
    assert loaded("b zebra")["input_ids"] == [1, 2]


@pytest.mark.parametrize("model_type", [None, "electra"])
def test_the_written_wordpiece_frames_pads_and_truncates(
    wordpiece: WordPiece, tmp_path: Path, model_type: str | None
) -> None:
    wordpiece.save_pretrained(tmp_path)
    if model_type:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.model_max_length == 512
    assert loaded.all_special_ids == [1, 3, 0, 2, 4]
    the, statement = wordpiece.encode("the statement").tolist()
    batch = loaded(["the", "the statement"], ["statement", "the"], padding=True)
    assert batch["input_ids"] == [[2, the, 3, statement, 3, 0], [2, the, statement, 3, the, 3]]
    assert batch["token_type_ids"] == [[0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 1, 1]]
    assert len(loaded("the " * 600, truncation=True)["input_ids"]) == 512
    assert WordPiece.load(tmp_path).tokens == wordpiece.tokens


def test_a_published_folder_keeps_its_text_rules(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "uncased", PIECES, do_lower_case=True)
    uncased = WordPiece.load(folder)
    assert uncased.tokens == tuple(PIECES)
    assert decoded(uncased, "The cats, <unk>") == ["the", "cat", "##s", ",", "[UNK]"]
    cased = WordPiece.load(folder_of(tmp_path / "cased", PIECES, do_lower_case=False))
    assert decoded(cased, "The cats") == ["[UNK]", "cat", "##s"]


def test_a_list_of_pieces_alone_is_a_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES))
    assert decoded(WordPiece.load(tmp_path), "The cats") == ["the", "cat", "##s"]


def test_padding_and_truncation_of_a_published_tokenizer_are_dropped(tmp_path: Path) -> None:
    plain = WordPiece.train("the cats sat")
    definition = json.loads(plain.definition)
    definition["truncation"] = {
        **{"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0}
    }
    definition["padding"] = {
        **{"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": None},
        **{"pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
    }
    assert WordPiece(json.dumps(definition)) == plain


# The hub


def test_a_name_is_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "snapshot", PIECES)
    asked = []

    def model_info(api: object, name: str, timeout: float) -> None:
        asked.append((name, timeout))

    def snapshot_download(name: str, allow_patterns: list[str], local_files_only: bool) -> str:
        assert {"vocab.txt", "tokenizer.json", "tokenizer_config.json"} <= set(allow_patterns)
        assert not local_files_only
        asked.append((name, 0))
        return str(folder)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert WordPiece.load("google/electra-small-discriminator").tokens == tuple(PIECES)
    assert asked == [("google/electra-small-discriminator", n) for n in (10, 0)]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache of the hub, which cannot be reached."""

    def model_info(*_: object, **__: object) -> None:
        raise TimeoutError("The read operation timed out")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_without_a_network_a_name_comes_from_the_cache(no_network: Path) -> None:
    repository = no_network / "models--someone--small"
    folder_of(repository / "snapshots" / ("0" * 40), PIECES)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    assert WordPiece.load("someone/small").tokens == tuple(PIECES)


@pytest.mark.parametrize("name", ["someone/small", "./absent", "a/b/c", "absent.json", "a\0b", ""])
def test_a_name_that_cannot_be_had_is_refused(no_network: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        WordPiece.load(name)
    message = str(caught.value)
    assert message.startswith(f"no tokenizer {name!r}")
    assert "TimeoutError: The read operation timed out" in message
    assert "accepted is a saved tokenizer, a folder" in message
    assert "a tokenizer is trained on the text" in message
    assert message.count("\n") == 1


# Mistakes


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({}, "neither tokenizer.json nor vocab.txt"),
        ({"config.json": "{}"}, "neither tokenizer.json nor vocab.txt"),
        ({"tokenizer.json": "{"}, "no tokenizer that transformers reads"),
        ({"vocab.txt": "the\na\n"}, r"no piece \[PAD\] or \[UNK\].*accepted is a WordPiece"),
        ({"vocab.txt": "\n".join(PIECES[:4])}, r"no piece \[MASK\]; accepted is a WordPiece"),
    ],
    ids=["empty", "model only", "damaged", "words", "no mask"],
)
def test_a_folder_that_is_no_wordpiece_is_refused(
    tmp_path: Path, files: dict[str, str], complaint: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=f"{tmp_path.name}'.*{complaint}"):
        WordPiece.load(tmp_path)


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    Vocabulary(("a", "b", "<unk>")).save_pretrained(tmp_path)
    for place in (tmp_path, tmp_path / "tokenizer.json"):
        with pytest.raises(InputError, match="its model is WordLevel; accepted is a WordPiece"):
            WordPiece.load(place)


def test_ids_with_gaps_and_another_unknown_piece_are_refused() -> None:
    definition = json.loads(WordPiece.train("a b").definition)
    definition["model"]["unk_token"] = "a"
    with pytest.raises(InputError, match="its unknown piece is 'a'"):
        WordPiece(json.dumps(definition))
    definition["model"]["unk_token"] = "[UNK]"
    definition["model"]["vocab"]["b"] = 90
    with pytest.raises(InputError, match="7 pieces that run up to 90; accepted"):
        WordPiece(json.dumps(definition))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b'{"model": ', "is not JSON"),
        (b'{"a": "\xff"}', "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"3", "holds 3; accepted is a JSON list of distinct words or"),
        (b'["a", "a"]', "'a' stands at id 0 and at id 1"),
        (b'{"model": {}}', "no tokenizer .*accepted is a WordPiece"),
    ],
    ids=["cut short", "not UTF-8", "too deep", "number", "twice", "object"],
)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"broken\.json'.*{complaint}"):
        load_vocabulary(path)


def test_places_that_cannot_be_read_or_written_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"latin\.json' is not UTF-8"):
        WordPiece.load(tmp_path / "latin.json")
    with pytest.raises(InputError, match=r"cannot read .*absent\.json'"):
        load_vocabulary(tmp_path / "absent.json")
    wordpiece = WordPiece.train("a b")
    with pytest.raises(InputError, match=r"cannot write .*absent.*w\.json'"):
        wordpiece.save(tmp_path / "absent" / "w.json")
    for tokenizer in (wordpiece, Vocabulary(("a",))):
        with pytest.raises(InputError, match=r"cannot write .*latin\.json'"):
            tokenizer.save_pretrained(tmp_path / "latin.json")


# Kinds


def test_a_kind_makes_its_tokenizer(wordpiece: WordPiece, corpus: Corpus, tmp_path: Path) -> None:
    assert tokenizer_for("words", corpus, 50) == corpus.vocabulary(50)
    assert tokenizer_for("wordpiece", corpus, 2000) == wordpiece
    assert tokenizer_for("wordpiece", words("a b")) == WordPiece.train("a b")
    wordpiece.save(tmp_path / "w.json")
    assert tokenizer_for("wordpiece", corpus, source=tmp_path / "w.json") == wordpiece


def test_a_kind_and_its_options_must_agree(corpus: Corpus) -> None:
    with pytest.raises(InputError, match="'bytes': accepted are words, wordpiece"):
        tokenizer_for("bytes", corpus)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="tokenizer 'x': recurrent networks read the words"):
        tokenizer_for("words", corpus, source="x")
    with pytest.raises(InputError, match="limit 9 for the tokenizer 'x'"):
        tokenizer_for("wordpiece", corpus, 9, "x")
