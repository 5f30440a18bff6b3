"""What a file is by its first bytes, before any parser sees it."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from fitwright.graph.refusal import refused, shown

PROTOBUF_LIMIT_BYTES = (1 << 31) - 1
_HEAD_BYTES = 512
_EXPORT = "Export it to ONNX first, for example with torch.onnx.export(model, args, 'model.onnx')."

_FORMATS: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive (a torch checkpoint, a .keras file or an .npz)", _EXPORT),
    (b"\x80\x02", "a pickle, which can run code when opened", _EXPORT),
    (b"\x80\x03", "a pickle, which can run code when opened", _EXPORT),
    (b"\x80\x04", "a pickle, which can run code when opened", _EXPORT),
    (b"\x80\x05", "a pickle, which can run code when opened", _EXPORT),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras weights)", _EXPORT),
    (b"GGUF", "a GGUF file", _EXPORT),
    (b"\x1f\x8b", "a gzip archive", "Unpack it and name the .onnx file inside."),
    (b"BZh", "a bzip2 archive", "Unpack it and name the .onnx file inside."),
    (b"\xfd7zXZ", "an xz archive", "Unpack it and name the .onnx file inside."),
    (b"(\xb5/\xfd", "a zstd archive", "Unpack it and name the .onnx file inside."),
    (b"\x93NUMPY", "a NumPy array", "Name the model; data belongs under 'data:' in the contract."),
    (b"\x7fELF", "a program or shared library", "Name the .onnx file of the model."),
    (b"%PDF", "a PDF document", "Name the .onnx file of the model."),
    (b"\x89PNG", "a picture", "Name the .onnx file of the model."),
    (b"ORTM", "an ONNX Runtime .ort file", "Name the .onnx file it was made from."),
)
_MAGIC_INSIDE: tuple[tuple[int, bytes, str], ...] = (
    (4, b"TFL3", "a TensorFlow Lite file"),
    (4, b"ORTM", "an ONNX Runtime .ort file"),
    (8, b'{"', "a safetensors file: weights without a graph"),
    (257, b"ustar", "a tar archive"),
)


def require_model_file(path: Path) -> None:
    """Refuse whatever cannot be an ONNX file: by type, by permission, by first bytes."""
    size = _require_regular(path)
    head = _head(path)
    _require_not_text(path, head)
    for magic, what, remedy in _FORMATS:
        if head.startswith(magic):
            raise _foreign(path, what, remedy)
    for offset, magic, what in _MAGIC_INSIDE:
        if head[offset : offset + len(magic)] == magic:
            raise _foreign(path, what, _EXPORT)
    if size > PROTOBUF_LIMIT_BYTES:
        raise refused(
            "FW209",
            f"'{shown(path)}' has {size:,} bytes; a protobuf file ends at 2 GiB.",
            "Save the weights as external data: onnx.save(model, path, save_as_external_data=True)",
        )


def _require_regular(path: Path) -> int:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise refused(
            "FW200",
            f"There is no file '{shown(path)}'.",
            "Check the path; in a contract it is relative to the contract's folder.",
        ) from None
    except PermissionError:
        raise _forbidden(path) from None
    except (OSError, ValueError) as e:
        raise refused(
            "FW200", f"'{shown(path)}' cannot be opened: {shown(e)}.", "Check the path."
        ) from None
    if stat.S_ISDIR(status.st_mode):
        inside = sorted(p.name for p in path.glob("*.onnx"))[:3] if os.access(path, os.R_OK) else []
        found = f" It holds {', '.join(map(shown, inside))}." if inside else ""
        raise refused(
            "FW201", f"'{shown(path)}' is a directory.{found}", "Name the .onnx file itself."
        )
    if not stat.S_ISREG(status.st_mode):
        raise refused(
            "FW205", f"'{shown(path)}' is not a regular file.", "Name the .onnx file itself."
        )
    if status.st_size == 0:
        raise refused(
            "FW202",
            f"'{shown(path)}' is empty.",
            "Export or download it again, then check its size.",
        )
    return status.st_size


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except PermissionError:
        raise _forbidden(path) from None
    except OSError as e:
        code = errno.errorcode.get(e.errno or 0, "error")
        raise refused(
            "FW208", f"'{shown(path)}' cannot be read ({code}).", "Check the disk and the mount."
        ) from None


def _require_not_text(path: Path, head: bytes) -> None:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"version https://git-lfs.github.com/spec/"):
        raise refused(
            "FW204",
            f"'{shown(path)}' is a Git LFS pointer: the model itself was not downloaded.",
            "Run 'git lfs install && git lfs pull' in that repository, then try again.",
        )
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
        raise refused(
            "FW203",
            f"'{shown(path)}' is an HTML or XML page, saved from a browser perhaps.",
            "Download the raw file (look for a 'download' or 'raw' link), then check its size.",
        )
    if text.startswith((b"{", b"[", b"#!", b"import ", b"from ", b"model:")):
        raise _foreign(path, "a text file", "Name the .onnx file of the model.")


def _forbidden(path: Path) -> Exception:
    return refused(
        "FW208",
        f"'{shown(path)}' may not be read by this user.",
        f"Allow it: chmod u+r '{shown(path)}' (and u+x on its folders).",
    )


def _foreign(path: Path, what: str, remedy: str) -> Exception:
    return refused("FW205", f"'{shown(path)}' is {what}, not an ONNX model.", remedy)
