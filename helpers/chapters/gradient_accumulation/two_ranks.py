"""Accumulate gradients in two processes, with and without no_sync().

torchrun --standalone --nproc-per-node 2 two_ranks.py
"""

from contextlib import nullcontext

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.nn.parallel import DistributedDataParallel


def counted(sent, bucket):  # DDP calls it instead of its own all-reduce
    sent.append(bucket.index())
    return default_hooks.allreduce_hook(None, bucket)


def accumulate(model, pieces, around):
    for i, piece in enumerate(pieces):
        last = i == len(pieces) - 1
        quiet = nullcontext if around == "nothing" or last else model.no_sync
        with nullcontext() if around == "backward only" else quiet():
            loss = model(piece).square().sum() / 100 * 2
            with quiet():
                loss.backward()


def main():
    dist.init_process_group("gloo")
    rank, sent, lines = dist.get_rank(), [], [None, None]
    x = torch.arange(900.0).sin().view(100, 9)
    pieces = (x[:10].split(3), x[10:].split(25))[rank]
    model = DistributedDataParallel(nn.Linear(9, 1, bias=False))
    model.register_comm_hook(sent, counted)
    at_once = model.module(x).square().mean()
    (wanted,) = torch.autograd.grad(at_once, model.parameters())
    for around in ("nothing", "both passes", "backward only"):
        model.zero_grad()
        sent.clear()
        accumulate(model, pieces, around)
        off = (model.module.weight.grad - wanted).norm() / wanted.norm()
        found = f"all-reduces: {len(sent)}, off {off:.1%}"
        line = f"{rank}: no_sync around {around:14} {found}"
        dist.all_gather_object(lines, line)
        if rank == 0:  # processes that print by turns would mix their lines
            print(*lines, sep="\n")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
