"""The answers that OpenAPI shows. Made up, but of the right form: a test holds that."""

from typing import Any

EXAMPLE_ANSWER: dict[str, Any] = {
    "label": "Biking",
    "top": [{"label": "Biking", "score": 0.91}, {"label": "HorseRiding", "score": 0.06}],
    "clips": [
        {"start_seconds": 1.15, "end_seconds": 1.95},
        {"start_seconds": 5.05, "end_seconds": 5.85},
    ],
    "embedding": [0.6, -0.8],
    "timeline": {
        "stride_seconds": 3.9,
        "windows": [
            {"start_seconds": 1.15, "end_seconds": 1.95, "label": "Biking", "score": 0.95},
            {"start_seconds": 5.05, "end_seconds": 5.85, "label": "Biking", "score": 0.87},
        ],
        "segments": [
            {"start_seconds": 1.15, "end_seconds": 5.85, "label": "Biking", "score": 0.91}
        ],
    },
    "video": {
        "container": "mov",
        "codec": "h264",
        "width": 640,
        "height": 272,
        "frame_rate": 25.0,
        "duration_seconds": 10.0,
        "notes": [],
    },
    "timings_ms": {
        "receive": 3.1,
        "queue": 0.1,
        "decode": 61.2,
        "batch": 0.2,
        "infer": 12.5,
        "post": 0.2,
        "total": 78.2,
    },
    "model": {"name": "student", "version": "0123456789ab"},
}

EXAMPLE_MODEL: dict[str, Any] = {
    "name": "student",
    "version": "0123456789ab",
    "labels": ["Biking", "HorseRiding"],
    "clip": {
        "num_frames": 8,
        "frame_rate": 10.0,
        "short_side": 72,
        "crop": 64,
        "mean": [0.43216, 0.394666, 0.37645],
        "std": [0.22803, 0.22145, 0.216989],
        "num_clips": 4,
        "temperature": 1.0,
        "abstain_threshold": 0.0,
    },
    "files": {"model.onnx": "0123456789ab" + "0" * 52},
    "backend": "onnxruntime/cpu",
}
