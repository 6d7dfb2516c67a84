#!/usr/bin/env python3
"""Reads the demo's JSON document and checks what it promises."""

import json
import sys

KEYS = {"completion_text", "chunks", "provider_node_id", "receipt", "claim", "payout", "ledger_balanced"}


def main():
    demo = json.load(sys.stdin)
    missing = KEYS - set(demo)
    assert not missing, f"missing: {missing}"
    assert demo["chunks"] >= 5, f"chunks: {demo['chunks']}"
    assert demo["completion_text"].strip(), "the completion is empty"
    assert demo["ledger_balanced"] is True, "the ledger does not balance"
    assert demo["claim"]["state"] == "paid", f"the claim is {demo['claim']['state']}"
    assert demo["payout"], "there is no payout"
    assert demo["receipt"]["payout"] > 0, f"the receipt is worth {demo['receipt']['payout']}"
    print(f"{demo['chunks']} chunks, claim paid, ledger balanced")


if __name__ == "__main__":
    main()
