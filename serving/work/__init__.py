"""From an upload to an answer: admission, decoding, batches, the engine."""
