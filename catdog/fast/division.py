"""A base in two parts: what comes before all that trains, and the rest."""

from typing import Any


def divided(base: Any) -> tuple[Any, Any] | None:
    """The lower part of a partly frozen Keras model, and the upper one, which shares its layers.

    None for what is no model, and for one that trains from its first layer on. Raises ValueError
    where more than one tensor goes in or out, or leads from the lower part to the upper one.
    """
    import keras

    if not isinstance(base, keras.Model):
        return None
    first = next((layer for layer in base.layers if layer.trainable_weights), None)
    (photos,), (maps,) = base.inputs, base.outputs
    if first is None or first.input is photos:
        return None
    return keras.Model(photos, first.input), keras.Model(first.input, maps)
