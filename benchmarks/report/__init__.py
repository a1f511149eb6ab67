"""What dropping optical flow saves, and what it costs: measured, and told in one document."""
