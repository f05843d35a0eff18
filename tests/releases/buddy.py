"""BUDDY's release: its names of our modules; those of ELPH's predictor have a prefix."""

from __future__ import annotations

from tests.releases.translation import Translation
from torch import nn

from runner.models.buddy import BUDDY
from runner.models.linear_gcn import LinearGCN
from runner.models.link_model import LinkModel
from runner.models.sign import SIGN

_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")


def translate(module: nn.Module) -> Translation | None:
    """Of an encoder and a predictor together; None of another model."""
    if not isinstance(module, LinkModel) or not isinstance(module.predictor, BUDDY):
        return None
    encoder, predictor = module.encoder, module.predictor
    if isinstance(encoder, LinearGCN):
        names = _of_predictor(predictor, embedding=False, prefix="predictor.")
        for layer in range(len(encoder.convolutions)):
            ours, theirs = f"encoder.convolutions.{layer}", f"convs.{layer}"
            names |= {f"{theirs}.bias": f"{ours}.bias"}
            names |= {f"{theirs}.lin.weight": f"{ours}.linear.weight"}
        if encoder.residual:
            names |= _linear("feature_encoder", "encoder.input")
        return Translation(names, _unused(names, "predictor.lin_feat"))
    embedding = isinstance(encoder, SIGN) and encoder.embedding is not None
    names = _of_predictor(predictor, embedding=embedding, prefix="")
    if isinstance(encoder, SIGN):
        names |= _of_sign(encoder, "encoder.")
    return Translation(names, _unused(names, "bn_RA", "lin_feat"))


def _of_predictor(predictor: BUDDY, *, embedding: bool, prefix: str) -> dict[str, str]:
    """``embedding``: the first part is of learned embeddings."""
    names = _linear("label_lin_layer", "predictor.f_counts.0") | _linear("lin", "predictor.head")
    names |= _norm("bn_labels", "predictor.f_counts.1")
    parts = [("lin_out", "bn_feats"), ("lin_emb_out", "bn_embs")][1 if embedding else 0 :]
    for (linear, norm), place in zip(parts, range(len(predictor.f_pair)), strict=False):
        names |= _linear(linear, f"predictor.f_pair.{place}.0")
        names |= _norm(norm, f"predictor.f_pair.{place}.1")
    if predictor.norm is not None:
        names |= _norm("bn_RA", "predictor.norm")
    return {prefix + release: ours for release, ours in names.items()}


def _of_sign(encoder: SIGN, ours: str) -> dict[str, str]:
    learned = encoder.embedding is not None
    sign = "sign_embedding" if learned else "sign"
    names = {}
    for chunk in range(len(encoder.chunks)):
        names |= _linear(f"{sign}.lins.{chunk}", f"{ours}chunks.{chunk}.linear")
        names |= _norm(f"{sign}.bns.{chunk}", f"{ours}chunks.{chunk}.after.0")
    single = "lin_emb" if learned else "lin_feat"
    names |= _linear(f"{sign}.lin_out" if len(encoder.chunks) else single, f"{ours}linear")
    if encoder.last is not None:
        names |= _linear("lin_emb", f"{ours}last")
    if learned:
        names["node_embedding.weight"] = f"{ours}embedding.weight"
    if encoder.beside is not None:
        names |= _of_sign(encoder.beside, f"{ours}beside.")
    return names


def _unused(names: dict[str, str], *modules: str) -> tuple[str, ...]:
    """Modules that the release stores and no output needs, and counts of batches."""
    norms = {name.rpartition(".")[0] for name in names}
    idle = [module for module in modules if f"{module}.weight" not in names]
    return (*idle, *(f"{norm}.num_batches_tracked" for norm in norms))


def _linear(release: str, ours: str) -> dict[str, str]:
    return {f"{release}.{name}": f"{ours}.{name}" for name in ("weight", "bias")}


def _norm(release: str, ours: str) -> dict[str, str]:
    return {f"{release}.{name}": f"{ours}.{name}" for name in _BATCH_NORM}
