"""What is known of the sample: its size, its seed and its names."""

TRAIN = 600
VALIDATION = 200
SEED = 1
"""Fixed: a run with another training seed is a run on the same photos."""
SPECIES = ("cat", "dog")


def photo_path(split: str, species: str, number: int) -> str:
    """Where a photo of the sample lies, by its number from 1."""
    return f"{split}/{species}s/drawn-{species}-{number:04}.jpg"


HELD_OUT = tuple(
    tuple(photo_path("validation", species, n + 1) for n in range(VALIDATION // len(SPECIES)))
    for species in SPECIES
)
"""Its validation photos, by class."""
