#!/usr/bin/env bash
# Training a WordPiece on the same text gives another vocabulary each time; training BPE does not.
#
# With tokenizers 0.23.3 four trainings of a WordPiece of 2,000 pieces on one text, each in a process
# of its own, give four vocabularies: not only other ids, but other pieces. BPE and WordLevel give one.
# The trainer has no seed, and TOKENIZERS_PARALLELISM=false and RAYON_NUM_THREADS=1 change nothing.
# The first letters of words and the same letters within them are pieces of their own in a WordPiece,
# and it seems that these are numbered in the order of a hash table, by which ties between equally
# frequent pairs are then broken. So two BERTs that were trained on one text with "the same"
# tokenizer do not have one, and neither losses nor scores of theirs compare to the last digits.
#
# Output seen (the text is the standard library's help topics):
#   tokenizers 0.23.3, four trainings: WordPiece 4 vocabularies, 1,997 pieces in all of them
#   BPE 1, WordLevel 1
# The pieces that all of them have differ by some between runs.
#
# Exits with 0 while this is so, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'tokenizers==0.23.3'
cat > "$folder/train.py" <<'PYTHON'
import json
import sys
from pydoc_data.topics import topics

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

kinds = {
    "WordPiece": (models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer),
    "BPE": (models.BPE(unk_token="[UNK]"), trainers.BpeTrainer),
    "WordLevel": (models.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer),
}
model, trainer = kinds[sys.argv[1]]
tokenizer = Tokenizer(model)
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
settings = trainer(vocab_size=2000, special_tokens=["[UNK]"], show_progress=False)
tokenizer.train_from_iterator(topics.values(), settings)
print(json.dumps(sorted(tokenizer.get_vocab().items())))
PYTHON
export TOKENIZERS_PARALLELISM=false RAYON_NUM_THREADS=1
for kind in WordPiece BPE WordLevel; do
    for _ in 1 2 3 4; do
        "$folder/venv/bin/python" "$folder/train.py" "$kind"
    done > "$folder/$kind"
done
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import json
import pathlib
import sys

import tokenizers


def trained(kind: str) -> list[str]:
    return pathlib.Path(sys.argv[1], kind).read_text().splitlines()


def different(kind: str) -> int:
    return len(set(trained(kind)))


pieces = [{piece for piece, _ in json.loads(line)} for line in trained("WordPiece")]
shared = set.intersection(*pieces)
print(
    f"tokenizers {tokenizers.__version__}, four trainings: "
    f"WordPiece {different('WordPiece')} vocabularies, {len(shared):,} pieces in all of them"
)
print(f"BPE {different('BPE')}, WordLevel {different('WordLevel')}")
changed = different("WordPiece") == 1 or different("BPE") > 1 or different("WordLevel") > 1
sys.exit(changed)
PYTHON
