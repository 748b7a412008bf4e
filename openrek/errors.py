"""What the operator has to put right. Commands print the message and exit with 1."""


class OperatorError(Exception):
    """The message says what is wrong and, where it is not plain, what to do."""


class SettingError(OperatorError):
    """A setting has a value that cannot be used; the message names the variable."""


class HomeInUse(OperatorError):
    """Another OpenRek runs on this home; the message names its process id."""


class HomeUnusable(OperatorError):
    """The home folder, or a file in it, cannot be used."""


class PortInUse(OperatorError):
    """The API's address cannot be listened on."""


class PartFailed(OperatorError):
    """A process or a step did not get ready; the message says which and shows the end of its log."""


class ProgramMissing(OperatorError):
    """A server that should have come with the packages is not there."""


class UnusableGallery(OperatorError):
    """Files of celebrities that cannot be imported as they are, or a place that they cannot be exported to."""
