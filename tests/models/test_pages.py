"""Weights in a mapped file: found, given back, and read again as they were.

Other tests of this process may have mapped models of their own: only differences are compared.
"""

import mmap
import os
import shutil
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from pahq.models.loading import load_model
from pahq.models.pages import Pages, trim_heap
from pahq.paths import models_dir

if not sys.platform.startswith("linux"):
    pytest.skip(
        "only Linux tells which pages are mapped, and takes them back", allow_module_level=True
    )

ROWS, COLUMNS = 512, 1024  # 2 MB a matrix


def values(seed=0):
    return torch.randn(ROWS, COLUMNS, generator=torch.Generator().manual_seed(seed))


def opened(path):
    """Return a file's tensors as transformers takes them: mapped, not read."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict


@pytest.fixture
def weights(tmp_path):
    """Return two matrices and a small vector in a mapped file."""
    path = tmp_path / "model.safetensors"
    save_file({"a": values(0), "b": values(1), "small": torch.arange(7.0)}, path)
    return opened(path)


def ranges_of(pages, weight):
    first = weight.data_ptr()
    return [(start, end) for start, end in pages.ranges if start <= first < end]


def read(*weights):
    """Make weights resident."""
    return [float(weight.sum()) for weight in weights]


def freed(pages, weights):
    before = pages.resident_bytes()
    pages.release(weights)
    return before - pages.resident_bytes()


def test_a_mapped_file_is_found_even_just_after_it_was_written(weights):
    pages = Pages.find()
    for weight in weights.values():
        assert len(ranges_of(pages, weight)) == 1


def test_what_is_read_is_resident_until_it_is_released(weights):
    pages = Pages.find()
    pages.release(weights.values())
    empty = pages.resident_bytes()
    read(weights["a"], weights["b"])
    size = weights["a"].nbytes
    assert pages.resident_bytes() - empty >= 2 * (size - mmap.PAGESIZE)
    assert freed(pages, [weights["a"]]) == pytest.approx(size, abs=2 * mmap.PAGESIZE)
    assert freed(pages, [weights["a"]]) == 0
    assert freed(pages, [weights["b"]]) == pytest.approx(size, abs=2 * mmap.PAGESIZE)


def test_released_weights_read_as_before(weights):
    pages = Pages.find()
    for _ in range(3):
        assert torch.equal(weights["a"], values(0))
        assert torch.equal(weights["b"], values(1))
        assert torch.equal(weights["small"], torch.arange(7.0))
        pages.release(weights.values())


def test_a_page_that_weights_share_can_be_given_back_with_either(weights):
    pages = Pages.find()
    assert read(weights["small"]) == [21.0]
    pages.release([weights["small"]])
    assert torch.equal(weights["b"], values(1))
    assert torch.equal(weights["a"][:, 0], values(0)[:, 0])


@pytest.mark.parametrize(
    "part",
    [lambda w: w[:, 256:512], lambda w: w.mT, lambda w: w[::2], lambda w: w[100:], lambda w: w[3]],
    ids=["columns", "transposed", "every other row", "last rows", "one row"],
)
def test_parts_of_a_weight_are_given_back_by_where_they_lie(weights, part):
    pages, weight = Pages.find(), part(weights["a"])
    read(weights["a"])
    reach = sum((n - 1) * s for n, s in zip(weight.shape, weight.stride(), strict=True)) + 1
    # Everything from its first byte to its last: pages hold the other columns too.
    assert freed(pages, [weight]) == pytest.approx(4 * reach, abs=2 * mmap.PAGESIZE)
    assert torch.equal(weights["a"], values(0))
    assert torch.equal(weight, part(values(0)))


def test_what_lies_in_no_mapped_file_is_left_alone(weights):
    pages, mine = Pages.find(), values(5)
    read(*weights.values())
    assert freed(pages, [mine, mine[:, 3:9], torch.empty(0), torch.tensor(2.0)]) == 0
    assert torch.equal(mine, values(5))


@pytest.mark.parametrize("where", ["first", "last"])
def test_a_mapping_that_was_written_to_is_not_given_back(weights, where):
    row = 0 if where == "first" else -1
    weights["a"][row, 3] = 77.0
    pages = Pages.find()
    assert ranges_of(pages, weights["a"]) == ranges_of(pages, weights["b"]) == []
    pages.release(weights.values())
    assert float(weights["a"][row, 3]) == 77.0


def test_no_pages_release_nothing(weights):
    read(*weights.values())
    known = Pages.find()
    before = known.resident_bytes()
    Pages().release(weights.values())
    assert Pages().resident_bytes() == 0
    assert known.resident_bytes() == before


def test_weights_behind_a_link_are_found_by_their_folder(tmp_path):
    blob = tmp_path / "blobs" / ("0" * 64)
    blob.parent.mkdir()
    save_file({"a": values(0)}, blob)
    folder = tmp_path / "snapshot"
    folder.mkdir()
    (folder / "model.safetensors").symlink_to(blob)
    weight = opened(folder / "model.safetensors")["a"]
    assert ranges_of(Pages.find(), weight) == []
    pages = Pages.find(folder)
    assert len(ranges_of(pages, weight)) == 1
    read(weight)
    assert freed(pages, [weight]) == pytest.approx(weight.nbytes, abs=2 * mmap.PAGESIZE)
    assert torch.equal(weight, values(0))


@pytest.mark.parametrize("layout", ["plain", "hub"])
def test_a_loaded_models_weights_are_mapped(tmp_path, layout):
    """The hub's cache holds links to files that are named by their hash."""
    folder = shutil.copytree(models_dir() / "tiny-gpt", tmp_path / "tiny")
    if layout == "hub":
        file = folder / "model.safetensors"
        os.replace(file, tmp_path / "0123abcd")
        file.symlink_to(tmp_path / "0123abcd")
    loaded = load_model(str(folder), device=torch.device("cpu"))
    weight = loaded.weights.blocks[2].mlp.into
    assert len(ranges_of(loaded.pages, weight)) == 1
    before = weight.clone()
    # Its first and its last page may be shared.
    assert freed(loaded.pages, [weight]) >= weight.nbytes - 2 * mmap.PAGESIZE
    assert torch.equal(weight, before)


def test_a_heap_can_be_trimmed_at_any_time():
    big = [torch.ones(1 << 18) for _ in range(20)]
    kept = big[3]
    del big
    trim_heap()
    assert float(kept.sum()) == 1 << 18
