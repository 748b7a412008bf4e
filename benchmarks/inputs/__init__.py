"""Pictures, clips and vectors that are made, not collected."""
