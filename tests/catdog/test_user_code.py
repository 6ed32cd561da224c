"""A user's function runs as its file stands, and what it returns is used or refused in one line."""

import sys
from pathlib import Path
from typing import Any

import pytest

from catdog.errors import TrainingError
from catdog.models import build_model

SIZE = 32
HEAD = """\
import keras
from keras import layers


class Mine(layers.Layer):
    def call(self, values):
        return values


@keras.saving.register_keras_serializable()
class Registered(Mine):
    pass


def own_loss(truth, found):
    return found[:, 0]


def build(classes, size, *more, activation="softmax", outputs=None):
    photos = keras.Input((size, size, 3))
    values = layers.Flatten()(layers.AveragePooling2D(8)(photos))
    for layer in more:
        values = layer(values)
    dense = layers.Dense(outputs or classes, activation=activation)
    return keras.Model(photos, dense(values))


"""


def write(folder: Path, body: str) -> str:
    (folder / "models.py").write_text(f"{HEAD}def net(classes, size):\n{body}", encoding="utf-8")
    return f"{folder}/models.py:net"


def built(reference: str) -> Any:
    return build_model(reference, classes=2, image_size=SIZE)


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ("    return {}['unet']\n", [", line 29", "KeyError: 'unet'"]),
        ("    raise SystemExit('usage: net')\n", [", line 29", "SystemExit: usage: net"]),
        ("    import no_such_library\n", ["No module named 'no_such_library'"]),
        ("    return [classes]\n", ["returns a list, not a Keras model"]),
        ("    return keras.Model()\n", ["keras.Sequential, or keras.Model(inputs, outputs)"]),
        ("    return build(classes, size // 2)\n", ["(None, 16, 16, 3) into (None, 2)"]),
        ("    return build(classes, size, outputs=1)\n", ["(None, 1)", "(None, 2)"]),
        ("    return build(classes, size, activation=None)\n", ["let it end with softmax"]),
        ("    return build(classes, size, layers.Rescaling(float('inf')))\n", ["gives NaN"]),
        ("    return build(classes, size, Mine())\n", ["Keras's own (Mine)"]),
        ("    return build(classes, size, Registered())\n", ["Keras's own (Registered)"]),
        ("    return build(classes, size, layers.Lambda(lambda x: x))\n", ["lambda"]),
    ],
)
def test_a_model_that_cannot_be_used_is_one_line_that_names_its_file(
    tmp_path: Path, body: str, parts: list[str]
) -> None:
    with pytest.raises(TrainingError) as caught:
        built(write(tmp_path, body))
    message = str(caught.value)
    assert "\n" not in message
    for part in [str(tmp_path / "models.py"), "'net'", *parts]:
        assert part in message


def test_what_the_function_has_not_compiled_is_compiled_as_ours(tmp_path: Path) -> None:
    ours, model = built("baseline"), built(write(tmp_path, "    return build(classes, size)\n"))
    made = [each.optimizer.get_config() | {"name": ""} for each in (ours, model)]
    assert made[0] == made[1]
    assert type(model.loss) is type(ours.loss)


def test_an_optimizer_and_a_loss_of_its_own_stay(tmp_path: Path) -> None:
    body = (
        "    model = build(classes, size)\n"
        "    model.compile(keras.optimizers.SGD(0.5), own_loss)\n"
        "    return model\n"
    )
    model = built(write(tmp_path, body))
    assert (type(model.optimizer).__name__, float(model.optimizer.learning_rate)) == ("SGD", 0.5)
    assert model.loss.__name__ == "own_loss"


def test_a_sequential_model_needs_no_input(tmp_path: Path) -> None:
    body = (
        "    return keras.Sequential([layers.Flatten(), layers.Dense(classes), layers.Softmax()])\n"
    )
    assert built(write(tmp_path, body)).output_shape == (None, 2)


def test_what_runs_is_the_code_as_it_stands_and_nothing_of_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python would keep the modules of the first time, and bytecode of the same second."""
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "own_nets"
    (package / "parts").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "nets.py").write_text(
        f"from .parts.sizes import SIZE\n{HEAD}"
        "def net(classes, size):\n"
        "    from own_nets.parts import sizes\n"
        "    return build(classes, size, layers.Dense(SIZE), layers.Dense(sizes.SIZE))\n"
    )
    before = set(sys.modules), list(sys.meta_path), list(sys.path)
    for units in (3, 5):
        (package / "parts" / "sizes.py").write_text(f"SIZE = {units}\n")
        model = built("own_nets.nets:net")
        assert [layer.units for layer in model.layers[-3:]] == [units, units, 2]
        assert not {name for name in sys.modules if name.startswith("own_nets")}
    assert (list(sys.meta_path), list(sys.path)) == before[1:]


def test_a_file_imports_the_modules_beside_it_and_not_those_that_have_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "own_sizes.py").write_text("SIZE = 3\n")
    (tmp_path / "own_sizes.py").write_text("SIZE = 5\n")
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    import own_sizes

    reference = write(
        tmp_path,
        "    import own_sizes\n    return build(classes, size, layers.Dense(own_sizes.SIZE))\n",
    )
    assert built(reference).layers[-2].units == 5
    assert sys.modules["own_sizes"] is own_sizes
    del sys.modules["own_sizes"]
