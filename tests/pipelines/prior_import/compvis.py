"""The networks of CompVis latent diffusion after its paper, at any size, under its names of weights: the oracle.

Rombach et al., CVPR 2022; the UNet is that of Dhariwal and Nichol, NeurIPS 2021, the first stage that of Esser et al.,
CVPR 2021.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn


def conv(n_in, n_out, size=3, **kw):
    return nn.Conv2d(n_in, n_out, size, padding=size // 2, **kw)


# ---------------------------------------------------------------- UNet


class ResBlock(nn.Module):
    def __init__(self, n_in, n_out, n_emb, scale_shift):
        super().__init__()
        self.scale_shift = scale_shift
        self.in_layers = nn.Sequential(nn.GroupNorm(32, n_in), nn.SiLU(), conv(n_in, n_out))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(n_emb, n_out * (1 + scale_shift)))
        self.out_layers = nn.Sequential(nn.GroupNorm(32, n_out), nn.SiLU(), nn.Dropout(0.0), conv(n_out, n_out))
        self.skip_connection = nn.Identity() if n_in == n_out else conv(n_in, n_out, 1)

    def forward(self, x, emb):
        h, e = self.in_layers(x), self.emb_layers(emb)[:, :, None, None]
        if self.scale_shift:
            scale, shift = e.chunk(2, 1)
            h = self.out_layers[1:](self.out_layers[0](h) * (1 + scale) + shift)
        else:
            h = self.out_layers(h + e)
        return self.skip_connection(x) + h


class Attention(nn.Module):
    def __init__(self, n, n_heads, new_order):
        super().__init__()
        self.n_heads, self.new_order = n_heads, new_order
        self.norm, self.qkv, self.proj_out = nn.GroupNorm(32, n), nn.Conv1d(n, 3 * n, 1), nn.Conv1d(n, n, 1)

    def forward(self, x, emb):
        batch, n, *size = x.shape
        y = self.qkv(self.norm(x.flatten(2)))
        if self.new_order:  # all queries, then all keys, then all values
            q, k, v = y.view(batch, 3, self.n_heads, n // self.n_heads, -1).unbind(1)
        else:  # head by head
            q, k, v = y.view(batch, self.n_heads, 3, n // self.n_heads, -1).unbind(2)
        weight = torch.softmax(q.transpose(-1, -2) @ k / math.sqrt(n // self.n_heads), -1)
        return x + self.proj_out((v @ weight.transpose(-1, -2)).reshape(batch, n, -1)).view(batch, n, *size)


class Down(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.op = conv(n, n, stride=2)

    def forward(self, x, emb):
        return self.op(x)


class Up(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv = conv(n, n)

    def forward(self, x, emb):
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class First(nn.Conv2d):
    def forward(self, x, emb):
        return super().forward(x)


class UNet(nn.Module):
    """``heads``: a function from a width to a number of attention heads; ``attention``: levels that have it."""

    def __init__(self, n, width, mult, depth, attention, heads, new_order=False, scale_shift=False):
        super().__init__()
        self.width = width
        n_emb = 4 * width
        self.time_embed = nn.Sequential(nn.Linear(width, n_emb), nn.SiLU(), nn.Linear(n_emb, n_emb))

        def block(n_in, n_out, level):
            layers = [ResBlock(n_in, n_out, n_emb, scale_shift)]
            return layers + [Attention(n_out, heads(n_out), new_order)] * (level in attention)

        inputs, skips, now = [[First(n, width, 3, padding=1)]], [width], width
        for level, m in enumerate(mult):
            for _ in range(depth):
                inputs.append(block(now, m * width, level))
                now = m * width
                skips.append(now)
            if level < len(mult) - 1:
                inputs.append([Down(now)])
                skips.append(now)
        middle = ResBlock(now, now, n_emb, scale_shift), Attention(now, heads(now), new_order)
        self.middle_block = nn.ModuleList([*middle, ResBlock(now, now, n_emb, scale_shift)])
        outputs = []
        for level, m in reversed(list(enumerate(mult))):
            for i in range(depth + 1):
                layers = block(now + skips.pop(), m * width, level)
                now = m * width
                outputs.append(layers + [Up(now)] * (level > 0 and i == depth))
        self.input_blocks, self.output_blocks = (
            nn.ModuleList(nn.ModuleList(layers) for layers in blocks) for blocks in (inputs, outputs)
        )
        self.out = nn.Sequential(nn.GroupNorm(32, width), nn.SiLU(), conv(width, n))

    def forward(self, x, t):
        half = self.width // 2
        angles = t[:, None] * torch.exp(-math.log(10_000) * torch.arange(half) / half)
        emb = self.time_embed(torch.cat([angles.cos(), angles.sin()], 1))

        def through(layers, x):
            for layer in layers:
                x = layer(x, emb)
            return x

        skips = []
        for layers in self.input_blocks:
            x = through(layers, x)
            skips.append(x)
        x = through(self.middle_block, x)
        for layers in self.output_blocks:
            x = through(layers, torch.cat([x, skips.pop()], 1))
        return self.out(x)


# ---------------------------------------------------------------- first stage


def norm(n):
    return nn.GroupNorm(32, n, eps=1e-6)


class PlainBlock(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.norm1, self.conv1, self.norm2, self.conv2 = norm(n_in), conv(n_in, n_out), norm(n_out), conv(n_out, n_out)
        if n_in != n_out:
            self.nin_shortcut = conv(n_in, n_out, 1)

    def forward(self, x):
        h = self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))
        return h + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class PlainAttention(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.norm = norm(n)
        self.q, self.k, self.v, self.proj_out = (conv(n, n, 1) for _ in range(4))

    def forward(self, x):
        h = self.norm(x)
        q, k, v = (layer(h).flatten(2) for layer in (self.q, self.k, self.v))
        weight = torch.softmax(q.transpose(1, 2) @ k / math.sqrt(x.shape[1]), -1)
        return x + self.proj_out((v @ weight.transpose(1, 2)).view_as(x))


def middle(n):
    return nn.ModuleDict({"block_1": PlainBlock(n, n), "attn_1": PlainAttention(n), "block_2": PlainBlock(n, n)})


class Resample(nn.Module):
    def __init__(self, n, down):
        super().__init__()
        self.down, self.conv = down, nn.Conv2d(n, n, 3, stride=2) if down else conv(n, n)

    def forward(self, x):
        # the border is added on one side only
        return self.conv(F.pad(x, (0, 1, 0, 1)) if self.down else F.interpolate(x, scale_factor=2, mode="nearest"))


class Half(nn.Module):
    """Encoder or decoder; ``levels`` are numbered by resolution in both, as in the checkpoints."""

    def __init__(self, n_in, n_out, width, mult, depth, attention, encoder):
        super().__init__()
        self.encoder = encoder
        order = list(range(len(mult))) if encoder else list(reversed(range(len(mult))))
        now = width * mult[order[0]] if not encoder else width
        self.conv_in = conv(n_in, now)
        levels = {}
        if not encoder:
            self.mid = middle(now)
        for level in order:
            blocks, attn = nn.ModuleList(), nn.ModuleList()
            for _ in range(depth + (not encoder)):
                blocks.append(PlainBlock(now, width * mult[level]))
                now = width * mult[level]
                if level in attention:
                    attn.append(PlainAttention(now))
            parts = {"block": blocks, "attn": attn}
            if level != order[-1]:
                parts["downsample" if encoder else "upsample"] = Resample(now, encoder)
            levels[level] = nn.ModuleDict(parts)
        self.order = order
        setattr(self, "down" if encoder else "up", nn.ModuleList(levels[i] for i in range(len(mult))))
        if encoder:
            self.mid = middle(now)
        self.norm_out, self.conv_out = norm(now), conv(now, n_out)

    def forward(self, x):
        x = self.conv_in(x)
        mid = nn.Sequential(*self.mid.values())
        x = x if self.encoder else mid(x)
        levels = self.down if self.encoder else self.up
        for i in self.order:
            level = levels[i]
            for j, block in enumerate(level["block"]):
                x = block(x)
                x = level["attn"][j](x) if len(level["attn"]) else x
            for name in ("downsample", "upsample"):
                x = level[name](x) if name in level else x
        x = mid(x) if self.encoder else x
        return self.conv_out(F.silu(self.norm_out(x)))


class FirstStage(nn.Module):
    """With ``n_codes`` a VQ autoencoder, without one a KL autoencoder whose mean is taken."""

    def __init__(self, colours, width, mult, depth, z, embed, n_codes=None, attention=()):
        super().__init__()
        self.vq, twice = n_codes is not None, 1 if n_codes else 2
        self.encoder = Half(colours, twice * z, width, mult, depth, attention, encoder=True)
        self.decoder = Half(z, colours, width, mult, depth, attention, encoder=False)
        self.quant_conv, self.post_quant_conv = conv(twice * z, twice * embed, 1), conv(embed, z, 1)
        if self.vq:
            self.quantize = nn.ModuleDict({"embedding": nn.Embedding(n_codes, embed)})

    def encode(self, x):
        z = self.quant_conv(self.encoder(x))
        return z if self.vq else z.chunk(2, 1)[0]

    def decode(self, z):
        if self.vq:
            codes = self.quantize["embedding"].weight
            distance = (z[:, None] - codes[None, :, :, None, None]).square().sum(2)
            z = codes[distance.argmin(1)].permute(0, 3, 1, 2)
        return self.decoder(self.post_quant_conv(z))


def random(make, seed=0):
    """A network of random weights, norms and offsets included."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = make()
        for weight in network.parameters():
            if weight.ndim == 1:
                nn.init.normal_(weight, float(weight.detach().mean()), 0.2)
    return network.eval().requires_grad_(False)
