"""Which encoders are one network."""

from archscout import spaces
from archscout.spaces.flexibert.readings import plan


def test_architectures_share_a_fingerprint_where_they_share_a_network():
    space = spaces.get("flexibert")
    encoders = space.published_sample
    for reading, least in (("declared", 0), ("scored", 10), ("trained", 100)):
        scale = space.scales["fast"].resized(reading=reading)
        marks = [spaces.network_fingerprint(space, each, scale) for each in encoders]
        pairs = set(zip(marks, (plan(each, reading) for each in encoders), strict=True))
        assert len(pairs) == len(set(marks)) == len({each for _, each in pairs})
        assert len(set(encoders)) - len(pairs) >= least


def test_what_is_read_as_it_is_keeps_its_fingerprint():
    for name in ("rnn", "flexibert"):
        space = spaces.get(name)
        sample = space.sample(0)
        scale = space.scales[space.default_scale]
        assert spaces.network_fingerprint(space, sample, scale) == space.fingerprint(sample)
