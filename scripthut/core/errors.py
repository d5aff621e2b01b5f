"""The errors the program raises on purpose; the message is a sentence for the person."""


class HutError(Exception):
    """Something a person can be told about."""


# What a value that nobody foresaw raises: caught where one task, or one document, must not stop
# the others, and logged there.
BROKEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Unreachable(HutError):
    """A machine did not answer, or its answer was cut. Nothing may be concluded from it."""


class Refused(HutError):
    """A machine, a scheduler or a rule said no; its own words are in the message."""


class BadAnswer(Unreachable):
    """A machine answered with something that cannot be understood: as good as no answer."""


class NotFound(HutError):
    """There is no such thing, or it is not for the caller."""


class Conflict(HutError):
    """The thing is not in a state in which this can be done."""


class Invalid(Refused):
    """A document or a configuration with problems, each named by its place."""

    def __init__(self, what: str, problems: list[str]) -> None:
        super().__init__(f"{what}: {'; '.join(problems)}")
        self.what = what
        self.problems = problems


class Missing(Invalid):
    """A file or directory that was named is not there."""

    def __init__(self, what: str) -> None:
        super().__init__(what, ["there is nothing of that name"])
