"""The chapter on mean and std: helper against float64, checks, widget, two processes."""

import functools
import itertools
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset
from traitlets import TraitError

from helpers import image_statistics
from helpers.chapters.dataset_mean_std import StdDecomposition, check
from helpers.image_statistics import MeanStd, dataset_mean_std
from helpers.notebook.data import photo_crops
from helpers.widgets.base import STATE_MIME, state_digest


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
    """A data set that returns whatever it is given."""

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


class Stream(IterableDataset):
    def __iter__(self):
        return iter(images(5, 3, 4, 4))


# --- exact ---------------------------------------------------------------------------


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


# --- whatever holds the images -------------------------------------------------------

X = images(23, 3, 8, 8, dtype=torch.uint8)
LABELS = torch.arange(23)
HOLDERS = {
    "data set with labels": TensorDataset(X, LABELS),
    "data set without": TensorDataset(X),
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


# --- merging -------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("other", "error", "message"),
    [
        (3, TypeError, "other must be a MeanStd, got int. Pass what dataset_mean_std"),
        (
            dataset_mean_std(images(2, 1, 4, 4)),
            ValueError,
            "as many channels, got 3 and 1. Merge like with like",
        ),
    ],
)
def test_merge_refuses_what_does_not_belong(other, error, message):
    with pytest.raises(error, match=message):
        dataset_mean_std(images(2, 3, 4, 4)).merge(other)


# --- bad input -----------------------------------------------------------------------


def spoiled(value, shape=(40, 3, 8, 8), where=(37, 1, 2, 3)):
    x = images(*shape)
    x[where] = value
    return x


def mixed(shape, at=5):
    samples = [images(3, 8, 8) for _ in range(9)]
    samples[at] = images(*shape)
    return Samples(samples)


BAD = {
    "array": (np.zeros((2, 3, 4, 4)), TypeError, "data must be .* got ndarray. Conv"),
    "list": ([images(3, 4, 4)], TypeError, "data must be a tensor, .* got list"),
    "no channels": (
        torch.zeros(1797, 8, 8),
        ValueError,
        re.escape(
            "images must be (N, C, H, W), got (N, H, W) = (1797, 8, 8). "
            "Add a channel axis: images.unsqueeze(1)."
        ),
    ),
    "no channels in a data set": (
        TensorDataset(torch.zeros(9, 8, 8)),
        ValueError,
        r"\(N, H, W\) = \(9, 8, 8\). Add a channel",
    ),
    "flat": (torch.zeros(5, 64), ValueError, r"got \(N, D\) = \(5, 64\). Reshape"),
    "five": (torch.zeros(1, 2, 3, 4, 5), ValueError, r"got \(1, 2, 3, 4, 5\). Resh"),
    "label first": (
        TensorDataset(torch.rand(5), images(5, 3, 4, 4)),
        ValueError,
        r"got \(N,\) = \(5,\). Return the image first",
    ),
    "empty tensor": (
        torch.zeros(0, 3, 4, 4),
        ValueError,
        r"at least one image with pixels, got shape \(0, 3, 4, 4\). Check",
    ),
    "no pixels": (torch.zeros(2, 3, 0, 4), ValueError, "with pixels"),
    "empty data set": (Samples([]), ValueError, "at least one image, got none. Check"),
    "empty loader": (
        DataLoader(TensorDataset(X), batch_size=50, drop_last=True),
        ValueError,
        "at least one image, got none",
    ),
    "nan": (
        spoiled(torch.nan),
        ValueError,
        "finite, got nan at image 37, channel 1, row 2, column 3. Leave",
    ),
    "inf in a data set": (
        TensorDataset(spoiled(torch.inf), torch.zeros(40)),
        ValueError,
        "finite, got inf at image 37, channel 1, row 2, column 3",
    ),
    "-inf in a loader": (
        DataLoader(spoiled(-torch.inf), batch_size=16),
        ValueError,
        "finite, got -inf at image 37",
    ),
    "sizes": (
        mixed((3, 8, 9)),
        ValueError,
        r"one size and type, got \(3, 8, 8\) of torch.float32 and then \(3, 8, 9\) of "
        "torch.float32 at image 5. Resize",
    ),
    "channels": (mixed((1, 8, 8)), ValueError, r"and then \(1, 8, 8\) .* image 5"),
    "types": (
        Samples([X[0], X[0].float()]),
        ValueError,
        "of torch.uint8 and then .* of torch.float32 at image 1",
    ),
    "sizes in a loader": (
        DataLoader(mixed((3, 8, 9)), batch_size=4),
        ValueError,
        "one size, got a batch with several: .*equal size.* Resize them",
    ),
    "sizes of batches": (
        DataLoader(mixed((3, 8, 9), at=8), batch_size=4),
        ValueError,
        r"and then \(3, 8, 9\) of torch.float32 at image 8",
    ),
    "int64": (
        torch.zeros(2, 3, 4, 4, dtype=torch.int64),
        TypeError,
        r"uint8 or floating point, got torch.int64 .* images.float\(\)",
    ),
    "bool": (torch.zeros(2, 3, 4, 4) > 0, TypeError, "got torch.bool"),
    "complex": (torch.zeros(2, 3, 4, 4) * 1j, TypeError, "got torch.complex64"),
    "sparse": (images(2, 3, 4, 4).to_sparse(), TypeError, "got torch.sparse_coo"),
    "meta": (torch.zeros(2, 3, 4, 4, device="meta"), TypeError, "tensors with data"),
    "dict": (
        Samples([{"image": X[0]}]),
        TypeError,
        "dense tensors with data, got dict at image 0. Add the transform v2.ToImage",
    ),
    "array in a sample": (
        Samples([(X[0], 1), (X[1].numpy(), 1)]),
        TypeError,
        "got ndarray at image 1",
    ),
}


@pytest.mark.parametrize(("data", "error", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_named(data, error, message):
    with pytest.raises(error, match=f"^dataset_mean_std: .*{message}"):
        dataset_mean_std(data)


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


# --- data, checks, widget ------------------------------------------------------------


def test_photo_crops_are_the_photographs_in_squares():
    from sklearn.datasets import load_sample_image

    crops, photograph = photo_crops(32)
    assert photograph.bincount().tolist() == [260, 260]
    flower = torch.tensor(load_sample_image("flower.jpg")).permute(2, 0, 1)
    assert torch.equal(crops[260 + 20 + 3], flower[:, 32:64, 96:128])


@pytest.mark.parametrize(
    ("size", "error", "message"),
    [
        (0, ValueError, r"from 1 to 427, not the \w+ 0"),
        (428, ValueError, "got 428"),
        (3.5, TypeError, "an integer, got 3.5"),
        (True, TypeError, "an integer, got True"),
    ],
)
def test_photo_crops_names_a_bad_size(size, error, message):
    with pytest.raises(error, match=f"photo_crops: size must be .*{message}"):
        photo_crops(size)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.25, "✓ Correct: variances add"),
        (0.35, "✗ Hint: stds do not add"),
        (0.175, "✗ Hint: it is larger than either"),
        (0.0625, "✗ Hint: that is the variance"),
        (0.1768, "✗ Hint: the squares are added"),
        (0.3, "✗ Hint: 0.3 is too large"),
    ],
)
def test_pooled_tells_right_from_wrong(value, text):
    assert repr(check.pooled(value)).startswith(text)


def right_merge(a, b):
    n, delta = a[0] + b[0], b[1] - a[1]
    return n, a[1] + delta * b[0] / n, a[2] + b[2] + delta**2 * a[0] * b[0] / n


def from_squares(a, b):
    n, mean, _ = right_merge(a, b)
    squares = sum(m2 + k * mu**2 for k, mu, m2 in (a, b))
    return n, mean, squares - n * mean**2


MERGES = [
    (right_merge, "✓ Correct"),
    (lambda a, b: None, "○ Not yet"),
    (lambda a, b: 3, "✗ Hint: return three values, count, mean and m2, got 3"),
    (lambda a, b: (a[0], a[1], a[2]), "✗ Hint: for two parts that are alike the count"),
    (
        lambda a, b: (a[0] + b[0], (a[1] + b[1]) / 2, right_merge(a, b)[2]),
        "✗ Hint: for a part of 2 and a part of 6 the mean",
    ),
    (
        lambda a, b: (*right_merge(a, b)[:2], a[2] + b[2]),
        "✗ Hint: for two parts that are alike the m2",
    ),
    (from_squares, "✗ Hint: for numbers near 100,000,000 the m2"),
]


@pytest.mark.parametrize(("attempt", "text"), MERGES)
def test_merge_tells_right_from_wrong(attempt, text):
    assert repr(check.merge(attempt)).startswith(text)


def normalise(x, by, dims=(0, 2, 3)):
    x, by = x / 255, by / 255
    std = by.std(dims, keepdim=True, correction=0).mean(0, keepdim=True)
    return (x - by.mean((0, 2, 3), keepdim=True)) / std


PREPARES = [
    (lambda a, b: (normalise(a, a), normalise(b, a)), "✓ Correct"),
    (lambda a, b: None, "○ Not yet"),
    (lambda a, b: normalise(a, a), "✗ Hint: return two tensors"),
    (lambda a, b: (a, b), "✗ Hint: keep the input's dtype torch.float32"),
    (
        lambda a, b: (normalise(a, torch.cat([a, b])), normalise(b, torch.cat([a, b]))),
        "✗ Hint: the training set changes with the test set: that is the leak",
    ),
    (
        lambda a, b: (normalise(a, a), normalise(b, b)),
        "✗ Hint: a test image changes with the other test images",
    ),
    (
        lambda a, b: (normalise(a, a, (2, 3)), normalise(b, a, (2, 3))),
        "✗ Hint: the training set should have mean 0 and std 1",
    ),
    (lambda a, b: (normalise(a, a), b / 255), "✗ Hint: the test set needs the same"),
]


@pytest.mark.parametrize(("attempt", "text"), PREPARES)
def test_prepare_tells_right_from_wrong(attempt, text):
    assert repr(check.prepare(attempt)).startswith(text)


@pytest.mark.parametrize(
    "change", [{"brightness": 0.3}, {"contrast": 0.0}, {"batch": 16}]
)
def test_digest_changes_with_whatever_is_shown(change):
    digest = StdDecomposition(**change)._repr_mimebundle_()[0][STATE_MIME]["state"]
    assert digest != state_digest(StdDecomposition().get_state())


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"spread": 1}, TypeError, "no setting 'spread'. It has: batch, brightness"),
        (
            {"brightness": 0.5},
            TraitError,
            r"brightness.* from 0 to 0.4, not the \w+ 0.5",
        ),
        ({"contrast": -0.1}, TraitError, r"contrast.* from 0 to 0.4, not the \w+ -0.1"),
        ({"contrast": float("nan")}, TraitError, "not the float nan"),
        ({"batch": 3}, TraitError, "batch"),
    ],
)
def test_bad_setting_is_named(settings, error, message):
    with pytest.raises(error, match=message):
        StdDecomposition(**settings)


@pytest.mark.parametrize("batch", [1, 2, 4, 8, 16])
@pytest.mark.parametrize(("brightness", "contrast"), [(0.2, 0.1), (0.4, 0), (0, 0.3)])
def test_std_decomposition_agrees_with_torch(front_end, brightness, contrast, batch):
    shown = front_end(StdDecomposition, "m.images(...a)", [brightness, contrast])
    mean, std = torch.tensor(shown, dtype=torch.float64).T
    pixels = torch.stack([mean - std, mean + std], dim=1)  # two pixels an image
    ours = front_end(
        StdDecomposition,
        "[m.within(a[0]), m.between(a[0]), m.pooled(a[0]), m.averageOfBatches(...a)]",
        [shown, batch],
    )
    stds = [b.std(correction=0).item() for b in pixels.split(batch)]
    theirs = [
        pixels.var(dim=1, correction=0).mean().sqrt().item(),
        pixels.mean(dim=1).std(correction=0).item(),
        pixels.std(correction=0).item(),
        np.mean(stds),
    ]
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours[:2], [contrast, brightness], atol=1e-9)
