"""Other processors, tried on this one: the libraries are told to use older instruction sets."""

import os

PROCESSORS: dict[str, dict[str, str]] = {
    "this one": {},
    # Which wait for each other without work, for other tests may have the second processor.
    "two threads": {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"},
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "the oldest": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "COMPATIBLE",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
    },
}


def environment(processor: str) -> dict[str, str]:
    """Of a process that shall run as on that processor, on one thread unless it says otherwise."""
    return {**os.environ, "OMP_NUM_THREADS": "1", **PROCESSORS[processor]}
