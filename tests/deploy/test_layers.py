"""The search of image layers finds what is hidden there; no engine is needed."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator

import pytest

from tests.deploy import layers
from tests.deploy.layers import CHUNK_BYTES, Chunks, TooMuch, Unreadable, words_in

WORD = "aVeryL0ngPasswordOfTwentyFourBytes"


def tar_of(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return made.getvalue()


def saved(layer: bytes, *, manifest: bytes = b"[]") -> bytes:
    return tar_of({"manifest.json": manifest, "blobs/sha256/1": tar_of({"a": b"x"}), "blobs/sha256/2": layer})


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


LAYER = tar_of({"etc/passwords.json": b'{"risk": "' + WORD.encode() + b'"}', "big": bytes(100_000)})


@pytest.mark.parametrize("layer", [LAYER, gzip.compress(LAYER)], ids=["plain", "gzip"])
@pytest.mark.parametrize("size", [7, 512, 65_536])
def test_a_word_in_a_file_of_a_layer_is_found(layer: bytes, size: int) -> None:
    assert words_in(Chunks(pieces(saved(layer), size)), [WORD, "another"]) == {WORD}


@pytest.mark.parametrize("start", range(CHUNK_BYTES - len(WORD) - 8, CHUNK_BYTES + 9))
def test_a_word_across_two_chunks_is_found(start: int) -> None:
    """Each place in the word meets the border, which is at a chunk's size or a few bytes beyond it."""
    layer = tar_of({"pad": bytes(start - tarfile.BLOCKSIZE) + WORD.encode()})
    assert layer.index(WORD.encode()) == start
    assert words_in(io.BytesIO(saved(layer)), [WORD]) == {WORD}


def test_what_a_build_says_of_itself_is_searched_too() -> None:
    data = saved(tar_of({"a": b"b"}), manifest=f'[{{"Env": ["P={WORD}"]}}]'.encode())
    assert words_in(io.BytesIO(data), [WORD]) == {WORD}


def test_nothing_is_found_where_nothing_is() -> None:
    assert words_in(Chunks(pieces(saved(gzip.compress(LAYER)), 4_096)), [WORD + "x"]) == set()


def test_more_than_was_to_be_read_is_no_clean_answer() -> None:
    bomb = gzip.compress(tar_of({"zeros": bytes(3 * CHUNK_BYTES)}))
    with pytest.raises(TooMuch, match="blobs/sha256/2"):
        words_in(io.BytesIO(saved(bomb)), [WORD], bytes_max=2 * CHUNK_BYTES)


def test_a_layer_that_cannot_be_read_is_no_clean_answer() -> None:
    with pytest.raises(Unreadable, match="zstd"):
        words_in(io.BytesIO(saved(layers.ZSTD + b"x")), [WORD])
    with pytest.raises(gzip.BadGzipFile):
        words_in(io.BytesIO(saved(layers.GZIP + b"no gzip at all")), [WORD])
    cut = saved(LAYER)[:-60_000]
    with pytest.raises(tarfile.ReadError):
        words_in(Chunks(pieces(cut, 4_096)), [WORD])
    with pytest.raises(tarfile.ReadError):
        words_in(io.BytesIO(b"Error response from daemon"), [WORD])


def test_an_empty_word_is_refused() -> None:
    with pytest.raises(ValueError, match="in everything"):
        words_in(io.BytesIO(saved(LAYER)), [""])
