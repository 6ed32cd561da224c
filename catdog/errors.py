"""Problems that a user can mend."""


class CatdogError(Exception):
    """One line for the user: what is wrong, where, and what to do about it.

    Anything else that is raised is a bug of ours and keeps its traceback.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}".strip()


class SettingsError(CatdogError):
    """A setting, flag or environment variable has a wrong name or value."""


class SourceError(CatdogError):
    """The photos cannot be fetched, unpacked or found."""


class PhotosError(CatdogError):
    """The photos were found but cannot be used as a data set."""


class StoreError(CatdogError):
    """The artifact store cannot be read or written."""


class TrainingError(CatdogError):
    """A model cannot be built, trained or loaded."""
