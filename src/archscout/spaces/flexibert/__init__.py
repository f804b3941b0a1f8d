"""The encoders of FlexiBERT: genotypes, readings, networks."""

from archscout.spaces.flexibert.genotype import EncoderGenotype, EncoderLayer
from archscout.spaces.flexibert.network import FlexibertNetwork
from archscout.spaces.flexibert.space import EncoderScale, FlexibertSpace

__all__ = [
    "EncoderGenotype",
    "EncoderLayer",
    "EncoderScale",
    "FlexibertNetwork",
    "FlexibertSpace",
]
