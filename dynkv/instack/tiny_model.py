"""Write a tiny Qwen3 model directory, without a download: `PYTHON tiny_model.py TARGET_DIR`.

Runs in the stack's interpreter, which has `tokenizers` wherever ai-dynamo is installed; it imports neither torch nor
transformers, nor anything of dynkv. The directory contains config.json, generation_config.json, tokenizer.json and
tokenizer_config.json. It contains no weights: vLLM makes random ones with `--load-format dummy`, and Dynamo's mocker
reads only the configuration and the tokenizer. The model's output is noise, the same for the same seed.

The directory appears complete or not at all, so several runs at once are safe: each writes its own directory next to
the target and renames it; a later run finds the target and leaves it. A target that already has config.json is left
untouched. Exit codes: 0 the model is there, 1 it could not be written, 2 usage.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

VOCAB_SIZE = 2000
MAX_POSITION_EMBEDDINGS = 8192
END_OF_TEXT, TURN_START, TURN_END = SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
END_OF_TEXT_ID, _, TURN_END_ID = range(len(SPECIAL_TOKENS))

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)

MODEL_CONFIG: Mapping[str, object] = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "hidden_act": "silu",
    "max_position_embeddings": MAX_POSITION_EMBEDDINGS,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "initializer_range": 0.02,
    "tie_word_embeddings": True,
    "use_cache": True,
    "torch_dtype": "bfloat16",
    "bos_token_id": END_OF_TEXT_ID,
    "eos_token_id": TURN_END_ID,
    "pad_token_id": END_OF_TEXT_ID,
}

GENERATION_CONFIG: Mapping[str, object] = {
    "bos_token_id": END_OF_TEXT_ID,
    "eos_token_id": [TURN_END_ID, END_OF_TEXT_ID],
    "pad_token_id": END_OF_TEXT_ID,
}

TOKENIZER_CONFIG: Mapping[str, object] = {
    # transformers 4 and 5 both know it under this name
    "tokenizer_class": "PreTrainedTokenizerFast",
    "bos_token": None,
    "eos_token": TURN_END,
    "pad_token": END_OF_TEXT,
    "unk_token": None,
    "model_max_length": MAX_POSITION_EMBEDDINGS,
    "clean_up_tokenization_spaces": False,
    "chat_template": CHAT_TEMPLATE,
}

WORDS = (
    "the of and to a in that it is was for on are with as they be at one have this from or had by not but what all "
    "were when we there can an your which their said if do will each about how up out them then she many some so "
    "these would other into has more her two like him see time could no make than first been its who now people my "
    "made over did down only way find use may water long little very after word called just where most know "
    "cache token block prompt prefix decode prefill worker router frontend request answer model layer head memory "
    "machine process signal socket restart ready health store load evict reuse hit miss chunk batch queue stream"
).split()


def training_text(lines: int = 4000, seed: int = 0) -> Iterator[str]:
    """Yield lines of common words mixed with invented ones, enough of both to fill the vocabulary; always the same."""
    chance = random.Random(seed)
    vocabulary = WORDS + [_invented_word(chance) for _ in range(1500)]
    for _ in range(lines):
        words = [chance.choice(WORDS if chance.random() < 0.5 else vocabulary) for _ in range(12)]
        yield " ".join(words).capitalize() + chance.choice((".", "?", "!", ":", f" {chance.randrange(10_000)}."))


def _invented_word(chance: random.Random) -> str:
    return "".join(
        chance.choice("bcdfghjklmnprstvwz") + chance.choice("aeiou") + chance.choice(("", "", "n", "r", "s", "t"))
        for _ in range(chance.randint(2, 4))
    )


def train_tokenizer() -> Tokenizer:
    """Train a byte-level BPE of `VOCAB_SIZE` entries; any text encodes, and decodes to itself."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(training_text(), trainer)
    return tokenizer


def write_files(directory: Path) -> None:
    """Write the model's files into `directory`, which exists."""
    train_tokenizer().save(str(directory / "tokenizer.json"))
    _write_json(directory / "tokenizer_config.json", TOKENIZER_CONFIG)
    _write_json(directory / "generation_config.json", GENERATION_CONFIG)
    _write_json(directory / "config.json", MODEL_CONFIG)


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def ensure_model(target: Path) -> bool:
    """Put the model at `target` unless it is there; returns whether this call wrote it.

    Raises OSError if `target` is a file, or a directory with other content.
    """
    if is_model(target):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        draft.chmod(0o755)
        write_files(draft)
        return _publish(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _publish(draft: Path, target: Path) -> bool:
    try:
        draft.rename(target)  # atomic; also replaces an empty directory, and refuses any other
    except OSError:
        if is_model(target):
            return False
        raise
    return True


def is_model(directory: Path) -> bool:
    return (directory / "config.json").is_file()


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: tiny_model.py TARGET_DIR", file=sys.stderr)
        return 2
    target = Path(arguments[0]).absolute()
    try:
        wrote = ensure_model(target)
    except OSError as error:
        print(f"tiny_model.py: cannot write the model to {target}: {error}", file=sys.stderr)
        return 1
    print(f"{target}: {'written' if wrote else 'already there'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
