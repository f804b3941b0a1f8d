"""Encoders that have a name in the literature, as genotypes."""

from archscout.spaces.flexibert.genotype import EncoderGenotype, EncoderLayer


def _bert(hidden_size: int, num_layers: int, num_heads: int) -> EncoderGenotype:
    layer = EncoderLayer(
        operation_type="SA",
        operation_parameter="SDP",
        num_operation_heads=num_heads,
        feed_forward_dimension=4 * hidden_size,
        num_feed_forward=1,
    )
    return EncoderGenotype(hidden_size=hidden_size, layers=(layer,) * num_layers)


# Turc et al. 2019, "Well-read students learn better", table 1: the sizes that lie in this space.
ENCODERS = {"bert-tiny": _bert(128, 2, 2), "bert-mini": _bert(256, 4, 4)}
