"""What a request is refused with."""


class Problem(Exception):
    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status
        self.message = message


def not_found(message: str) -> Problem:
    return Problem(404, f"Not found: {message}")


def bad_request(message: str) -> Problem:
    return Problem(400, f"Wrong input: {message}")


def not_here(what: str) -> Problem:
    """A thing that a Qdrant server can do and the double cannot: said, never guessed."""
    return Problem(501, f"the qdrant double does not implement {what}")
