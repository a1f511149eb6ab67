"""MotionFit beside its controls, with few labels and many unlabelled videos: trained and told."""
