"""A small SentencePiece model, the same as a `tokenizer.json`, and the token ids that transformers' `SiglipTokenizer` gives.

    python generate/siglip_tokenizer.py tests/files/siglip tests/golden/siglip_tokenizer.json

Needs sentencepiece, protobuf, tokenizers and transformers. The corpus is the text below; the normalisation is a part of NFKC,
compiled by SentencePiece, so that the files stay small.
"""

import io
import json
import os
import sys
import tempfile
import unicodedata
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import SiglipTokenizer
from transformers.utils import sentencepiece_model_pb2_new as proto

CORPUS = """
a photo of a cat
a photo of two dogs in the park
a photograph of the harbour at night
the quick brown fox jumps over the lazy dog
a close up of a flower with yellow petals
people walking down a street in the rain
a bowl of soup and a slice of bread on a wooden table
an old car parked in front of a red house
children playing football on the beach
a black and white picture of a mountain
das ist ein kleines haus am see
une tasse de café près de la fenêtre
el niño juega en la playa con su perro
12 apples and 7 pears for 3 euro
ein großer hund läuft über die straße
"""

TEXTS = [
    "a photo of a cat",
    "A Photo of TWO Dogs!",
    " leading and trailing ",
    "Hello, WORLD!  two\tspaces\n",
    "",
    "   ",
    "...!?",
    "don't stop: it's a \"test\" (really) [yes] {no} <maybe> a_b ~ ^ ` | \\ / @ # $ % & * + = ;",
    "▁under ▁score▁",
    "ﬁne ﬂower ①② ½ ㎏ Ⅷ ™",
    "ｆｕｌｌ　ｗｉｄｔｈ　＜ｐａｄ＞　＜／ｓ＞",
    "日本語 の photo 🎉🎉 end",
    "naïve café, niño, straße, STRASSE",
    "e\u0301 combining a\u0308 marks",
    "İstanbul ẞ ΑΣ ΟΔΥΣΣΕΥΣ ǅ",
    "no\u00a0break\u2003em\u3000wide\u1680ogham",
    "zero\u200bwidth\ufeffmark soft\u00adhyphen",
    "\x1cfile\x1dgroup\x1erecord\x1funit\x85next\u2028line\u2029para",
    "\x00ctrl\x07bell",
    "x<unk>y",
    "a </s> b c",
    "</s>",
    "the end</s>",
    "<unk></s><unk>",
    "</S> upper",
    "<pad> is no token here",
    "a" * 100,
    "word " * 100,
    "12 apples and 7 pears",
    "\u0130\u0307",
    "a . b . c",
    "￾",
    "👨‍👩‍👧 family",
    "क्षि हिन्दी",
]


def rules(path: Path) -> None:
    """The part of NFKC that concerns the texts, and white space, in SentencePiece's format."""
    chars = {char for text in TEXTS for char in unicodedata.normalize("NFD", text) + text + text.lower()}
    pairs = {}
    for char in sorted(chars):
        normal = unicodedata.normalize("NFKC", char)
        if normal != char:
            pairs[char] = normal
    for composed in "éèêàäöüñçß":
        pairs[unicodedata.normalize("NFD", composed)] = composed
    for char in "\t\n\r\u200b\ufeff\u00a0\u2003\u3000\u1680\u2028\u2029\x85":
        pairs[char] = " "
    for char in "\x07\x1c":
        pairs[char] = ""
    hexed = lambda text: " ".join(f"{ord(char):x}" for char in text)
    pairs = {key: value for key, value in pairs.items() if key != value}
    path.write_text("".join(f"{hexed(key)}\t{hexed(value)}\n" for key, value in pairs.items()))


def model() -> bytes:
    out = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        tsv = Path(folder) / "rules.tsv"
        rules(tsv)
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS.strip().splitlines() * 4),
            model_writer=out,
            vocab_size=100,
            model_type="unigram",
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            normalization_rule_tsv=str(tsv),
            minloglevel=2,
        )
    parsed = proto.ModelProto.FromString(out.getvalue())
    # Paths and sizes of the training have no place in the file.
    parsed.trainer_spec.ClearField("input")
    return parsed.SerializeToString()


def tokenizer_json(parsed) -> str:
    """As the published `tokenizer.json` of SigLIP is made: T5's conversion with the canonicalisation in front."""
    vocab = [(piece.piece, piece.score) for piece in parsed.pieces]
    own = Tokenizer(models.Unigram(vocab, unk_id=2))
    punctuation = Regex(r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]""")
    own.normalizer = normalizers.Sequence(
        [
            normalizers.Lowercase(),
            normalizers.Replace(punctuation, ""),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
            normalizers.Precompiled(parsed.normalizer_spec.precompiled_charsmap),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    own.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    own.decoder = decoders.Metaspace(prepend_scheme="always")
    own.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    own.add_special_tokens([AddedToken(name, lstrip=True, rstrip=True) for name in ("</s>", "<unk>")])
    return own.to_str()


files, golden = map(Path, sys.argv[1:])
files.mkdir(parents=True, exist_ok=True)
spiece = model()
(files / "spiece.model").write_bytes(spiece)
(files / "tokenizer.json").write_text(tokenizer_json(proto.ModelProto.FromString(spiece)) + "\n")
settings = {
    "do_lower_case": True,
    "eos_token": "</s>",
    "model_max_length": 64,
    "pad_token": {"content": "</s>", "lstrip": True},
    "tokenizer_class": "SiglipTokenizer",
    "unk_token": "<unk>",
    "additional_special_tokens": [],
}
(files / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n")
own = SiglipTokenizer(str(files / "spiece.model"))
plain = [own(text, truncation=True, max_length=64).input_ids for text in TEXTS]
padded = own(TEXTS, padding="max_length", truncation=True).input_ids
assert all(len(ids) == 64 and ids[: len(short)] == short for ids, short in zip(padded, plain))
case_kept = SiglipTokenizer(str(files / "spiece.model"), do_lower_case=False)
cased = [case_kept(text, truncation=True, max_length=64).input_ids for text in TEXTS]
golden.write_text(json.dumps({"texts": TEXTS, "ids": plain, "cased": cased}) + "\n")
print(len(spiece), "bytes,", len(TEXTS), "texts,", sum(map(len, plain)), "tokens")
