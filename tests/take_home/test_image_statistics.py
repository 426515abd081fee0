"""helpers.image_statistics against float64, and in two processes."""

import functools
import itertools
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import given
from hypothesis import strategies as st
from repository import ROOT
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from helpers import image_statistics
from helpers.image_statistics import MeanStd, dataset_mean_std
from helpers.notebook.data import photo_crops


def images(*shape, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    if dtype == torch.uint8:
        return torch.randint(0, 256, shape, dtype=dtype, generator=generator)
    return torch.rand(shape, generator=generator, dtype=torch.float64).to(dtype)


def oracle(x):
    x = x.double()
    dims = (0, 2, 3)
    return x.mean(dims), x.std(dims, correction=0)


def assert_exact(stats, x, rtol=1e-6):
    for ours, theirs in zip(stats, oracle(x), strict=True):
        np.testing.assert_allclose(ours.double(), theirs, rtol=rtol)


class Samples(Dataset):
    """A dataset that returns whatever it is given."""

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


class Stream(IterableDataset):
    def __iter__(self):
        return iter(images(5, 3, 4, 4))


@pytest.mark.parametrize("offset", [0, 1e2, 1e4])
@pytest.mark.parametrize("shape", [(300, 3, 32, 32), (2, 1, 900, 700), (40, 5, 8, 8)])
def test_result_is_that_of_float64_over_everything(shape, offset):
    x = images(*shape) + offset
    assert_exact(dataset_mean_std(x), x)


@pytest.mark.parametrize("spread", [1.0, 0.05])
def test_large_offset_costs_nothing(spread):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(200, 3, 64, 64, generator=generator) * spread + 1e4
    assert_exact(dataset_mean_std(x), x)


@pytest.mark.parametrize("order", ["sorted", "one dark image first"])
def test_order_that_misleads_a_running_mean_changes_nothing(order):
    x = images(600, 1, 32, 32)
    if order == "sorted":
        x = x.flatten().sort().values.view_as(x) + 1e4
    else:
        x[0] = -1e4
    assert_exact(dataset_mean_std(x), x)
    batches = DataLoader(x, batch_sampler=[[0], list(range(1, 600))])
    assert_exact(dataset_mean_std(batches), x)


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64]
)
def test_every_floating_type_is_taken_as_it_is(dtype):
    x = images(30, 2, 16, 16, dtype=dtype)
    stats = dataset_mean_std(x)
    assert_exact(stats, x)
    assert stats.mean.dtype == stats.std.dtype == torch.float32


@pytest.mark.parametrize("size", [1e-25, 1e25])
def test_tiny_and_huge_pixels_neither_vanish_nor_overflow(size):
    x = images(5, 2, 8, 8) * size
    assert_exact(dataset_mean_std(x), x)


def test_uint8_is_scaled_as_by_to_dtype_unless_told_otherwise():
    from torchvision.transforms import v2

    x = images(50, 3, 16, 16, dtype=torch.uint8)
    assert_exact(dataset_mean_std(x), v2.ToDtype(torch.float32, scale=True)(x))
    assert_exact(dataset_mean_std(x, scale=False), x)
    x_float = x.float()
    assert_exact(dataset_mean_std(x_float), x_float)


@given(
    shape=st.tuples(
        st.integers(1, 9), st.integers(1, 6), st.integers(1, 9), st.integers(1, 9)
    ),
    seed=st.integers(0, 999),
    chunk=st.sampled_from([1, 50, 2**19]),
)
def test_any_shape_in_any_chunks(shape, seed, chunk):
    x = images(*shape, seed=seed, dtype=torch.uint8)
    before = image_statistics.CHUNK
    image_statistics.CHUNK = chunk
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one pixel is a constant channel
            mean, std = dataset_mean_std(x, scale=False)
    finally:
        image_statistics.CHUNK = before
    wanted = oracle(x)
    torch.testing.assert_close(mean.double(), wanted[0], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(std.double(), wanted[1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "turn",
    [
        lambda x: x.contiguous(memory_format=torch.channels_last),
        lambda x: x.permute(0, 1, 3, 2),
        lambda x: x[::2],
        lambda x: x.clone().requires_grad_(),
    ],
)
def test_memory_layout_does_not_matter_and_input_is_left_alone(turn):
    x = turn(images(20, 3, 8, 8))
    before = x.detach().clone()
    assert_exact(dataset_mean_std(x), before)
    assert torch.equal(x.detach(), before)


def test_normalised_images_have_mean_0_and_std_1():
    x = photo_crops(32)[0] / 255
    mean, std = dataset_mean_std(x)
    mean, std = oracle((x - mean[:, None, None]) / std[:, None, None])
    torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-6, rtol=0)
    torch.testing.assert_close(std, torch.ones_like(std), atol=1e-6, rtol=0)


X = images(23, 3, 8, 8, dtype=torch.uint8)


LABELS = torch.arange(23)


HOLDERS = {
    "dataset with labels": TensorDataset(X, LABELS),
    "dataset without": TensorDataset(X),
    "bare images": Samples(list(X)),
    "labels of any kind": Samples([(x, None) for x in X]),
    "loader with labels": DataLoader(TensorDataset(X, LABELS), batch_size=5),
    "loader of bare images": DataLoader(Samples(list(X)), batch_size=5),
    "shuffled loader": DataLoader(TensorDataset(X), batch_size=5, shuffle=True),
}


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
def test_every_holder_gives_the_same(holder):
    assert_exact(dataset_mean_std(holder, batch_size=7), X / 255)


def test_stream_without_a_length_is_read():
    assert_exact(dataset_mean_std(Stream(), progress=False), images(5, 3, 4, 4))


def test_workers_read_the_same():
    stats = dataset_mean_std(TensorDataset(X, LABELS), batch_size=4, num_workers=2)
    assert_exact(stats, X / 255)


def test_torchvision_images_are_tensors():
    from torchvision import tv_tensors

    assert_exact(dataset_mean_std(tv_tensors.Image(X)), X / 255)


def test_progress_counts_images_only_on_request(capsys):
    dataset_mean_std(TensorDataset(X))
    assert capsys.readouterr().err == ""
    dataset_mean_std(TensorDataset(X), progress=True)
    assert "23/23" in capsys.readouterr().err


PEAK_MEMORY = """
import resource, torch
from torch.utils.data import Dataset
from helpers.image_statistics import dataset_mean_std

class Drawn(Dataset):
    def __init__(self, count):
        self.count = count
    def __len__(self):
        return self.count
    def __getitem__(self, index):
        return torch.full((3, 224, 224), float(index))

for count in (64, 1024):
    dataset_mean_std(Drawn(count), batch_size=16)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def test_memory_does_not_grow_with_the_number_of_images():
    pytest.importorskip("resource")
    told = subprocess.check_output([sys.executable, "-c", PEAK_MEMORY], cwd=ROOT)
    few_mib, many_mib = map(float, told.split())
    assert many_mib - few_mib < 100, "the 960 more images are 550 MiB"


@given(cuts=st.lists(st.integers(1, 22), max_size=6), seed=st.integers(0, 99))
def test_any_cut_merged_in_any_order_is_the_whole(cuts, seed):
    x = images(23, 2, 4, 4, seed=seed) + 1e4
    edges = [0, *sorted(set(cuts)), 23]
    parts = [dataset_mean_std(x[a:b]) for a, b in itertools.pairwise(edges)]
    for order in (parts, parts[::-1]):
        assert_exact(functools.reduce(MeanStd.merge, order), x)


def _rank(rank, port, queue):
    dist.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
    )
    part = dataset_mean_std(images(31, 3, 8, 8)[rank::2])
    parts = [None, None]
    dist.all_gather_object(parts, part)
    merged = functools.reduce(MeanStd.merge, parts)
    queue.put((rank, merged.mean.tolist(), merged.std.tolist()))
    dist.destroy_process_group()


def test_two_processes_agree_on_the_whole(monkeypatch):
    import socket

    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = mp.get_context("spawn")
    queue = context.Queue()
    ranks = [context.Process(target=_rank, args=(r, port, queue)) for r in (0, 1)]
    for process in ranks:
        process.start()
    results = sorted(queue.get(timeout=120) for _ in ranks)
    for process in ranks:
        process.join(timeout=60)
    mean, std = oracle(images(31, 3, 8, 8))
    for _, mean_r, std_r in results:
        np.testing.assert_allclose(mean_r, mean, rtol=1e-6)
        np.testing.assert_allclose(std_r, std, rtol=1e-6)
    assert results[0][1:] == results[1][1:]


def mixed(shape, at=5):
    samples = [images(3, 8, 8) for _ in range(9)]
    samples[at] = images(*shape)
    return Samples(samples)


def test_another_failure_of_a_loader_is_passed_on():
    def broken(samples):
        raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError, match="^disk on fire$"):
        dataset_mean_std(DataLoader(X, collate_fn=broken))


@pytest.mark.parametrize("value", [0.0, 0.1, 1e4])
def test_constant_channel_has_std_0_and_a_warning(value):
    x = images(300, 3, 64, 64)
    x[:, 1] = value
    with pytest.warns(UserWarning, match=r"channel\(s\) \[1\] are constant, std 0"):
        mean, std = dataset_mean_std(x)
    assert std[1] == 0
    assert mean[1] == torch.tensor(value)
    assert (std[[0, 2]] > 0.2).all()


def test_channels_that_seem_to_come_last_are_pointed_out():
    with pytest.warns(UserWarning, match=r"\(5, 32, 32, 3\) looks like \(N, H, W, C\)"):
        assert len(dataset_mean_std(images(5, 32, 32, 3)).mean) == 32
