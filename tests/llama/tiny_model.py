#!/usr/bin/env python3
"""Writes a llama model of half a megabyte with random weights, and a vocabulary of its own: letters, bytes and a few words.

Dimension 0 of every embedding is the same constant and no block writes to it, so that row 0 of the output matrix is a bias
for each token: what is said can be steered, though the weights are random.
"""

import argparse

import numpy
from gguf import GGUFWriter

WORDS = "the a lamp coast oil keeper ship fog night harbour light wick sea wind rope bell and or not with for from is was will can".split()
TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# As GGUF numbers them.
NORMAL, UNKNOWN, CONTROL, UNUSED, BYTE = 1, 2, 3, 5, 6
LAYERS, WIDTH, HEADS, KEY_HEADS, INNER, CONTEXT = 2, 64, 4, 2, 128, 2048
CONSTANT = 6.0


def vocabulary():
    """(text, type) of each token."""
    tokens = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)]
    tokens += [(f"<0x{byte:02X}>", BYTE) for byte in range(256)]
    tokens += [("<|im_start|>", CONTROL), ("<|im_end|>", CONTROL)]
    tokens += [(text, NORMAL) for text in ["\u2581", *map(chr, range(33, 127)), "\n"]]
    tokens += [("\u2581" + word, NORMAL) for word in WORDS]
    tokens += [(f"<pad{number}>", UNUSED) for number in range(-len(tokens) % 32)]
    return tokens


def biases(tokens, options):
    def of(text, kind):
        if text in ("</s>", "<|im_end|>"):
            return options.ends
        if kind != NORMAL:
            return -8.0
        return (0.8 if len(text) > 1 else -0.8) + (options.ends_json if text in '{}"' else 0.0)

    return [of(*token) for token in tokens]


def write(options):
    tokens, random = vocabulary(), numpy.random.Generator(numpy.random.PCG64(1))
    file = GGUFWriter(options.out, "llama")
    file.add_name(options.name)
    file.add_context_length(CONTEXT)
    file.add_embedding_length(WIDTH)
    file.add_block_count(LAYERS)
    file.add_feed_forward_length(INNER)
    file.add_head_count(HEADS)
    file.add_head_count_kv(KEY_HEADS)
    file.add_rope_dimension_count(WIDTH // HEADS)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_vocab_size(len(tokens))
    file.add_tokenizer_model("llama")
    file.add_tokenizer_pre("default")
    file.add_token_list([text.encode() for text, _ in tokens])
    # The later, the less wanted: what is written is cut into letters.
    file.add_token_scores([-float(number) if kind == NORMAL else 0.0 for number, (_, kind) in enumerate(tokens)])
    file.add_token_types([kind for _, kind in tokens])
    file.add_bos_token_id(1)
    file.add_eos_token_id(2)
    file.add_unk_token_id(0)
    file.add_eot_token_id([text for text, _ in tokens].index("<|im_end|>"))
    file.add_add_bos_token(True)
    file.add_add_space_prefix(False)
    file.add_chat_template(TEMPLATE)

    def matrix(rows, columns, spread):
        return (random.standard_normal((rows, columns)) * spread).astype(numpy.float32)

    def into_stream(columns, spread):
        into = matrix(WIDTH, columns, spread)
        if not options.raw:
            into[0, :] = 0
        return into

    ones, of_keys = numpy.ones(WIDTH, dtype=numpy.float32), WIDTH // HEADS * KEY_HEADS
    embedding, output = matrix(len(tokens), WIDTH, 1.0), matrix(len(tokens), WIDTH, 0.15)
    if not options.raw:
        embedding[:, 0] = CONSTANT
        output[:, 0] = biases(tokens, options)
    file.add_tensor("token_embd.weight", embedding)
    for layer in range(LAYERS):
        of = f"blk.{layer}."
        file.add_tensor(of + "attn_norm.weight", ones)
        file.add_tensor(of + "attn_q.weight", matrix(WIDTH, WIDTH, 0.3))
        file.add_tensor(of + "attn_k.weight", matrix(of_keys, WIDTH, 0.3))
        file.add_tensor(of + "attn_v.weight", matrix(of_keys, WIDTH, 0.3))
        file.add_tensor(of + "attn_output.weight", into_stream(WIDTH, 0.1))
        file.add_tensor(of + "ffn_norm.weight", ones)
        file.add_tensor(of + "ffn_gate.weight", matrix(INNER, WIDTH, 0.3))
        file.add_tensor(of + "ffn_up.weight", matrix(INNER, WIDTH, 0.3))
        file.add_tensor(of + "ffn_down.weight", into_stream(INNER, 0.1))
    file.add_tensor("output_norm.weight", ones)
    file.add_tensor("output.weight", output)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--ends", type=float, default=0.3, help="the higher, the sooner an answer ends")
    parser.add_argument("--ends-json", type=float, default=0.0, help="the same of strings and objects")
    parser.add_argument("--raw", action="store_true", help="no bias: bytes and control tokens are said, too")
    write(parser.parse_args())


if __name__ == "__main__":
    main()
