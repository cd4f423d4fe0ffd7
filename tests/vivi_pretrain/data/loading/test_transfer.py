"""Memory of batches is reused only when nobody holds them any more."""

import gc

import torch

from vivi_pretrain.data.loading.transfer import Transfer


def test_memory_that_is_held_is_never_handed_out_again() -> None:
    transfer = Transfer("cpu")
    held = []
    for i in range(10):
        tensor = transfer.buffer((2, 3, 4))
        tensor.fill_(i)
        # A view, or NumPy's view of the tensor, is enough to hold it.
        held.append([tensor, tensor.permute(2, 0, 1)[1:], torch.from_numpy(tensor.numpy()[0])][i % 3])
        del tensor
        gc.collect()
    assert all((tensor == i).all() for i, tensor in enumerate(held))


def test_memory_comes_back() -> None:
    transfer = Transfer("cpu")
    first = transfer.buffer((64, 64))
    address = first.data_ptr()
    del first
    second = transfer.buffer((60, 64))
    assert second.data_ptr() == address
    third = transfer.buffer((64, 64))
    assert third.data_ptr() != address
    del second
    # Not for batches that are much smaller: memory would stay taken by what needs little.
    assert transfer.buffer((8, 8)).data_ptr() != address


def test_on_the_cpu_nothing_is_copied() -> None:
    transfer = Transfer("cpu")
    tensor = transfer.buffer((3, 5))
    assert transfer.finish(transfer.start(tensor)).data_ptr() == tensor.data_ptr()
