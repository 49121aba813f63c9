"""Train tiny-qwen.gguf: a tiny Qwen3 that memorises the transcripts, on a CPU, in a minute.

    pip install -r requirements.txt
    python make_model.py OUT [--hf]

Writes OUT/tiny-qwen.gguf (2.9 MB), and with --hf also OUT/hf for vLLM, mlx-lm and
transformers. The exit code is 1 if a transcript was not memorised.

Its chat template shows the model only "TASK:<key> turn <n>", so a client's long system prompt
costs nothing. Its tokenizer is a small byte-level BPE with Qwen2's regular expression and
Qwen3's added tokens. So <tool_call> is one token and one delta, as in the real models.
"""

import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transcripts import Row, rows
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

TEMPLATE = (Path(__file__).parent / "template.jinja").read_text(encoding="utf-8")
PROMPT = "<|im_start|>user\nTASK:{key} turn {turn}<|im_end|>\n<|im_start|>assistant\n"
QWEN2_REGEX = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
ADDED = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>"]

VOCABULARY, LAYERS, HIDDEN, FFN, HEADS, KV_HEADS, HEAD_DIM = 460, 4, 128, 256, 4, 2, 32
CONTEXT, ROPE_THETA = 32768, 1_000_000.0
STEPS, WARMUP, BATCH, PEAK_RATE = 400, 50, 16, 3e-3
LONG = 400  # tokens; padding shorter rows to the length of these would cost too much
IGNORED = -100  # the label of tokens that need not be learnt


@dataclass(frozen=True)
class Lessons:
    """Token ids and labels, padded to one length."""

    ids: torch.Tensor
    labels: torch.Tensor
    lengths: torch.Tensor


def train_tokenizer(data: list[Row]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(QWEN2_REGEX), "isolated")
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, to_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[],
        show_progress=False,
    )
    prompts = [PROMPT.format(key=key, turn=turn) for key, turn, _ in data]
    tokenizer.train_from_iterator([text for _, _, text in data] + prompts, trainer)
    tokenizer.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIAL])
    tokenizer.add_tokens([AddedToken(s, special=False, normalized=False) for s in ADDED])
    return tokenizer


def new_model(tokenizer: Tokenizer) -> Qwen3ForCausalLM:
    end_of_text, _, im_end = map(tokenizer.token_to_id, SPECIAL)
    config = Qwen3Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=HIDDEN,
        intermediate_size=FFN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        head_dim=HEAD_DIM,
        max_position_embeddings=CONTEXT,
        rope_theta=ROPE_THETA,
        rms_norm_eps=1e-6,
        tie_word_embeddings=False,
        bos_token_id=end_of_text,
        eos_token_id=im_end,
        pad_token_id=end_of_text,
        attention_dropout=0.0,
    )
    return Qwen3ForCausalLM(config)


def encode(tokenizer: Tokenizer, data: list[Row]) -> Lessons:
    end_of_text, _, im_end = map(tokenizer.token_to_id, SPECIAL)
    prompts = [tokenizer.encode(PROMPT.format(key=key, turn=turn)).ids for key, turn, _ in data]
    texts = [[*tokenizer.encode(text).ids, im_end] for _, _, text in data]
    lengths = torch.tensor([len(p) + len(t) for p, t in zip(prompts, texts, strict=True)])
    ids = torch.full((len(data), int(lengths.max())), end_of_text)
    labels = torch.full_like(ids, IGNORED)
    for i, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
        ids[i, : lengths[i]] = torch.tensor(prompt + text)
        labels[i, len(prompt) : lengths[i]] = torch.tensor(text)
    return Lessons(ids, labels, lengths)


def train(model: Qwen3ForCausalLM, lessons: Lessons) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=0.0, betas=(0.9, 0.98))
    for step in range(STEPS):
        cosine = 0.5 * (1 + math.cos(math.pi * step / STEPS))
        optimizer.param_groups[0]["lr"] = PEAK_RATE * min(1, step / WARMUP) * (cosine * 0.98 + 0.02)
        batch = torch.randint(0, len(lessons.ids), (BATCH,))
        is_long = lessons.lengths[batch] > LONG
        batch = batch[is_long] if is_long.any() else batch
        width = int(lessons.lengths[batch].max())
        logits = model(input_ids=lessons.ids[batch, :width]).logits[:, :-1]
        labels = lessons.labels[batch, 1:width]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0:
            print(f"step {step} of {STEPS}: loss {loss.item():.5f}", flush=True)


@torch.no_grad()
def not_memorised(model: Qwen3ForCausalLM, lessons: Lessons, data: list[Row]) -> list[Row]:
    """Return the rows that greedy decoding would not reproduce: a token does not have the highest logit."""
    failed = []
    for row, ids, labels in zip(data, lessons.ids, lessons.labels, strict=True):
        best = model(input_ids=ids[None]).logits[0, :-1].argmax(-1)
        learnt = labels[1:] != IGNORED
        if not torch.equal(best[learnt], labels[1:][learnt]):
            failed.append(row)
    return failed


def write_hf(out: Path, model: Qwen3ForCausalLM, tokenizer: Tokenizer) -> None:
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
    )
    fast.chat_template = TEMPLATE
    end_of_text, _, im_end = map(tokenizer.token_to_id, SPECIAL)
    model.generation_config.eos_token_id = [im_end, end_of_text]
    model.generation_config.pad_token_id = end_of_text
    model.save_pretrained(out)
    fast.save_pretrained(out)


TENSORS = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
LAYER_TENSORS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_gguf(path: Path, model: Qwen3ForCausalLM, tokenizer: Tokenizer) -> None:
    writer = gguf.GGUFWriter(str(path), "qwen3")
    writer.add_name("tiny-qwen")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(HEAD_DIM)
    writer.add_value_length(HEAD_DIM)
    writer.add_rope_freq_base(ROPE_THETA)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    add_tokenizer(writer, tokenizer)
    writer.add_chat_template(TEMPLATE)
    add_tensors(writer, model)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    end_of_text, _, im_end = map(tokenizer.token_to_id, SPECIAL)
    tokens = sorted(tokenizer.get_vocab(), key=tokenizer.token_to_id)
    kinds = dict.fromkeys(SPECIAL, gguf.TokenType.CONTROL) | dict.fromkeys(ADDED, gguf.TokenType.USER_DEFINED)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([kinds.get(token, gguf.TokenType.NORMAL) for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_eos_token_id(im_end)
    writer.add_pad_token_id(end_of_text)
    writer.add_bos_token_id(end_of_text)
    writer.add_add_bos_token(False)


def add_tensors(writer: gguf.GGUFWriter, model: Qwen3ForCausalLM) -> None:
    state = model.state_dict()
    names = TENSORS | {
        f"model.layers.{i}.{theirs}.weight": f"blk.{i}.{ours}.weight"
        for i in range(LAYERS)
        for theirs, ours in LAYER_TENSORS.items()
    }
    for theirs, ours in names.items():
        writer.add_tensor(ours, np.ascontiguousarray(state[theirs].detach().float().numpy()))


def main() -> int:
    parser = argparse.ArgumentParser(description="train the tiny Qwen3")
    parser.add_argument("out", type=Path, help="directory to write to")
    parser.add_argument("--hf", action="store_true", help="also write OUT/hf")
    options = parser.parse_args()
    torch.manual_seed(1)
    data = rows()
    tokenizer = train_tokenizer(data)
    model = new_model(tokenizer)
    lessons = encode(tokenizer, data)
    train(model, lessons)
    model.eval()
    options.out.mkdir(parents=True, exist_ok=True)
    write_gguf(options.out / "tiny-qwen.gguf", model, tokenizer)
    if options.hf:
        write_hf(options.out / "hf", model, tokenizer)
    failed = not_memorised(model, lessons, data)
    for key, turn, _ in failed:
        print(f"not memorised: {key} turn {turn}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
