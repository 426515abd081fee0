"""describe_checkpoint: right about real files, unharmed by any other."""

from __future__ import annotations

import bz2
import collections
import contextlib
import errno
import gzip
import io
import json
import lzma
import os
import pathlib
import pickle
import re
import signal
import struct
import sys
import tarfile
import tracemalloc
import warnings
import zipfile
import zlib

import fuzz_checkpoints as fuzz
import joblib
import numpy as np
import pytest
import torch
from fuzz_checkpoints import numpy_file, saved, zipped
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version
from safetensors.torch import save
from torch import nn

from helpers.chapters.checkpoint_format import stage
from helpers.checkpoints import (
    CheckpointError,
    contents,
    describe_checkpoint,
    formats,
    pickle_reader,
)

OLD = {"_use_new_zipfile_serialization": False}
STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.zeros(2)}


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Describe bytes as the file ``x``, in a folder that holds nothing else."""
    monkeypatch.chdir(tmp_path)

    def describe(data):
        (tmp_path / "x").write_bytes(data)
        return describe_checkpoint("x")

    return describe


def tensors(found):
    return [(t.key, t.shape, t.dtype) for t in found.tensors]


def safetensors_file(header, body=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


# --- right about real files ----------------------------------------------------------

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64]
DTYPES += [torch.uint8, torch.bool, torch.float8_e4m3fn]
for dtype in (torch.uint16, torch.complex64):  # older safetensors cannot save them
    with contextlib.suppress(KeyError):
        save({"a": torch.zeros(1, dtype=dtype)})
        DTYPES.append(dtype)
KEYS = st.text("abcxyz.é", min_size=1, max_size=8)
SHAPES = st.lists(st.integers(0, 3), max_size=3)


@given(st.dictionaries(KEYS, st.tuples(SHAPES, st.sampled_from(DTYPES)), max_size=4))
def test_keys_shapes_and_types_are_those_that_were_saved(contents):
    state = {
        k: torch.zeros(shape, dtype=dtype) for k, (shape, dtype) in contents.items()
    }
    expected = [(k, tuple(s), str(d)[6:]) for k, (s, d) in contents.items()]
    total = sum(t.nbytes for t in state.values())
    for data in (saved(state), saved(state, **OLD), save(state)):
        found = described(data)
        assert sorted(tensors(found)) == sorted(expected)
        assert found.storage_bytes == found.used_bytes == total
        assert found.file_bytes == len(data)
        assert found.refused == ()
        assert found.values == 0


def described(data):
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return describe_checkpoint(file.name)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_state_dict_by_pickle_dump_is_read_with_shapes_and_types(told, protocol):
    state = {"half": torch.zeros(2, 3).half(), "é": torch.arange(400), "n": 3}
    found = told(pickle.dumps(state, protocol))
    assert tensors(found) == [("half", (2, 3), "float16"), ("é", (400,), "int64")]
    assert found.storage_bytes == 2 * 3 * 2 + 400 * 8
    assert found.refused[:2] == ("the whole format", "torch.storage._load_from_bytes")
    assert found.bytes_after == 0


def test_pickle_dump_packs_all_that_a_view_is_a_view_of_once_for_each(told):
    row = torch.zeros(1000)
    found = told(pickle.dumps({"a": row[:10], "b": row[10:20]}))
    assert (found.storage_bytes, found.used_bytes) == (8000, 80)
    assert found.file_bytes > 8000


@pytest.mark.parametrize(
    "data",
    [
        saved(STATE),
        saved(STATE, **OLD),
        pickle.dumps({"a": 1}),
        pickle.dumps({"a": 1}, 0),
    ],
    ids=["zip", "legacy", "pickle", "protocol 0"],
)
@pytest.mark.parametrize("after", [b"\n", bytes(60_000), pickle.dumps("second")])
def test_bytes_after_the_end_are_told(told, data, after):
    found = told(data + after)
    assert found.bytes_after == len(after)
    assert f"its loader does not read: {len(after):,}" in str(found)
    assert [t.key for t in found.tensors] == [t.key for t in told(data).tensors]


def test_bytes_after_the_end_are_looked_past_as_torch_does(told):
    for count, fine in ((1, True), (60_000, True), (70_000, False)):
        data = saved(STATE) + bytes(count)
        if fine:
            assert torch.load(io.BytesIO(data)).keys() == STATE.keys()
            assert told(data).bytes_after == count
        else:
            with pytest.raises(RuntimeError, match="finding central directory"):
                torch.load(io.BytesIO(data))
            with pytest.raises(CheckpointError, match="no zip directory at its end"):
                told(data)


@pytest.mark.parametrize(
    "compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3)]
)
def test_joblib_file_is_named(told, compress):
    file = io.BytesIO()
    joblib.dump({"coef": np.zeros((100, 100)), "classes": 2}, file, compress=compress)
    if not compress:
        found = told(file.getvalue())
        assert found.format == "joblib file (joblib.dump)"
        assert "joblib.numpy_pickle.NumpyArrayWrapper" in found.refused
        assert "load it with joblib.load, which runs its code" in str(found)
    else:
        with pytest.raises(
            CheckpointError, match=r"is packed with (zlib|gzip|bzip2|xz)"
        ):
            told(file.getvalue())


def test_shard_of_a_distributed_checkpoint_is_named_and_its_advice_works(tmp_path):
    from torch.distributed.checkpoint import format_utils, save

    warnings.simplefilter("ignore")  # of there being one process
    save(STATE, checkpoint_id=tmp_path / "folder")
    (path,) = (tmp_path / "folder").glob("*.distcp")
    found = describe_checkpoint(path)
    assert found.format.startswith("shard of a distributed checkpoint")
    assert "format_utils.dcp_to_torch_save(folder, path)" in str(found)
    format_utils.dcp_to_torch_save(tmp_path / "folder", tmp_path / "whole.pt")
    whole = describe_checkpoint(tmp_path / "whole.pt")
    assert {t.key for t in whole.tensors} == set(STATE)


FOREIGN = [
    (
        b"version https://git-lfs.github.com/spec/v1\n",
        "is a Git LFS pointer.*git lfs pull",
    ),
    (b"<!DOCTYPE html>", "begins like a web page"),
    (b"\n  <html>", "begins like a web page"),
    (b"HTTP/1.1 404 Not Found", "begins like a server's answer"),
    (b"Entry not found", "is a text that begins 'Entry not found'"),
    ("Zugriff verweigert".encode("utf-16"), "is a text that begins"),
    (b'{"metadata": {}, "weight_map": {}}', "is the JSON index of a model"),
    (b'{"hidden_size": 768}', "is JSON, which holds no tensors"),
    (gzip.compress(b"a"), "is packed with gzip"),
    (bz2.compress(b"a"), "is packed with bzip2"),
    (lzma.compress(b"a"), "is packed with xz"),
    (lzma.compress(b"a", lzma.FORMAT_ALONE), "is packed with LZMA"),
    (zlib.compress(b"a"), "is packed with zlib"),
    (b"7z\xbc\xaf\x27\x1c\0\4", "is a 7-Zip archive"),
    (b"Rar!\x1a\7\1\0", "is a RAR archive"),
    (b"\x28\xb5\x2f\xfd\4", "is packed with Zstandard"),
    (b"\x04\x22\x4d\x18", "is packed with LZ4"),
    (b"\x89HDF\r\n", "is an HDF5 file"),
    (b"GGUF\3\0\0\0", "is a GGUF file"),
    (b"lmgg\1\0\0\0", "is a GGML file"),
    (b"\x1c\0\0\0TFL3\x14\0", "is a TensorFlow Lite model"),
    (b"\x0c\0\0\0ET12\0\0", "is an ExecuTorch program"),
    (b"\x08\x01\x12\xc4\x0a", "is a TensorFlow SavedModel"),
    (b"\x08\x07\x12\x07pytorch\x1a\x05", "is an ONNX model"),
    (b"\x81\xa6params\x81\xa5Dense", "is MessagePack, as Flax writes"),
    (b"\x12\1\0\0\0\0\0\0", "is an MXNet parameter file"),
    (b"MATLAB 5.0 MAT-file", "is a MATLAB file"),
    (b"PAR1\x15", "is a Parquet table"),
    (b"SQLite format 3\0", "is an SQLite database"),
    (b"%PDF-1.7", "is a PDF document"),
    (b"\x89PNG\r\n", "is a picture"),
    (b"\x7fELF\2", "is a compiled program"),
]


@pytest.mark.parametrize(("data", "message"), FOREIGN, ids=[m for _, m in FOREIGN])
def test_file_of_another_kind_is_named(told, data, message):
    with pytest.raises(
        CheckpointError, match=f"describe_checkpoint: x {message}"
    ) as told_:
        told(data)
    assert not re.search("damaged|hostile", str(told_.value))
    heard = re.search(r"torch.load says: ([\w ]+)\)", str(told_.value))
    if heard:
        with pytest.raises(pickle.UnpicklingError, match=rf"{heard[1]}\b"):
            torch.load("x")


def test_git_lfs_pointer_and_web_page_are_found_by_what_torch_says(told):
    for data, number in ((b"version https://git-lfs", 118), (b"<html>", 60)):
        with pytest.raises(CheckpointError, match=f"Unsupported operand {number}"):
            told(data)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a/models/model.json", "a/archive_format"], "saved by torch.export.save"),
        (["config.json", "model.weights.h5"], r"is a Keras model \(.keras\)"),
        (["[Content_Types].xml", "word/document.xml"], "is an Office document"),
        (["data", "policy.pth"], "Unpack it, and describe 'policy.pth' in it"),
        (["run/epoch=3.ckpt"], "Unpack it, and describe 'run/epoch=3.ckpt' in it"),
        (
            ["readme.txt"],
            "no data.pkl beside its first member, 'readme.txt'. Unpack it",
        ),
        ([], "is an empty zip archive"),
    ],
)
def test_zip_of_another_kind_is_named(told, names, message):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    with pytest.raises(CheckpointError, match=message):
        told(file.getvalue())


def test_key_that_crashes_torch_load_is_refused_in_a_sentence(told):
    """A tuple in a tuple, 200,000 times, as the key of a dict: hashing it is fatal."""
    data = zipped(P + b"}K\x01" + b"\x85" * 200_000 + b"Ns.")
    with pytest.raises(CheckpointError, match="nests its values more than 1,000 deep"):
        told(data)


def test_exported_program_is_named(told):
    file = io.BytesIO()
    torch.export.save(torch.export.export(nn.Linear(2, 1), (torch.zeros(1, 2),)), file)
    with pytest.raises(CheckpointError, match=r"torch.export.load"):
        told(file.getvalue())


def test_record_of_another_size_is_refused_as_torch_does(told):
    for cut, size in ((slice(4), 4), (slice(None), 12)):
        file = io.BytesIO()
        whole = zipfile.ZipFile(io.BytesIO(saved({"w": torch.zeros(2)})))
        with zipfile.ZipFile(file, "w") as archive:
            for name in whole.namelist():
                data = whole.read(name)
                longer = (data + bytes(4))[cut] if "/data/" in name else data
                archive.writestr(name, longer)
        with pytest.raises(CheckpointError, match=f"has {size} bytes in data/0"):
            told(file.getvalue())
        if Version(torch.__version__) >= Version(
            "2.15"
        ):  # older ones read what is not there
            with pytest.raises(RuntimeError, match="does not match expected size"):
                torch.load("x")


@pytest.mark.parametrize("options", [{}, OLD], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", stage.objects())
def test_refused_is_what_torch_refuses(told, name, options):
    value = {"value": stage.objects()[name]}
    found = told(saved(value, **options))
    names = torch.serialization.get_unsafe_globals_in_checkpoint(
        io.BytesIO(saved(value))
    )
    assert set(found.refused) == set(names)
    try:
        torch.load("x")
        assert found.refused == ()
    except pickle.UnpicklingError:
        assert found.refused != ()


def test_names_that_the_reader_allows_are_not_refused(told):
    data = saved({"value": collections.defaultdict(int)})
    with torch.serialization.safe_globals([collections.defaultdict, int]):
        assert told(data).refused == ()
    assert told(data).refused == ("collections.defaultdict", "builtins.int")


@pytest.mark.parametrize("options", [{}, OLD], ids=["zip", "legacy"])
def test_nested_checkpoint_has_dotted_keys(told, options):
    model = nn.Linear(2, 1)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    found = told(saved({**state, "epoch": 3}, **options))
    assert ("optimizer.state.0.exp_avg", (1, 2), "float32") in tensors(found)
    assert len(found.tensors) == 2 + 2 * 3
    assert found.hints.get("byteorder", "little") == "little"


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_kinds_of_tensors(told):
    tagged = torch.zeros(2)
    tagged.tag = 1
    state = {
        "parameter": nn.Parameter(torch.zeros(2)),
        "meta": torch.zeros(3, 2, device="meta"),
        "quantized": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.quint8),
        "expanded": torch.zeros(1).expand(10**12),
        "tagged": tagged,
        "sparse": torch.eye(2).to_sparse(),
    }
    assert tensors(told(saved(state))) == [
        ("parameter", (2,), "float32"),
        ("meta", (3, 2), "float32"),
        ("quantized", (2,), "quint8"),
        ("expanded", (10**12,), "float32"),
        ("tagged", (2,), "float32"),
        ("sparse.1.0", (2, 2), "int64"),
        ("sparse.1.1", (2,), "float32"),
    ]


def test_whole_model_shows_its_tensors_and_its_classes(told):
    found = told(saved(nn.Sequential(nn.Linear(2, 1))))
    assert [t.key for t in found.tensors] == [
        "_modules.0._parameters.weight",
        "_modules.0._parameters.bias",
    ]
    assert found.refused[0] == "torch.nn.modules.container.Sequential"


def test_bytes_that_only_a_view_keeps_are_told(told):
    x = torch.zeros(100, 100)
    assert (told(saved(x[0])).storage_bytes, told(saved(x[0])).used_bytes) == (
        40000,
        400,
    )
    assert "the tensors use 400: clone views" in str(told(saved(x[0])))
    tied = told(saved({"a": x, "b": x}))
    assert (len(tied.tensors), tied.storage_bytes, tied.used_bytes) == (2, 40000, 40000)


def test_text_is_as_the_book_shows_it(told):
    data = saved({**STATE, "epoch": 3, "loss": np.float64(1)})
    newer = ", .format_version 1, .storage_alignment 64"  # than PyTorch 2.6
    numpy = np.float64(1).__reduce__()[0].__module__  # NumPy 2 has renamed it
    assert str(told(data)).splitlines() == [
        f"x: {len(data):,} bytes",
        "  PyTorch zip archive (torch.save since 1.6)",
        f"  version 3, byteorder little{newer if b'.format_version' in data else ''}",
        "  tensors: 2, with 32 bytes; other values: 14",
        "    weight  (2, 3)  float32",
        "    bias    (2,)  float32",
        "  torch.load refuses these",
        f"    {numpy}.scalar",
        "    numpy.dtype",
    ]
    many = str(told(saved([torch.zeros(1)] * 30)))
    assert "    ... and 18 more" in many
    assert "torch.load refuses no name in it" in many


def legacy_tar():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            info = tarfile.TarInfo(name)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"abc"))
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "text", "loader"),
    [
        ("TorchScript", "TorchScript archive", "torch.jit.load"),
        (numpy_file(np.save, np.zeros(2)), "NumPy array", "numpy.load"),
        (
            numpy_file(np.save, np.array([[1], "a"], object)),
            "NumPy array",
            "numpy.load",
        ),
        (numpy_file(np.savez, a=np.zeros(2)), "NumPy archive", "numpy.load"),
        (pickle.dumps({"a": 1}), "Python pickle", "pickle.load, which runs its code"),
        (legacy_tar(), "PyTorch tar archive", "torch.load(path, weights_only"),
        (save(STATE), "safetensors", "safetensors.torch.load_file"),
    ],
)
def test_other_formats_are_named_with_their_loader(told, data, text, loader):
    found = told(fuzz.real_files()[data] if isinstance(data, str) else data)
    assert text in found.format
    assert f"load it with {loader}" in str(found)


def test_instructions_that_the_safe_loader_does_not_know_are_told(told):
    found = told(saved(STATE, pickle_protocol=4))
    assert "instruction MEMOIZE" in found.refused
    assert len(found.tensors) == 2


def scaled():
    x, scale = torch.ones(2, 2), torch.tensor([0.1, 0.2])
    return torch.quantize_per_channel(x, scale, torch.tensor([0, 0]), 0, torch.qint8)


def with_attribute():
    tensor = torch.zeros(2)
    tensor.extra = torch.ones(3)
    return tensor


def nested_lists():
    value = torch.ones(1)
    for _ in range(250):
        value = [value]
    return value


HEALTHY = {
    "attribute": (with_attribute, 1),
    "key": (lambda: {torch.ones(1): 3}, 0),
    "per channel": (scaled, 1),
    "deep": (nested_lists, 1),
    "bare storage": (lambda: torch.ones(2).storage(), 0),
}


@pytest.mark.filterwarnings("ignore")  # of quantized tensors and of storages
@pytest.mark.parametrize("options", [{}, OLD], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", HEALTHY)
def test_unusual_healthy_file_is_not_called_damaged(told, name, options):
    make, count = HEALTHY[name]
    found = told(saved({"a": make()}, **options))
    assert len(found.tensors) == count
    assert found.storage_bytes == found.used_bytes
    torch.load("x", weights_only=True)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_jagged_tensor_shows_what_it_is_made_of(told):
    pair = [torch.ones(2), torch.ones(3)]
    jagged = torch.nested.nested_tensor(pair, layout=torch.jagged)
    found = told(saved({"a": jagged}))
    assert (5,) in [t.shape for t in found.tensors]
    refused = torch.serialization.get_unsafe_globals_in_checkpoint("x")
    assert set(found.refused) == set(refused)


def test_file_without_checksums_is_read(told):
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        data = saved(STATE)
    finally:
        torch.serialization.set_crc32_options(before)
    assert len(told(data).tensors) == 2
    assert told(data).hints["byteorder"] == "little"


@pytest.mark.parametrize(
    ("name", "count", "shown"),
    [
        ("F8_E8M0", 4, "float8_e8m0fnu"),
        ("F8_E4M3FNUZ", 4, "float8_e4m3fnuz"),
        ("F8_E5M2FNUZ", 4, "float8_e5m2fnuz"),
        ("F4", 8, "float4"),
    ],
)
def test_small_floats_of_safetensors(told, name, count, shown):
    entry = {"dtype": name, "shape": [count], "data_offsets": [0, 4]}
    found = told(safetensors_file({"a": entry}, b"1234"))
    assert tensors(found) == [("a", (count,), shown)]
    assert found.storage_bytes == 4


# --- each kind of wrong file gets its sentence ---------------------------------------

P = b"\x80\x02"
MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # PyTorch's number, as a pickle
UNIT = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


def two_formats(magic=b"ustar\x0000"):
    """The header of a tar archive, also without its magic, that begins as legacy."""
    name = (P + MAGIC + b".").decode("utf-8", "surrogateescape")
    head = bytearray(
        tarfile.TarInfo(name).tobuf(tarfile.USTAR_FORMAT, "utf-8", "surrogateescape")
    )
    head[257:265], head[148:156] = magic, b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


def text_of(string):
    return b"X" + struct.pack("<I", len(string)) + string


def rebuilt(
    count=b"K\x02", shape=b"K\x02\x85", stride=b"K\x01\x85", kind=b"FloatStorage"
):
    """A pickle of one tensor, with parts of it replaced."""
    stored = b"(" + text_of(b"storage") + b"ctorch\n" + kind + b"\n" + text_of(b"0")
    stored += text_of(b"cpu") + count + b"tQ"
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + stored + b"K\x00" + shape + stride
    return P + call + b"\x89NtR."


BIG = b"\x8a\x06" + (10**12).to_bytes(6, "little")
LINE = b"\x80\x02c" + b"a" * 2000
WRONG = [
    (b"", "is empty: a save or a copy was stopped"),
    (b"hello there", "is a text that begins 'hello there'"),
    (b"\x99\1\2\3", "begins with 99 01 02 03, which no checkpoint format does"),
    (saved(STATE)[:-1], "no zip directory at its end: it is truncated"),
    (saved(STATE) + b"!" * 70_000, "no zip directory at its end"),
    (b"PK\3\4" + saved(STATE), "bytes around its zip archive"),
    (b"PK\3\4" + zipped(P + b"N."), "bytes around its zip archive"),
    (saved(STATE, **OLD)[:-1], "ends 1 bytes too early: it is truncated"),
    (saved(STATE, **OLD)[:99], "ends in the middle of a pickle"),
    (save(STATE)[:-1], "bytes of numbers, and its header names"),
    (save(STATE)[:20], "says that its header has .* bytes, and 12 follow"),
    (P + b"N", "ends in the middle of a pickle"),
    (P + b"\xf0.", "holds byte 0xf0 where a pickle instruction should stand"),
    (P + b"R.", "holds a pickle whose REDUCE has nothing to work on"),
    (P + b".", "holds a pickle that ends without a value"),
    (P + b"K\x01Na.", "adds to no container"),
    (P + b"h\x07.", "whose BINGET has nothing to work on"),
    (P + b"Ix\n.", "holds a number in a pickle that cannot be read"),
    (P + b"I" + b"9" * 400 + b"\n.", "holds a number in a pickle that cannot be read"),
    (LINE, "holds a line without an end in a pickle"),
    (P + b"T\xff\xff\xff\xff.", "names a text of -1 bytes"),
    (P + b"\x8d" + b"\xff" * 8 + b".", "more Python objects than are read here"),
    (P + b"N" + b"\x85" * 1001 + b".", "nests its values more than 1,000 deep"),
    (zipped(P + b"N.")[:-4] + b"\1\0\0\0", "bytes around its zip archive"),
    (zipped(rebuilt()), "has no member data/0: it is damaged"),
    (zipped(rebuilt(), _0=b"1234"), "has 4 bytes in data/0, and its tensors say 8"),
    (zipped(rebuilt(), _0=bytes(12)), "has 12 bytes in data/0, and its tensors say 8"),
    (
        zipped(rebuilt(shape=BIG + b"\x85"), _0=b"12345678"),
        "needs 1,000,000,000,000 el",
    ),
    (
        zipped(rebuilt(count=BIG), _0=b"12345678"),
        "in data/0, and its tensors say 4,000,000,000,000",
    ),
    (zipped(rebuilt(stride=b")")), "strides that do not fit its shape"),
    (zipped(rebuilt(shape=b"K\x02")), "a shape that is not one"),
    (zipped(rebuilt(shape=b"J\xff\xff\xff\xff\x85")), "a shape that is not one"),
    (
        zipped(rebuilt(shape=b"]" + b"(" + b"K\x01" * 65 + b"e")),
        "a shape that is not one",
    ),
    (
        zipped(rebuilt(kind=b"OddStorage")),
        "names a type of numbers that is not known here: Odd",
    ),
    (
        zipped(rebuilt().replace(b"storage", b"strange")),
        "in a way that is not PyTorch's",
    ),
    (zipped(P + b"ctorch._utils\n_rebuild_tensor_v2\nN\x85R."), "with too few parts"),
    (
        zipped(P + b"ctorch._utils\n_rebuild_tensor_v2\n(NK\x00))tR."),
        "holds a tensor without a storage",
    ),
    (zipped(P + b"N.", method=zipfile.ZIP_BZIP2), "packed as PyTorch never does"),
    (zipped(P + b"N.", root="a/b"), "a zip archive with no data.pkl beside"),
    (b"PK\5\6" + b"\0" * 18, "is an empty zip archive"),
    (
        legacy_tar().replace(b"storages", b"sturages"),
        "is a tar archive, and no checkpoint",
    ),
    (numpy_file(np.save, np.zeros(9))[:-5], "ends 5 bytes too early: it is truncated"),
    (numpy_file(np.save, np.zeros(9))[:9], "ends too early: it is truncated"),
    (safetensors_file(b'{"a": [', b""), "is damaged: JSONDecodeError"),
    (
        safetensors_file(b'{"a":' + b"[" * 10**5),
        "nests its values too deep: it is hostile",
    ),
    (safetensors_file(b'{"a":{},"a":{}}'), "names a tensor twice"),
    (safetensors_file(b'{"\xff":1}'), "is damaged: UnicodeDecodeError"),
    (safetensors_file(b'{"a":[' + b"{}," * 200_001), "a header of more parts"),
    (P + MAGIC + b"N." + (P + b"N.") * 4, "a protocol other than 1001"),
    (P + b"X\x20\0\0\0" + b"a" * 32 + b"0" + MAGIC + b".", "hides that it is a legacy"),
    (two_formats(), "begins like files of two formats at once"),
    (two_formats(magic=b"\0" * 8), "begins like files of two formats at once"),
    (safetensors_file({"a": 3}, b"1234"), "a shape that is not one"),
    (safetensors_file({"a": UNIT | {"dtype": "X9"}}, b"1234"), "not safetensors'"),
    (safetensors_file({"a": UNIT | {"shape": [2]}}, b"1234"), "fewer or more bytes"),
    (safetensors_file({"a": UNIT, "b": UNIT}, b"1234"), "a gap or an overlap"),
    (safetensors_file({"a": UNIT}, b"1234567"), "holds 7 bytes of numbers, .* names 4"),
    (
        safetensors_file(b"{" + b" " * 2**22, b""),
        "has a header of 4,194,305 bytes, more than are read",
    ),
]


@pytest.mark.parametrize(("data", "message"), WRONG, ids=[m[:40] for _, m in WRONG])
def test_wrong_file_gets_a_sentence(told, data, message):
    with pytest.raises(
        CheckpointError, match=f"^describe_checkpoint: x .*{message}"
    ) as e:
        told(data)
    assert "\n" not in str(e.value)
    assert str(e.value).endswith(".")
    assert e.value.__suppress_context__


def patched(data, old, new):
    assert data.count(old) >= 1
    return data.replace(old, new)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: patched(d, b"data.pkl", b"data.pk1"), "with no data.pkl"),
        (lambda d: patched(d, b"_rebuild", b"_rebuilt"), "is damaged: Bad CRC-32"),
        (lambda d: patched(d, b"PK\1\2", b"PK\1\3"), "is damaged: Bad magic number"),
        (lambda d: patched(d, b"data/1", b"data/0"), "two members of one name"),
    ],
)
def test_damaged_zip_gets_a_sentence(told, change, message):
    with pytest.raises(CheckpointError, match=message):
        told(change(saved(STATE)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: patched(d, b"M\xe9\x03", b"M\xe8\x03"), "protocol other than 1001"),
        (lambda d: d[:-16] + b"\x09" + d[-15:], "fit none of its tensors"),
    ],
)
def test_damaged_legacy_file_gets_a_sentence(told, change, message):
    with pytest.raises(CheckpointError, match=message):
        told(change(saved({"bias": torch.zeros(2)}, **OLD)))


def test_storage_with_two_types_is_damaged(told):
    pair = rebuilt()[2:-1] + rebuilt(kind=b"LongStorage", count=b"K\x01")[2:-1]
    with pytest.raises(CheckpointError, match="gives storage 0 two lengths or types"):
        told(zipped(P + pair + b"\x86.", _0=b"12345678"))


@pytest.mark.parametrize("data", [saved(STATE), saved(STATE, **OLD), save(STATE)])
def test_file_cut_anywhere_is_told_from_a_whole_one(told, data):
    assert len(told(data).tensors) == 2
    for length in reversed(range(len(data))):
        os.truncate("x", length)
        with pytest.raises(CheckpointError):
            describe_checkpoint("x")


def test_paths_that_are_no_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    os.symlink("loop", "loop")
    os.mkdir("folder")
    for path, message in {
        "pipe": "pipe is a pipe, not a file",
        "loop": "loop cannot be read: Too many levels of symbolic links",
        "folder": "folder is a folder",
        "/dev/zero": "is a device",
        "nothing": "nothing cannot be read: No such file",
        "a\0b": "a\N{REPLACEMENT CHARACTER}b cannot be read: .*embedded null",
    }.items():
        with pytest.raises(CheckpointError, match=message):
            describe_checkpoint(path)


def test_file_without_rights_or_turned_into_a_pipe(told, monkeypatch):
    real_open = os.open
    told(saved(STATE))

    def denied(path, *rest):
        raise PermissionError(errno.EACCES, "Permission denied", path)

    def swapped(path, flags):
        os.mkfifo("pipe")
        return real_open("pipe", flags)

    for instead, message in (
        (denied, "Permission denied"),
        (swapped, "no longer a file"),
    ):
        monkeypatch.setattr(os, "open", instead)
        with pytest.raises(CheckpointError, match=message):
            describe_checkpoint("x")


@pytest.mark.parametrize("path", [3, None, io.BytesIO(), b"x"])
def test_path_of_the_wrong_type_is_named(path):
    with pytest.raises(TypeError, match="path must be a str or a Path, got"):
        describe_checkpoint(path)


# --- one file, two readers: what torch.load could read differently is refused ---------


def two_members(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, P + b"}.")
    return file.getvalue()


def other_locator(data):
    return data[:-34] + struct.pack("<Q", 0) + data[-26:]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (two_members("a/DATA.PKL", "a/data.pkl"), "two members of one name"),
        (two_members("b/data.pkl", "a/data.pkl"), "members outside its folder"),
        (
            two_members("b/x", "a/data.pkl"),
            "no data.pkl beside its first member, 'b/x'",
        ),
        (two_members("a/data.pkl", "x"), "members outside its folder"),
        (
            two_members("a/data.pkl", "a/x_y").replace(b"x_y", b"x\0y"),
            "a member with two names",
        ),
        (other_locator(saved(STATE)), "two places for its zip directory"),
        (
            saved(STATE).replace(b"PK\6\6", b"PK\6\5"),
            "two places for its zip directory",
        ),
    ],
)
def test_archive_that_two_readers_see_differently_is_refused(told, data, message):
    with pytest.raises(CheckpointError, match=message):
        told(data)


# --- hostile files -------------------------------------------------------------------


class Stranger:
    def __reduce__(self):
        return os.mkdir, ("made_by_the_file",)


HOSTILE = {
    "zip": saved({"a": Stranger()}),
    "legacy": saved({"a": Stranger()}, **OLD),
    "pickle": pickle.dumps(Stranger()),
    "by INST": P
    + b"(X\x05\0\0\0folder"[:0]
    + b"("
    + text_of(b"made")
    + b"iposix\nmkdir\n.",
    "by OBJ": P + b"(cposix\nmkdir\n" + text_of(b"made") + b"o.",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickle_is_named_and_not_run(told, tmp_path, name):
    assert "posix.mkdir" in told(HOSTILE[name]).refused
    assert os.listdir(tmp_path) == ["x"]


def test_text_of_a_hostile_file_commands_no_terminal(told):
    found = told(saved({"\x1b[2Jkey\u202e": torch.zeros(1)}))
    assert all(c.isprintable() or c == "\n" for c in str(found))
    assert "\N{REPLACEMENT CHARACTER}[2Jkey" in str(found)


def test_blocked_names_are_refused_even_if_allowed_and_come_first(told):
    names = b"".join(b"cmodule\nname%d\n0" % i for i in range(15))
    found = told(zipped(P + names + b"cposix\nmkdir\n."))
    assert "refuses these\n    posix.mkdir\n    module.name0" in str(found)
    assert "... and 5 more" in str(found)
    with torch.serialization.safe_globals([os.mkdir]):
        assert told(saved(Stranger())).refused == ("posix.mkdir",)
        with pytest.raises(
            pickle.UnpicklingError, match="whose module posix is blocked"
        ):
            torch.load("x")


def test_no_line_is_long_or_looks_like_two(told, monkeypatch):
    key = "weight" + " " * 72 + "  torch.load refuses no name in it"
    text = str(told(saved({key: torch.zeros([1] * 60), "a": Stranger()})))
    assert "torch.load refuses no name" not in text
    assert f"    weight{' ' * 59}…  (1, 1" in text
    header = {"__metadata__": {str(i) * 90: "x" * 900 for i in range(90)}, "a": UNIT}
    long = [text, str(told(safetensors_file(header, b"1234")))]
    name = "y" * 3000
    long.append(str(told(zipped(P + b"c" + b"m" * 900 + b"\n" + b"n" * 900 + b"\n."))))
    for data in (
        zipped(rebuilt(kind=name[:900].encode() + b"Storage")),
        two_members(name[:900]),
        zipped(P + b"N.", root=name[:900], method=zipfile.ZIP_BZIP2),
    ):
        with pytest.raises(CheckpointError) as error:
            told(data)
        long.append(str(error.value))
    assert max(len(line) for text in long for line in text.split("\n")) <= 300


def test_packed_file_tells_both_sizes(told):
    data = zipped(
        rebuilt(b"M\xff\xff", b"M\xff\xff\x85"), method=8, _0=bytes(4 * 65535)
    )
    text = f"packed: the {len(data)} bytes of the file become 262,140 in memory"
    assert text in str(told(data))
    assert "packed" not in str(told(saved(STATE)))


def test_words_of_a_file_import_nothing(told, watched):
    global SEEN
    meta = (
        b"ctorch._utils\n_rebuild_meta_tensor_no_storage\n(ctorch\n_inductor\nK\x02\x85"
    )
    for data in (
        zipped(rebuilt(kind=b"_inductorStorage"), _0=b"12345678"),
        zipped(rebuilt(kind=b"onnxStorage"), _0=b"12345678"),
        zipped(P + meta + b"K\x01\x85\x89tR."),
    ):
        SEEN = []
        try:
            with pytest.raises(
                CheckpointError, match="not known here: (_inductor|onnx)"
            ):
                told(data)
            seen = [
                event for event in SEEN if event[0] != "open"
            ]  # the test's own file
        finally:
            SEEN = None
        assert seen == []


def test_table_of_types_is_torch_s():
    named = {n: d for n, d in vars(torch).items() if isinstance(d, torch.dtype)}
    for name, dtype in named.items():
        if str(dtype) == f"torch.{name}" and name in contents.BITS:
            assert contents.BITS[name] == 8 * dtype.itemsize
    missing = {str(d)[6:] for d in named.values()} - set(contents.BITS)
    assert all(name.startswith(("bit", "float")) for name in missing), missing


LAUGHS = (
    P + b"Nq\0" + b"".join(b"h%ch%c\x86q%c" % (i, i, i + 1) for i in range(100)) + b"."
)
BOMBS = {
    "marks": P + b"(" * 10**6 + b".",
    "dicts": P + b"}" * 10**6 + b".",
    "texts": P + text_of(b"a" * 900) * 10**4 + b".",
    "one text": P + text_of(b"a" * 10**7) + b".",
    "long number": P + b"\x8b" + struct.pack("<i", 10**7) + b"\x7f" * 10**7 + b".",
    "after the end": P + b"N." + bytes(2 * 10**7),
    "names": P + b"ca\nb\n0" * 20_000 + b".",
    "laughs": LAUGHS,
}

LIGHT = ("one text", "long number", "laughs")  # skipped, or small once it is shared


@pytest.mark.parametrize("name", BOMBS)
def test_memory_stays_small_whatever_the_file_unpacks_to(told, monkeypatch, name):
    monkeypatch.setattr(pickle_reader, "STEPS", 5_000)
    monkeypatch.setattr(pickle_reader, "TEXTS", 2**20)
    monkeypatch.setattr(pickle_reader, "BYTES", 12 * 10**6)
    data = zipped(BOMBS[name], method=zipfile.ZIP_DEFLATED)
    assert len(data) < len(BOMBS[name]) / 100 or name == "laughs"
    with no_hang(), memory_below(12 * 2**20):
        try:
            text = str(told(data))
        except CheckpointError as error:
            text = str(error)
    assert len(text) < 2000
    assert "more Python objects than are read here" in text or name in LIGHT


LONG = b"\x8b" + struct.pack("<i", 1000) + b"\x7f" * 1000
EMOJI = text_of("\N{GRINNING FACE}".encode() + b"b" * 200)
STORED = b"(" + text_of(b"storage") + b"ctorch\nFloatStorage\n" + text_of(b"0")
# What a file may hold in any number: the more of it, the more steps it takes.
PER_STEP = {
    "long keys": lambda n: P + b"}" + EMOJI + b"}" + EMOJI + b"](" + b"N" * n + b"ess.",
    "one long number": lambda n: (
        P + b"}(" + LONG + b"q\0N" + b"h\0N" * (n // 2) + b"u."
    ),
    "one storage": lambda n: (
        P + b"](" + STORED + text_of(b"cpu") + b"K\x02tQq\0" + b"h\0" * n + b"e."
    ),
    "tuples": lambda n: P + b"N\x85" * (n // 2) + b".",
    "nested": lambda n: P + b"N" + b"\x85" * n + b".",
    "marks": lambda n: P + b"(" * n + b"N.",
    "dicts": lambda n: P + b"}" * n + b".",
    "memo": lambda n: P + b"".join(b"}r" + struct.pack("<I", i) for i in range(n // 2)),
}


@pytest.mark.parametrize("name", PER_STEP)
def test_what_a_step_costs_keeps_the_shipped_limit_small(told, name):
    """Extrapolate memory and calls, counted, to as many steps as are allowed."""
    events, peaks, steps = [0], [], 3_000

    def count(frame, event, argument):
        events[0] += 1

    def describe():
        with contextlib.suppress(CheckpointError):
            str(describe_checkpoint("x"))

    for factor in (1, 2):  # what is there at any size falls out of the difference
        pickled = PER_STEP[name](factor * steps)
        data = zipped(pickled, method=zipfile.ZIP_DEFLATED, _0=b"12345678")
        pathlib.Path("x").write_bytes(data)
        tracemalloc.start()
        describe()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    previous = sys.getprofile()
    sys.setprofile(count)
    try:
        describe()
    finally:
        sys.setprofile(previous)
    assert (peaks[1] - peaks[0]) / steps * pickle_reader.STEPS < 200e6
    assert events[0] / (2 * steps) < 60  # calls and returns, of Python and of C
    assert pickle_reader.TEXTS * 4 < 100e6
    assert pickle_reader.BYTES < 300e6


def test_one_value_met_often_is_kept_short(told):
    device = P + STORED + LONG + b"K\x02tQ."
    with pytest.raises(CheckpointError, match="in a way that is not PyTorch's"):
        told(zipped(device, _0=b"12345678"))
    source = pickle_reader.Source(io.BytesIO(LONG), pickle_reader.Budget())
    assert pickle_reader.instruction(source)[1].kind == "skipped"
    key = "\N{GRINNING FACE}" * 900
    assert len(told(saved({key: {key: torch.zeros(1)}})).tensors[0].key) <= 200


def directory(count, extra=b""):
    """A zip archive with the same entry again and again."""
    entry = struct.pack("<I24xHHH12x", 0x02014B50, 1, len(extra), 0) + b"a" + extra
    body = entry * count
    end = struct.pack("<4s6xHIIH", b"PK\5\6", count % 2**16, len(body), 4, 0)
    return b"PK\3\4" + body + end


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (directory(50_001), "more than 50,000 members"),
        (directory(1, b"\x99\x99\0\0" * 51), "more than 50,000 members, or one with"),
        (
            zipped(P + b"N.", **{"x" * 1000: b""}),
            "or one with a name or notes of unusual",
        ),
        (
            zipped(P + b"".join(b"ca\n%d\n0" % i for i in range(2_001)) + b"N."),
            "asks for more than 2,000 names",
        ),
    ],
)
def test_more_than_any_real_file_has_is_refused_at_once(told, data, message):
    with memory_below(12 * 2**20), pytest.raises(CheckpointError, match=message):
        told(data)


def test_too_little_memory_gets_a_sentence(told, monkeypatch):
    def none_left(*_):
        raise MemoryError

    monkeypatch.setattr(formats, "read_safetensors", none_left)
    with pytest.raises(CheckpointError, match="x needs more memory than is left"):
        told(save(STATE))


def test_limits_as_they_are_hold_for_a_large_model(told):
    state = {f"layers.{i}.weight": torch.zeros(1) for i in range(3000)}
    assert len(told(saved(state)).tensors) == 3000


def test_too_many_members_or_tensors_are_refused(told, monkeypatch):
    monkeypatch.setattr(formats, "DIRECTORY_BYTES", 100)
    with pytest.raises(CheckpointError, match="zip directory of .* too many members"):
        told(saved(STATE))
    monkeypatch.setattr(contents, "TENSORS", 1)
    with pytest.raises(CheckpointError, match="more tensors than are listed here, 1"):
        told(save(STATE))


# --- fuzzing: FUZZ_CASES=100000 pytest tests/take_home/test_checkpoints.py -k damaged -----------

WATCHED = (
    "pickle.find_class",
    "exec",
    "compile",
    "import",
    "os.",
    "subprocess",
    "socket",
)
ALLOWED = ("os.listdir", "os.scandir")
SEEN: list | None = None


def audit(event, arguments):
    if SEEN is not None and event.startswith(WATCHED) and event not in ALLOWED:
        SEEN.append((event, str(arguments)[:80]))
    if (
        SEEN is not None
        and event == "open"
        and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    ):
        SEEN.append((event, str(arguments)[:80]))


@pytest.fixture(scope="module")
def watched():
    """Make Python report what a description does: imports, calls, files written."""
    sys.addaudithook(audit)  # it stays for the process, and does nothing unless SEEN


def too_slow(*_):
    raise TimeoutError("a description hangs")


@contextlib.contextmanager
def no_hang():
    """Stop what would never end; what is here takes milliseconds."""
    if not hasattr(signal, "SIGALRM"):  # Windows
        yield
        return
    before = signal.signal(signal.SIGALRM, too_slow)
    signal.alarm(60)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class memory_below:
    """Fail if Python's memory grows by more than a limit inside."""

    def __init__(self, limit):
        self.limit = limit

    def __enter__(self):
        tracemalloc.start()

    def __exit__(self, *error):
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert error[0] or peak < self.limit


def test_damaged_files_are_described_or_refused_and_do_nothing(told, watched, tmp_path):
    global SEEN
    files, seed = fuzz.real_files(), int(os.environ.get("FUZZ_SEED", 0))
    outcomes = collections.Counter()
    for data in files.values():  # what Python loads late is loaded now
        (tmp_path / "x").write_bytes(data)
        outcomes["whole"] += bool(quietly(lambda: describe_checkpoint("x")))
    with memory_below(32 * 2**20):
        for number in range(int(os.environ.get("FUZZ_CASES", 2000))):
            name, data = fuzz.case(number, seed, files)
            (tmp_path / "x").write_bytes(data)
            SEEN = []
            try:
                with no_hang():
                    outcomes[bool(quietly(lambda: describe_checkpoint("x")))] += 1
                assert SEEN == []
            except BaseException:
                print(f"FUZZ_SEED={seed}, case {number}, {name}: {data.hex()}")
                raise
            finally:
                SEEN = None
    assert outcomes["whole"] == len(files)
    assert min(outcomes[True], outcomes[False]) > 100  # it is not all the same


def quietly(describe):
    """Return the text, or nothing for a file that is refused."""
    try:
        return str(describe())
    except CheckpointError:
        return ""
