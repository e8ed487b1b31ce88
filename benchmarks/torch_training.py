"""PyTorch's half of `benchmarks.training`: the same decoder, batches and optimizer; run by its own interpreter.

Reads a line of JSON with the sizes, then one line with a number of seconds for each round; answers each with a line.
It imports nothing of this program, so that any environment with torch and numpy will do.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence


class Decoder(nn.Module):
    """The decoder of `bokemodel.decoder`, in PyTorch's own layers."""

    def __init__(self, sizes: dict[str, Any]) -> None:
        super().__init__()
        self.embed = nn.Embedding(sizes["vocabulary"], sizes["embed"])
        self.img2x = nn.Linear(sizes["feature_dim"], sizes["embed"])
        self.lstm = nn.LSTM(sizes["embed"], sizes["hidden"])
        self.out = nn.Linear(sizes["hidden"], sizes["vocabulary"])
        if sizes["tied"]:
            self.out.weight = self.embed.weight
        self.drop = nn.Dropout(sizes["dropout"])

    def forward(self, pictures: torch.Tensor, inputs: Any) -> torch.Tensor:
        x = self.drop(self.embed(inputs.data))
        first = len(pictures)
        x = torch.cat([x[:first] + self.img2x(pictures), x[first:]])
        states, _ = self.lstm(inputs._replace(data=x))
        logits: torch.Tensor = self.out(self.drop(states.data))
        return logits


def main() -> None:
    sizes = json.loads(sys.stdin.readline())
    torch.set_num_threads(sizes["threads"])
    torch.manual_seed(0)
    model = Decoder(sizes)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    batches = []
    for texts in sizes["batches"]:  # each sorted by falling length
        inputs = pack_sequence([torch.tensor([sizes["bos"], *text]) for text in texts])
        targets = pack_sequence([torch.tensor([*text, sizes["eos"]]) for text in texts]).data
        batches.append((torch.randn(len(texts), sizes["feature_dim"]), inputs, targets))
    number = 0
    for line in sys.stdin:
        tokens, began = 0, time.process_time()
        while time.process_time() - began < float(line) * sizes["threads"]:
            pictures, inputs, targets = batches[number % len(batches)]
            number += 1
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(pictures, inputs), targets)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            tokens += len(targets)
        elapsed = (time.process_time() - began) / sizes["threads"]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"tokens_per_s": tokens / elapsed, "peak_mib": peak}), flush=True)


main()
