import subprocess
import sys

SCRIPT = """
import sys
from catdog.library import _prepare_tensorflow
_prepare_tensorflow()
assert "tensorflow" in sys.modules
print("mine", file=sys.stderr)
"""


def test_tensorflow_starts_without_a_word_to_the_user() -> None:
    done = subprocess.run(  # noqa: S603  our own script
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=120
    )
    assert (done.stdout, done.stderr) == ("", "mine\n")
