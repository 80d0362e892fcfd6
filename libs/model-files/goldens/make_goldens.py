"""Makes the committed goldens of model-files with other people's implementations; run by hand, see ../README.md.

families/NAME  a random tiny model as transformers saves it, and logits.json: what transformers computes with it
gguf/NAME.gguf such a model as llama.cpp's converter writes it (gguf package), with its own logits where it is quantised
blocks.json    random blocks of every format, and the values that the gguf package makes of them
tokenizers.json  ids that tokenizers and sentencepiece give some texts

usage: python make_goldens.py [families] [blocks] [tokenizers]     with torch, transformers, gguf, sentencepiece
"""

import base64
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
VOCAB, HIDDEN, INNER, LAYERS = 72, 32, 40, 2
ROWS = [0, 3, 9, 23]
IDS = [(7 * i * i + 3 * i + 1) % VOCAB for i in range(24)]
SMALL = dict(vocab_size=VOCAB, hidden_size=HIDDEN, intermediate_size=INNER, num_hidden_layers=LAYERS,
             num_attention_heads=4, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, rms_norm_eps=1e-5)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16, rope_theta=5000.0)


def families():
    from transformers import LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config
    shutil.rmtree(HERE / "families", ignore_errors=True)
    shutil.rmtree(HERE / "gguf", ignore_errors=True)
    (HERE / "gguf").mkdir()
    plain = dict(rope_type="default", rope_theta=10000.0)
    llama = save("llama-2", LlamaConfig(**SMALL, num_key_value_heads=4, rope_parameters=plain), torch.float32)
    llama3 = save("llama-3", LlamaConfig(**SMALL, num_key_value_heads=2, tie_word_embeddings=True,
                                         rope_parameters=LLAMA3), torch.bfloat16)
    save("llama-linear", LlamaConfig(**SMALL, num_key_value_heads=1,
                                     rope_parameters=dict(rope_type="linear", factor=4.0, rope_theta=10000.0)), torch.float16)
    save("mistral", MistralConfig(**SMALL, num_key_value_heads=2, head_dim=16, sliding_window=5,
                                  rope_parameters=plain), torch.bfloat16)
    qwen2 = save("qwen2", Qwen2Config(**SMALL, num_key_value_heads=2, tie_word_embeddings=True,
                                      rope_parameters=dict(rope_type="default", rope_theta=1e6)), torch.float16)
    save("qwen2-window", Qwen2Config(**SMALL, num_key_value_heads=2, use_sliding_window=True, sliding_window=7,
                                     max_window_layers=0, rope_parameters=plain), torch.float16)
    qwen3 = save("qwen3", Qwen3Config(**SMALL, num_key_value_heads=2, head_dim=16,
                                      rope_parameters=dict(rope_type="default", rope_theta=1e6)), torch.bfloat16,
                 max_shard_size="40KB")
    write_gguf("llama-3", "llama", llama3)
    write_gguf("qwen2", "qwen2", qwen2)
    write_gguf("qwen3", "qwen3", qwen3)
    quantised = write_gguf("llama-2-quantised", "llama", llama, quantise=True)
    (HERE / "gguf" / "llama-2-quantised.json").write_text(logits_json(quantised))


def save(name, config, dtype, **how):
    from transformers import AutoModelForCausalLM
    torch.manual_seed(sum(name.encode()))
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for key, weight in model.named_parameters():
            small = key.endswith("bias")
            weight.copy_(torch.randn_like(weight) * (0.3 if small else 0.25) + (1 if "norm" in key else 0))
    model = model.to(dtype)
    directory = HERE / "families" / name
    model.save_pretrained(directory, **how)
    (directory / "generation_config.json").unlink(missing_ok=True)
    # No test encodes text with these; a model directory has one.
    (directory / "tokenizer.json").write_text("{}\n")
    # Loaded anew: rounding the model to 16 bits has rounded its rotary frequencies too.
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")
    (directory / "logits.json").write_text(logits_json(model))
    return model


def logits_json(model):
    model.eval()
    with torch.no_grad():
        logits = model(torch.tensor([IDS])).logits[0]
    rows = {row: [round(float(x), 6) for x in logits[row]] for row in ROWS}
    return json.dumps(dict(tokenIds=IDS, logits=rows)) + "\n"


def write_gguf(name, arch, model, quantise=False):
    """The names, layouts and keys of convert_hf_to_gguf.py; changes the model's weights to what was stored."""
    import gguf
    config = model.config
    writer = gguf.GGUFWriter(HERE / "gguf" / f"{name}.gguf", arch)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    rope = config.rope_parameters
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(head_dim)
    if head_dim != config.hidden_size // config.num_attention_heads:
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([f"t{i}" for i in range(VOCAB - 1)] + ["<end>"])
    writer.add_token_types([1] * (VOCAB - 1) + [3])
    writer.add_token_merges(["t 1"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    if rope["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", rope_factors(rope, head_dim))
    architecture = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == arch)
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    types = [gguf.GGMLQuantizationType[t] for t in ("Q4_1", "Q8_0", "Q4_0", "Q5_0", "Q5_1")]
    for i, (key, weight) in enumerate(model.state_dict().items()):
        if key == "lm_head.weight" and config.tie_word_embeddings:
            continue
        data = weight.float().numpy()
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(key.split(".")[-2])
        if arch == "llama" and heads:
            data = permute(data, heads)
        stored = names.get_name(key, try_suffixes=(".weight", ".bias"))
        if data.ndim == 1:
            writer.add_tensor(stored, data)
        elif not quantise or data.shape[1] % 32 != 0:
            writer.add_tensor(stored, data.astype(np.float16))
            weight.copy_(torch.from_numpy(unpermuted(data.astype(np.float16).astype(np.float32), heads if arch == "llama" else None)))
        else:
            kind = types[i % len(types)]
            blocks = gguf.quants.quantize(data, kind)
            writer.add_tensor(stored, blocks, raw_dtype=kind)
            back = gguf.quants.dequantize(blocks, kind).reshape(data.shape)
            weight.copy_(torch.from_numpy(unpermuted(back, heads if arch == "llama" else None)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def permute(data, heads):
    return data.reshape(heads, 2, data.shape[0] // heads // 2, *data.shape[1:]).swapaxes(1, 2).reshape(data.shape)


def unpermuted(data, heads):
    if not heads:
        return data.copy()
    return data.reshape(heads, data.shape[0] // heads // 2, 2, *data.shape[1:]).swapaxes(1, 2).reshape(data.shape).copy()


def rope_factors(rope, head_dim):
    frequencies = rope["rope_theta"] ** (-np.arange(0, head_dim, 2) / head_dim)
    old, low, high = rope["original_max_position_embeddings"], rope["low_freq_factor"], rope["high_freq_factor"]
    factors = []
    for wavelength in 2 * np.pi / frequencies:
        if wavelength < old / high:
            factors.append(1)
        elif wavelength > old / low:
            factors.append(rope["factor"])
        else:
            smooth = (old / wavelength - low) / (high - low)
            factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(factors, dtype=np.float32)


def blocks():
    import gguf
    random = np.random.default_rng(5)
    out = {}
    for name in ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"):
        kind = gguf.GGMLQuantizationType[name]
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        rows, per_row = 2, 512 // elements
        data = random.integers(0, 256, (rows, per_row, size), dtype=np.uint8)
        # The 16-bit floats of a block: any finite value. Where they lie differs by format.
        places = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2],
                  "Q6_K": [208]}[name]
        for at in places:
            halves = random.normal(0, 2, (rows, per_row)).astype(np.float16)
            data[:, :, at:at + 2] = halves[..., None].view(np.uint8)
        values = gguf.quants.dequantize(data.reshape(rows, -1), kind).astype("<f4")
        encode = lambda array: base64.b64encode(array.tobytes()).decode()
        out[name] = dict(rows=rows, columns=512, stored=encode(data), values=encode(values))
    (HERE / "blocks.json").write_text(json.dumps(out, indent=1) + "\n")


TEXTS = [
    "The state of the Union is strong.", "  two  spaces ", "1234567890 3.14159 ½ ²³ ٣٤ 十二 Ⅷ",
    "don't I'LL we've 'tis y'all", "const x = {a: 1}\r\n\treturn x?.a ?? 0\n\n\n", "naïve café — “quotes” … 日本語 العربية",
    "\U0001F469‍\U0001F469‍\U0001F467 e\u0301 \u200b\ufeff", "HTTPServer getURLs fooBar", "", " ", "\n", "a\u0000b\u007f",
]


def tokenizers():
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
    file = json.loads((HERE / "../../../models/demo-target/tokenizer.json").read_text())
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in file["model"]["merges"]]
    words = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|DIGITS| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tekken = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
              r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|"
              r"\s*[\r\n]+|\s+(?!\S)|\s+")
    split = lambda pattern: [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    kinds = {
        "gpt-2": ([pre_tokenizers.ByteLevel(False)], False, None),
        "smollm": ([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(False)], False, None),
        "llama-bpe": (split(words.replace("DIGITS", r"\p{N}{1,3}")), True, None),
        "qwen2": (split(words.replace("DIGITS", r"\p{N}")), False, normalizers.NFC()),
        "tekken": (split(tekken), True, None),
    }
    by_pre = {}
    for pre, (steps, ignore_merges, normalizer) in kinds.items():
        tokenizer = Tokenizer(models.BPE(file["model"]["vocab"], merges, ignore_merges=ignore_merges))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
        if normalizer:
            tokenizer.normalizer = normalizer
        by_pre[pre] = [tokenizer.encode(text).ids for text in TEXTS]
    golden = dict(texts=TEXTS, byteLevel=by_pre, sentencePiece=sentence_piece())
    (HERE / "tokenizers.json").write_text(json.dumps(golden) + "\n")


def sentence_piece():
    import sentencepiece
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "text")
        corpus.write_text("\n".join(TEXTS[:2] + TEXTS[3:8] + __doc__.split("\n")).replace("\0", ""))
        sentencepiece.SentencePieceTrainer.train(
            input=str(corpus), model_prefix=f"{folder}/m", vocab_size=360, model_type="bpe", byte_fallback=True,
            normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True,
            allow_whitespace_only_pieces=True, hard_vocab_limit=False, unk_id=0, bos_id=1, eos_id=2, minloglevel=2)
        model = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/m.model")
    ids = range(model.get_piece_size())
    kind = lambda i: 2 if model.is_unknown(i) else 3 if model.is_control(i) else 6 if model.is_byte(i) else 1
    return dict(tokens=[model.id_to_piece(i) for i in ids], scores=[model.get_score(i) for i in ids],
                types=[kind(i) for i in ids], ids=[model.encode(text, add_bos=True) for text in TEXTS],
                decoded=[model.decode(model.encode(text)) for text in TEXTS])


if __name__ == "__main__":
    for part in sys.argv[1:] or ["families", "blocks", "tokenizers"]:
        globals()[part]()
