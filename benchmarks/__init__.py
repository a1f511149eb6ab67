"""Speed and accuracy, measured so that they can be believed and repeated."""
