"""Decoders, as GPT-2 and Llama: genotypes, networks."""

from archscout.spaces.gpt.genotype import DecoderGenotype
from archscout.spaces.gpt.network import DecoderNetwork
from archscout.spaces.gpt.space import DecoderScale, GptSpace

__all__ = ["DecoderGenotype", "DecoderNetwork", "DecoderScale", "GptSpace"]
