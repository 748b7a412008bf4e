"""What can go wrong between a picture and its answer, in the words of this room."""


class InferenceError(Exception):
    """Inference failed."""


class InvalidImage(InferenceError):
    """The bytes are not a JPEG or PNG picture that can be decoded."""


class ImageTooSmall(InferenceError):
    """The picture is smaller than the task needs."""


class ImageDimensionsTooLarge(InferenceError):
    """The picture has more pixels to a side than is accepted."""

    def __init__(self, width: int, height: int, limit: int) -> None:
        super().__init__(f"{width} x {height} exceeds {limit} pixels to a side")
        self.width, self.height, self.limit = width, height, limit


class UnknownFaceModel(InferenceError):
    """The model server has not loaded the asked face model."""


class Overloaded(InferenceError):
    """The model server's queue is full; try again later."""


class CallerGone(InferenceError):
    """The caller hung up or took its request back before the answer was there."""


class InferenceUnavailable(InferenceError):
    """The model server cannot be reached."""


class EngineUnavailable(InferenceError):
    """The asked execution device is not usable on this machine."""


class InvalidVideo(InferenceError):
    """The file is not a video that can be analysed. Its text is meant for the owner of the video."""
