"""What can go wrong with model packs; the docstring of each class is its message."""


class PackError(Exception):
    """A model pack could not be used."""

    def __init__(self, **details: object) -> None:
        self.details = details
        super().__init__((type(self).__doc__ or "").format(**details))


class UnknownPack(PackError):
    """There is no model pack named {pack!r}; known packs: {known}."""


class ModelMissing(PackError):
    """The network {network!r} of the model pack {pack!r} is not installed; run `openrek models pull {pack}`."""


class LicenceNotAccepted(PackError):
    """The model pack {pack!r} comes under the licence {licence!r}, which has to be accepted explicitly.

    {text}

    To accept it: openrek models pull {pack} --accept-licence {licence}"""


class SourceUnavailable(PackError):
    """The source {source!r} could not be fetched: {reason}"""


class DigestMismatch(PackError):
    """The file {file!r} of the source {source!r} is not the one the catalogue names: its SHA-256 is {actual}, expected {expected}. Nothing was installed from it."""  # noqa: E501


class UnreadableModel(PackError):
    """{file} cannot be imported: {reason}"""


class CheckFailed(PackError):
    """The network {network!r} was not installed, its numeric check failed: {reason}"""


class UnsupportedOperator(PackError):
    """The node {node!r} of the graph cannot be converted: operator {operator} {reason}"""
