"""Where constants and calibration curves in the code come from."""
