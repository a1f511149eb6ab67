"""Data sets, the student, and the loop that trains it."""
