"""The models of `bench train` in PyTorch, as one would write them there. Run by tools/bench/src/pytorch-child.ts.

Reads one JSON object a line from standard input and answers each with one line on standard output:

    {"do": "open", "id": ..., "folder": ..., "compile": bool}   -> {"parameters": n}, after reading weights and batch
    {"do": "steps", "id": ..., "count": n}                      -> {"millis": [...], "losses": [...]}, a value a step

A refusal is {"error": sentence}. `folder` holds workload.json (shapes, hyperparameters, where each tensor lies) and
tensors.bin. Whatever a library prints goes to standard error.
"""

import json
import os
import sys
import time

import torch
from torch.nn import functional as F

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def rotate(x, cos, sin):
    """x [B, heads, T, D], halves rotated."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def decoder_layer(x, c, p, prefix, cos, sin):
    """x [B T, H]; a Llama layer, causal within each sequence."""
    b, t, d = c["sequences"], c["positions"], c["headDim"]
    heads = lambda y: y.view(b, t, -1, d).transpose(1, 2)
    n = F.rms_norm(x, x.shape[-1:], p[prefix + "input_layernorm.weight"], c["eps"])
    q = rotate(heads(F.linear(n, p[prefix + "self_attn.q_proj.weight"])), cos, sin)
    k = rotate(heads(F.linear(n, p[prefix + "self_attn.k_proj.weight"])), cos, sin)
    v = heads(F.linear(n, p[prefix + "self_attn.v_proj.weight"]))
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b * t, -1)
    x = x + F.linear(mixed, p[prefix + "self_attn.o_proj.weight"])
    n = F.rms_norm(x, x.shape[-1:], p[prefix + "post_attention_layernorm.weight"], c["eps"])
    gated = F.silu(F.linear(n, p[prefix + "mlp.gate_proj.weight"])) * F.linear(n, p[prefix + "mlp.up_proj.weight"])
    return x + F.linear(gated, p[prefix + "mlp.down_proj.weight"])


def rotary(c):
    half = c["headDim"] // 2
    frequency = c["ropeTheta"] ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(c["positions"], dtype=torch.float64)[:, None] * frequency
    return angle.cos().float(), angle.sin().float()


def kl_loss(logits, ids, probs, weights):
    """KL over the listed tokens and one bucket for the rest."""
    log_q = F.log_softmax(logits, dim=-1).gather(1, ids)
    tail_q = (1 - log_q.exp().sum(1)).clamp_min(1e-6)
    tail_p = (1 - probs.sum(1)).clamp_min(0)
    listed = (probs * (probs.clamp_min(1e-30).log() - log_q)).sum(1)
    tail = tail_p * (tail_p.clamp_min(1e-30).log() - tail_q.log())
    return ((listed + tail) * weights).sum()


def tv_loss(logits, ids, probs, weights):
    q = F.softmax(logits, dim=-1).gather(1, ids)
    tail_q = 1 - q.sum(1)
    tail_p = (1 - probs.sum(1)).clamp_min(0)
    return (0.5 * ((q - probs).abs().sum(1) + (tail_q - tail_p).abs()) * weights).sum()


def causal_lm(c, p, fixed, cos, sin):
    x = F.embedding(fixed["input_ids"], p["model.embed_tokens.weight"])
    for layer in range(c["layers"]):
        x = decoder_layer(x, c, p, f"model.layers.{layer}.", cos, sin)
    x = F.rms_norm(x, x.shape[-1:], p["model.norm.weight"], c["eps"])
    return F.linear(x, p["lm_head.weight"])


def feature_head(c, p, fixed, cos, sin):
    e = fixed["token"]
    f = F.rms_norm(fixed["feature"], e.shape[-1:], None, c["eps"])
    bilinear = F.linear(e, fixed["bilinear.token.weight"]) * F.linear(f, fixed["bilinear.feature.weight"])
    x = F.linear(torch.cat([e, f, bilinear], dim=1), p["fc.weight"])
    x = decoder_layer(x, c, p, "layers.0.", cos, sin)
    x = F.rms_norm(x, x.shape[-1:], p["norm.weight"], c["eps"]) * p["logit_scale"]
    return F.linear(x, fixed["head"])


MODELS = {"causal-lm": causal_lm, "feature-head": feature_head}
LOSSES = {"kl": kl_loss, "tv": tv_loss}
KINDS = {"f32": torch.float32, "i64": torch.int64}


class Training:
    def __init__(self, folder, compiled):
        with open(os.path.join(folder, "workload.json")) as file:
            self.c = json.load(file)
        with open(os.path.join(folder, "tensors.bin"), "rb") as file:
            self.bytes = bytearray(file.read())
        cos, sin = rotary(self.c)
        self.parameters = {name: torch.nn.Parameter(value) for name, value in self.read("trained").items()}
        fixed = self.read("fixed")
        model, loss = MODELS[self.c["kind"]], LOSSES[self.c["loss"]]

        def compute(parameters):
            logits = model(self.c, parameters, fixed, cos, sin)
            return loss(logits, fixed["target_ids"], fixed["target_probs"], fixed["row_weights"])

        self.compute = torch.compile(compute) if compiled else compute
        self.optimizer = self.make_optimizer()
        self.step_number = 0

    def read(self, part):
        found = {}
        for name, kind, shape, offset in self.c[part]:
            count = torch.Size(shape).numel()
            found[name] = torch.frombuffer(self.bytes, dtype=KINDS[kind], count=count, offset=offset).view(shape).clone()
        return found

    def make_optimizer(self):
        c = self.c["adamw"]
        # Clipped group by group, as ours are; matrices decay, vectors do not.
        self.groups = [[self.parameters[name] for name in group["names"]] for group in c["groups"]]
        options = [
            {"params": [p for p in group if (p.dim() > 1) == decays], "peak": c["learningRate"] * spec["rate"],
             "weight_decay": c["weightDecay"] if decays else 0.0}
            for group, spec in zip(self.groups, c["groups"]) for decays in (True, False)
        ]
        options = [one for one in options if one["params"]]
        return torch.optim.AdamW(options, lr=0.0, betas=tuple(c["betas"]), eps=c["epsilon"], fused=True)

    def step(self):
        c = self.c["adamw"]
        self.step_number += 1
        warm = min(1.0, self.step_number / c["warmUpSteps"]) if c["warmUpSteps"] else 1.0
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * warm
        loss = self.compute(self.parameters)
        loss.backward()
        for group in self.groups:
            torch.nn.utils.clip_grad_norm_(group, c["maxGradientNorm"])
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item()

    def steps(self, count):
        millis, losses = [], []
        for _ in range(count):
            began = time.perf_counter()
            losses.append(self.step())
            millis.append((time.perf_counter() - began) * 1000)
        return {"millis": millis, "losses": losses}


def main():
    torch.set_num_threads(int(sys.argv[1]))
    trainings = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "open":
                training = Training(request["folder"], request["compile"])
                trainings[request["id"]] = training
                answer = {"parameters": sum(p.numel() for p in training.parameters.values())}
            else:
                answer = trainings[request["id"]].steps(request["count"])
        except Exception as error:  # whatever it is, the benchmark says it and goes on without this contestant
            answer = {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"}
        print(json.dumps(answer), file=answers, flush=True)


print(json.dumps({"torch": torch.__version__, "python": sys.version.split()[0]}), file=answers, flush=True)
main()
