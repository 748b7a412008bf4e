"""What a stored video may be (limits.md section 3); what is beyond is InvalidVideo."""

CODECS = ("h264", "hevc")
"""FFmpeg's names. H.265 is more than the service takes."""
FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,avi"
"""FFmpeg's names of the readers that a file may reach: MP4 and MOV (one reader), and AVI."""
MOST_BYTES = 10 * 1000**3
MOST_SECONDS = 6 * 3600
MOST_SIDE = 8192
"""Pixels of a stored frame to a side."""
MOST_PIXELS = 8192 * 4352
"""Pixels of a stored frame: those of the largest pictures that H.264 and H.265 have a level for."""
SHOWN_PIXELS = 4096 * 2304
"""Larger frames come out at half their size."""
