"""Seeds of steps."""

import pytest
import torch

from archscout.training.seeds import seed_of, seeded


@pytest.mark.parametrize("has_accelerator", [False, True])
def test_a_step_is_seeded_as_torch_seeds_all(
    has_accelerator: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: has_accelerator)
    with torch.random.fork_rng():
        torch.manual_seed(seed_of(3, 2, 8))
        expected = torch.rand(4)
        real = torch.manual_seed
        monkeypatch.setattr(torch, "manual_seed", lambda seed: (seeds.append(seed), real(seed)))
        seeded(3, 2, 7)
        assert torch.equal(torch.rand(4), expected)
    assert seeds == ([seed_of(3, 2, 8)] if has_accelerator else [])
