"""A base in two parts: what comes before all that trains, and the rest."""

from typing import Any


def divided(base: Any) -> tuple[Any, Any] | None:
    """The lower part of a partly frozen Keras model, and the upper one, which shares its layers.

    None for what is no model of layers, and for one that trains from its first weights on. Raises
    ValueError when more than one tensor leads from the lower part to the upper one, and
    AttributeError when a layer is used twice.
    """
    import keras

    if not isinstance(base, keras.Model) or len(base.trainable_weights) == len(base.weights):
        return None
    joints = _joints(base)
    if len(joints) != 1:
        raise ValueError(f"what is frozen ends in {len(joints)} places")
    (joint,) = joints
    if joint is base.inputs[0]:
        return None
    return keras.Model(base.inputs, joint), keras.Model(joint, base.outputs)


def _joints(base: Any) -> list[Any]:
    """The tensors that what trains, or depends on it, takes from what does not."""
    import keras

    moving, joints = set[int](), {}
    for layer in base.layers:  # each comes behind those whose outputs it takes
        if isinstance(layer, keras.layers.InputLayer):
            continue
        inputs = keras.tree.flatten(layer.input)
        if layer.trainable_weights or any(id(tensor) in moving for tensor in inputs):
            joints |= {id(tensor): tensor for tensor in inputs if id(tensor) not in moving}
            moving |= {id(tensor) for tensor in keras.tree.flatten(layer.output)}
    return list(joints.values())
