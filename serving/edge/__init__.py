"""What stands before the work: limits, uploads, slow clients, keys, request ids, logs."""
