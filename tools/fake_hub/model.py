"""Makes the files of a model as publishers lay them out: safetensors shards, their index, and a dozen small files."""

import json

from .content import BytesContent, PatternContent

_TENSOR_MAX = 32 << 20  # bytes; keeps the header of a shard realistic: some dozens of tensors per gigabyte


def parse_size(text):
    """'256MiB', '1GiB', '10kB' or plain bytes."""
    units = {"": 1, "B": 1, "K": 1 << 10, "KIB": 1 << 10, "KB": 1000, "M": 1 << 20, "MIB": 1 << 20, "MB": 10**6,
             "G": 1 << 30, "GIB": 1 << 30, "GB": 10**9, "T": 1 << 40, "TIB": 1 << 40, "TB": 10**12}
    text = str(text).strip()
    digits = text.rstrip("BbKkMmGgTtIi ")
    unit = text[len(digits):].strip().upper()
    if unit not in units:
        raise ValueError(f"not a size: {text!r}")
    return int(float(digits) * units[unit])


def _shard(seed, name, data_size, first_layer):
    """One safetensors file: 8 bytes length, JSON header padded to 8 bytes, then the tensors back to back."""
    header, at, layer = {"__metadata__": {"format": "pt"}}, 0, first_layer
    while at < data_size:
        n = min(_TENSOR_MAX, data_size - at)
        shape = [n // 2048, 1024] if n % 2048 == 0 else [n // 2]
        header[f"model.layers.{layer}.mlp.up_proj.weight"] = {
            "dtype": "BF16", "shape": shape, "data_offsets": [at, at + n]}
        at += n
        layer += 1
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    head = len(text).to_bytes(8, "little") + text
    tensors = [key for key in header if key != "__metadata__"]
    return PatternContent(seed, name, data_size, head), tensors, layer


def _text(value):
    return BytesContent(json.dumps(value, indent=2).encode() + b"\n")


def model_files(name, size, shards, seed=1, odd=False):
    """path -> Content. `size`: bytes of tensor data in all shards together. `odd`: adds awkward file names."""
    files, weight_map, layer = {}, {}, 0
    each = (size // shards) & ~1
    for i in range(shards):
        path = "model.safetensors" if shards == 1 else f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        data_size = each if i + 1 < shards else (size - each * (shards - 1)) & ~1
        files[path], tensors, layer = _shard(seed, f"{name}/{path}", data_size, layer)
        weight_map.update(dict.fromkeys(tensors, path))
    if shards > 1:
        files["model.safetensors.index.json"] = _text(
            {"metadata": {"total_size": each * (shards - 1) + ((size - each * (shards - 1)) & ~1)},
             "weight_map": weight_map})

    words = [f"w{(i * 2654435761 + seed) & 0xFFFFFF:06x}" for i in range(20_000)]
    vocab = {"<s>": 0, "</s>": 1, "<unk>": 2} | {word: i + 3 for i, word in enumerate(dict.fromkeys(words))}
    merges = [f"{a[:3]} {a[3:]}" for a in words[:5000]]
    files["config.json"] = _text(
        {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 1024, "num_hidden_layers": layer,
         "vocab_size": len(vocab), "torch_dtype": "bfloat16", "_seed": seed})
    files["generation_config.json"] = _text({"bos_token_id": 0, "eos_token_id": 1, "temperature": 0.6})
    files["tokenizer.json"] = _text(
        {"version": "1.0", "model": {"type": "BPE", "vocab": vocab, "merges": merges}, "added_tokens": []})
    files["tokenizer_config.json"] = _text({"tokenizer_class": "LlamaTokenizerFast", "model_max_length": 8192})
    files["special_tokens_map.json"] = _text({"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"})
    files["vocab.json"] = _text(vocab)
    files["merges.txt"] = BytesContent(("#version: 0.2\n" + "\n".join(merges) + "\n").encode())
    files["README.md"] = BytesContent(
        f"---\nlicense: cc0-1.0\nlibrary_name: transformers\n---\n\n# {name}\n\nNoise in the shape of a model.\n".encode())
    files[".gitattributes"] = BytesContent(b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n")
    files["LICENSE"] = BytesContent(b"CC0 1.0 Universal\n")
    files["chat_template.jinja"] = BytesContent(b"{% for m in messages %}{{ m['content'] }}\n{% endfor %}")
    files["original/params.json"] = _text({"dim": 1024, "n_layers": layer})
    if odd:
        files["empty.txt"] = BytesContent(b"")
        files["one-byte.bin"] = BytesContent(b"x")
        files["a b+c.txt"] = BytesContent(b"a blank and a plus\n")
        files["deep/er/and/deeper/größe.txt"] = BytesContent("folders and umlauts\n".encode())
    return files


def is_lfs(path, size):
    """What the Hub stores as LFS: everything `.gitattributes` names, and whatever exceeds 10 MB."""
    return path.endswith((".safetensors", ".bin", ".gguf", ".pt", ".onnx", ".parquet")) or size > 10_000_000
