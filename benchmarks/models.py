"""Builds the models of the benchmark: ``NAME.onnx``, ``NAME-b8.onnx`` and ``NAME.pt``.

Eight come from their published configurations with *random* weights under a fixed seed
(`model_vision.py`, `model_text.py`): nothing is downloaded, nothing is trained, so their
answers mean nothing and they are compared by the distance of their outputs. Three are trained
on real data that comes inside scikit-learn, each by a script of its own (``train_*.py``), which
this one calls; beside them stand the samples that their training never saw.

The ONNX files have fixed shapes, batch 1 and batch 8 with the same weights; the ``.pt`` file
holds those weights for the peers that run the torch module itself. ``--free-length`` writes
``NAME-free.onnx`` with free batch and length, for `buckets.py`.

Needs ``torch``, ``transformers``, ``onnx``, ``onnxscript`` and ``scikit-learn``. Run by hand:
``python benchmarks/models.py [NAME ...] [--out benchmarks/.work/models]``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import model_text
import model_vision
import numpy as np
import torch
import train_breast_cancer
import train_digits_cnn
import train_digits_transformer
from peer_inputs import BATCHES, INPUTS, model_path
from torch import nn
from training import MODELS, SEED

RANDOM: Mapping[str, Callable[[], nn.Module]] = {
    "vit-s": model_vision.vit_s,
    "minilm-l6": model_text.minilm_l6,
    "gpt-small": model_text.gpt_small,
    "resnet50": model_vision.resnet50,
    "mobilenet-v2": model_vision.mobilenet_v2,
    "unet": model_vision.unet,
    "bert-base": model_text.bert_base,
    "lstm-tagger": model_text.lstm_tagger,
}
TRAINED = {
    script.NAME: script
    for script in (train_digits_cnn, train_digits_transformer, train_breast_cancer)
}
NAMES = (*RANDOM, *TRAINED)
OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "bert-base": ("last_hidden_state",),
    "minilm-l6": ("last_hidden_state",),
    "gpt-small": model_text.gpt_outputs(),
}


def restored(name: str, folder: Path) -> nn.Module:
    """The module as built, for those who run it without ONNX; in evaluation mode."""
    torch.manual_seed(SEED)
    model = TRAINED[name].network() if name in TRAINED else RANDOM[name]()
    model.load_state_dict(torch.load(folder / f"{name}.pt", weights_only=True))
    return model.eval()


def outputs(name: str) -> tuple[str, ...]:
    """Names of what the model returns, in order."""
    return OUTPUTS.get(name, ("logits",))


def build_random(name: str, folder: Path) -> None:
    """Write the ONNX files and the weights of one model with random weights."""
    from model_export import export, save_weights

    torch.manual_seed(SEED)
    model = RANDOM[name]()
    save_weights(model, folder / f"{name}.pt")
    for batch in BATCHES:
        samples = INPUTS[name](batch, np.random.default_rng(0))
        arguments = {key: torch.from_numpy(array) for key, array in samples.items()}
        file = model_path(name, folder, batch=batch)
        export(model, arguments, outputs=outputs(name), file=file)


def build_free(name: str, folder: Path) -> None:
    """Write the model with random weights once more, for any batch and any number of tokens."""
    from model_export import export

    torch.manual_seed(SEED)
    model = RANDOM[name]()
    samples = INPUTS[name](2, np.random.default_rng(0))
    arguments = {key: torch.from_numpy(array) for key, array in samples.items()}
    free = {0: torch.export.Dim("batch", max=64), 1: torch.export.Dim("sequence", max=512)}
    file = folder / f"{name}-free.onnx"
    export(model, arguments, outputs=outputs(name), file=file, free=(free,) * len(arguments))


def main() -> None:
    """Build what is asked for, or what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--out", type=Path, default=MODELS)
    parser.add_argument("--free-length", action="store_true", help="of models that take tokens")
    chosen = parser.parse_args()
    folder: Path = chosen.out
    folder.mkdir(parents=True, exist_ok=True)
    missing = [n for n in NAMES if not model_path(n, folder, batch=BATCHES[-1]).is_file()]
    if chosen.free_length:
        for name in chosen.names:
            build_free(name, folder)
        return
    for name in chosen.names or missing:
        TRAINED[name].build(folder) if name in TRAINED else build_random(name, folder)
        file = model_path(name, folder, batch=1)
        print(f"{file}: {file.stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
