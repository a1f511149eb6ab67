"""Write odd.json beside this script: what FFmpeg's own programs make of the odd videos.

    python tests/inference/golden/make.py ../shared/data/odd

needs ffmpeg and ffprobe, 5.1 or newer; the tests need neither. Per file that ffprobe can read:

- ``times_us``: when each frame is shown, in the file's own clock; ``last_us``: for how long the
  last one is; null where ffprobe does not say;
- ``size`` as coded, ``aspect`` of a pixel, ``turn`` in degrees, ``codec``: of the video stream;
- ``colours``: for the first, the middle and the last frame the mean R, G, B of 4 x 4 equal parts
  of the upright picture, row by row, scaled by ffmpeg to a short side of 72 with the flags
  bilinear, accurate_rnd, full_chroma_int and bitexact; matrix, range and place of the chroma
  samples as tagged; untagged BT.709 from 720 lines up, BT.601 below, limited range.
"""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

FLAGS = "bilinear+accurate_rnd+full_chroma_int+bitexact"
PARTS = 4
SHORT_SIDE = 72
MATRICES = {"bt709": "bt709", "bt2020nc": "bt2020", "bt470bg": "bt601", "smpte170m": "bt601"}
CHROMA_PLACES = {"left": (0, 128), "center": (128, 128), "topleft": (0, 0)}


def main() -> None:
    folder = Path(sys.argv[1])
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if probed := probe(path):
            files[str(path.relative_to(folder))] = probed
            print(path, len(probed["times_us"]), "frames")
    made_with = run("ffprobe", "-version").decode().splitlines()[0]
    lines = [f"  {json.dumps(name)}: {json.dumps(files[name])}" for name in files]
    text = f'{{"made_with": {json.dumps(made_with)}, "files": {{\n' + ",\n".join(lines) + "\n}}\n"
    Path(__file__).with_name("odd.json").write_text(text)


def probe(path: Path) -> dict[str, Any] | None:
    """What ffprobe and ffmpeg say of a file; None where they read no frame."""
    shown = run(
        *("ffprobe", "-v", "quiet", "-select_streams", "v:0", "-of", "json", "-show_entries"),
        "stream:stream_side_data=rotation:frame=best_effort_timestamp_time,pkt_duration_time",
        path,
    )
    found = json.loads(shown or b"{}")
    if not found.get("frames"):
        return None
    stream, frames = found["streams"][0], found["frames"]
    width, height = stream["width"], stream["height"]
    turns = [side["rotation"] for side in stream.get("side_data_list", []) if "rotation" in side]
    turn = turns[0] if turns and abs(turns[0]) <= 180 else 0  # else the matrix is none
    aspect = Fraction(stream.get("sample_aspect_ratio", "1:1").replace(":", "/"))
    last = frames[-1].get("pkt_duration_time")
    target = scaled(width * aspect, height) if turn % 180 == 0 else scaled(height, width * aspect)
    matrix = MATRICES.get(stream.get("color_space", ""), "bt709" if height >= 720 else "bt601")
    scale = f"scale={target[0]}:{target[1]}:flags={FLAGS}:in_color_matrix={matrix}"
    place = CHROMA_PLACES.get(stream.get("chroma_location", ""))
    if place and "420" in stream["pix_fmt"]:
        scale += f":in_h_chr_pos={place[0]}:in_v_chr_pos={place[1]}"
    picks = sorted({0, len(frames) // 2, len(frames) - 1})
    return {
        "codec": stream["codec_name"],
        "size": [width, height],
        "aspect": str(aspect),
        "turn": turn,
        "times_us": [microseconds(frame.get("best_effort_timestamp_time")) for frame in frames],
        "last_us": microseconds(last),
        "colours": {str(pick): colours(path, pick, scale=scale, size=target) for pick in picks},
    }


def colours(path: Path, pick: int, *, scale: str, size: tuple[int, int]) -> list[list[int]]:
    """Mean colours of the parts of one frame, row by row."""
    raw = run(
        *("ffmpeg", "-v", "quiet", "-i", path, "-map", "0:v:0", "-vsync", "passthrough"),
        *("-vf", f"select=eq(n\\,{pick}),{scale},format=rgb24"),
        *("-frames:v", "1", "-f", "rawvideo", "-"),
    )
    picture = np.frombuffer(raw, np.uint8).reshape(size[1], size[0], 3).astype(float)
    return [
        [round(value) for value in part.mean(axis=(0, 1))]
        for row in np.array_split(picture, PARTS, axis=0)
        for part in np.array_split(row, PARTS, axis=1)
    ]


def scaled(width: Fraction | int, height: Fraction | int) -> tuple[int, int]:
    """(width, height) with a short side of 72."""
    long_side = round(SHORT_SIDE * Fraction(max(width, height)) / min(width, height))
    return (long_side, SHORT_SIDE) if width > height else (SHORT_SIDE, long_side)


def microseconds(seconds: str | None) -> int | None:
    return None if seconds is None else round(float(seconds) * 1e6)


def run(*command: str | Path) -> bytes:
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    return done.stdout if done.returncode == 0 else b""


if __name__ == "__main__":
    main()
