"""What people rename or download by mistake: told by its first bytes, and what to do."""

from __future__ import annotations

import codecs
import re

RETRY = "The download went wrong; fetch the file itself"

# (a pattern of the first bytes, what the file is, what to do)
FOREIGN = [
    (rb"version https://git-lfs", "is a Git LFS pointer", "Run git lfs pull"),
    (rb"\s*<", "begins like a web page", RETRY),
    (rb"HTTP/\d", "begins like a server's answer", RETRY),
    (rb'\s*\{.*"weight_map"', "is the JSON index of a model in several files",
     "Load the files that it names, one after the other"),
    (rb"\s*[{\[]\s*[\"{\[\]}\d]", "is JSON, which holds no tensors", "Open it with json.load"),
    (rb"\x1f\x8b", "is packed with gzip", "Unpack it with gunzip"),
    (rb"BZh\d", "is packed with bzip2", "Unpack it with bunzip2"),
    (rb"\xfd7zXZ\0", "is packed with xz", "Unpack it with unxz"),
    (rb"\x5d\0\0", "is packed with LZMA", "Unpack it with unlzma"),
    (rb"x[\x01\x5e\x9c\xda]", "is packed with zlib, as joblib does",
     "Try joblib.load, which runs its code"),
    (rb"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive", "Unpack it with 7z x"),
    (rb"Rar!\x1a", "is a RAR archive", "Unpack it with unrar x"),
    (rb"\x28\xb5\x2f\xfd", "is packed with Zstandard", "Unpack it with zstd -d"),
    (rb"\x04\x22\x4d\x18", "is packed with LZ4", "Unpack it with lz4 -d"),
    (rb"\x89HDF", "is an HDF5 file, as Keras writes", "Open it with h5py"),
    (rb"GGUF", "is a GGUF file", "Open it with the gguf package"),
    (rb"(lmgg|tjgg|fmgg)", "is a GGML file", "Convert it to GGUF with llama.cpp"),
    (rb".{4}TFL3", "is a TensorFlow Lite model", "Open it with tf.lite.Interpreter"),
    (rb".{4}ET\d\d", "is an ExecuTorch program (.pte)", "Run it with ExecuTorch"),
    (rb"\x08\x01\x12", "is a TensorFlow SavedModel",
     "Open its folder with tf.saved_model.load"),
    (rb"\x08[\x02-\x20]([\x12\x1a\x22\x32\x3a\x42])", "is an ONNX model",
     "Open it with onnx.load"),
    (rb"([\x81-\x8f]|\xde..|\xdf....)([\xa1-\xbf]|\xd9.)[ -~]{2}", "is MessagePack, as Flax writes",
     "Open it with flax.serialization.msgpack_restore"),
    (rb"\x12\x01\0\0\0\0\0\0", "is an MXNet parameter file", "Open it with mxnet.nd.load"),
    (rb"MATLAB 5", "is a MATLAB file", "Open it with scipy.io.loadmat"),
    (rb"PAR1", "is a Parquet table", "Open it with pandas.read_parquet"),
    (rb"ARROW1", "is an Arrow file", "Open it with pyarrow.ipc.open_file"),
    (rb"SQLite format 3\0", "is an SQLite database", "Open it with sqlite3"),
    (rb"%PDF", "is a PDF document", RETRY),
    (rb"\x89PNG|\xff\xd8\xff|GIF8", "is a picture", RETRY),
    (rb"\x7fELF|MZ\x90\0", "is a compiled program or library", RETRY),
]  # fmt: skip

# (a pattern of some member's name, what the zip archive is, what to do)
ZIPS = [
    # The second, up to PyTorch 2.7.
    (r".*/archive_format$|serialized_exported_program\.json$",
     "is a program saved by torch.export.save (.pt2)", "Load it with torch.export.load"),
    (r"model\.weights\.h5$", "is a Keras model (.keras)", "Open it with keras.saving.load_model"),
    (r"MAR-INF/", "is a TorchServe archive (.mar)", "Unpack it, and look at the file inside"),
    (r"\[Content_Types\]\.xml$", "is an Office document", RETRY),
    (r"META-INF/MANIFEST\.MF$", "is a Java archive", RETRY),
]  # fmt: skip
INSIDE = re.compile(r".*\.(pt|pth|bin|ckpt|safetensors|pkl|npy)$")


def foreign(head: bytes) -> tuple[str, str] | None:
    """Return what a file is and what to do, by its first bytes; None if unknown."""
    for pattern, what, advice in FOREIGN:
        if re.match(pattern, head, re.S):
            return what, advice
    return None


def foreign_text(head: bytes) -> tuple[str, str]:
    """Return how a file of no known kind begins, as text if it is one."""
    code = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    try:  # the last character may be cut
        text = codecs.getincrementaldecoder(code)().decode(head).strip()
    except UnicodeDecodeError:
        text = ""
    if text and all(c.isprintable() or c in "\t\r\n" for c in text):
        return f"is a text that begins {text.splitlines()[0][:40]!r}", RETRY
    return (
        f"begins with {head[:4].hex(' ')}, which no checkpoint format does",
        "Look where it came from",
    )


def foreign_zip(names: list[str]) -> tuple[str, str]:
    """Return what a zip archive of other members is, and what to do."""
    if not names:
        return "is an empty zip archive", "Copy it again"
    for pattern, what, advice in ZIPS:
        if any(re.match(pattern, name) for name in names):
            return what, advice
    inside = next((name for name in names if INSIDE.match(name)), None)
    return (
        f"is a zip archive with no data.pkl beside its first member, {names[0][:66]!r}",
        f"Unpack it, and describe {inside[:66]!r} in it"
        if inside
        else "Unpack it first",
    )
