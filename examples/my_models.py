"""Models of your own: each function takes classes and image size, and returns a Keras model.

    catdog run --models transfer,examples/my_models.py:small_resnet

The model takes photos of image_size x image_size x 3 in 0..255 and ends with softmax. It is built
of Keras's own layers. catdog compiles it as its own models, unless the function has done so.
"""

import keras
from keras import layers

MOMENTUM = 0.9
"""Of the statistics that predictions use. Keras's 0.99 lags behind where an epoch has 63 steps."""


def small_resnet(classes: int, image_size: int) -> keras.Model:
    """A residual network of four stages (He et al. 2016, arXiv:1512.03385), from scratch."""
    photos = keras.Input((image_size, image_size, 3))
    maps = layers.RandomFlip("horizontal")(photos)
    maps = layers.RandomRotation(0.05)(maps)
    maps = layers.Rescaling(1 / 127.5, offset=-1)(maps)
    maps = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(maps)
    for filters in (16, 32, 64, 128):
        maps = residual_block(maps, filters)
    features = layers.GlobalAveragePooling2D()(maps)
    features = layers.Dropout(0.2)(features)
    probabilities = layers.Dense(classes, activation="softmax")(features)
    model = keras.Model(photos, probabilities)
    model.compile(keras.optimizers.AdamW(0.002), "sparse_categorical_crossentropy")
    return model


def residual_block(maps: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    """Half the resolution, and two convolutions that add to what is there."""
    straight = layers.Conv2D(filters, 1, strides=2, use_bias=False)(maps)
    maps = layers.Activation("relu")(layers.BatchNormalization(momentum=MOMENTUM)(maps))
    maps = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(maps)
    maps = layers.Activation("relu")(layers.BatchNormalization(momentum=MOMENTUM)(maps))
    maps = layers.Conv2D(filters, 3, padding="same", use_bias=False)(maps)
    return layers.Add()([straight, maps])
