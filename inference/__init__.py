"""A video becomes clips, and clips become an answer. numpy, av and one runtime: no torch."""
