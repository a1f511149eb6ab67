"""Which decoders of FFmpeg may run.

FFmpeg has more than 300 for pictures. Most are for the games, screen recorders and experiments of
the last thirty years, are hardly maintained, and no video that someone wants to be recognised needs
them; others drive hardware through device files. Each of them is code that a stranger's file could
choose to run. Those listed are what cameras, phones, browsers, editors and the data sets of action
recognition write. Sound and subtitles are never decoded.
"""

DECODERS = frozenset(
    {
        # Of today. libdav1d decodes AV1.
        *("h264", "hevc", "libdav1d", "mjpeg", "vp8", "vp9"),
        # Of yesterday: DivX and Xvid, discs, broadcasts, early phones and the early web. Most data
        # sets of action recognition are MPEG-4 in AVI.
        *("flv", "h263", "mpeg1video", "mpeg2video", "mpeg4", "theora", "vp6", "vp6a", "vp6f"),
        *("msmpeg4v1", "msmpeg4v2", "msmpeg4", "vc1", "wmv1", "wmv2", "wmv3"),
        # Of editors and archives, nearly or wholly without loss; animations.
        *("dnxhd", "dvvideo", "ffv1", "ffvhuff", "gif", "huffyuv", "png", "prores", "qtrle"),
        *("rawvideo", "utvideo"),
    }
)
_CODED_AS = {"flv": "flv1", "libdav1d": "av1", "msmpeg4": "msmpeg4v3"}
CODECS = frozenset(_CODED_AS.get(name, name) for name in DECODERS)
"""FFmpeg's names of the codecs that they decode."""
ACCEPTED_CODECS = (
    "H.264, H.265, AV1, VP8, VP9, Motion JPEG, MPEG-1, -2 and -4, H.263, Microsoft's MPEG-4, WMV, "
    "VC-1, VP6, Theora, ProRes, DNxHD, DV, GIF, PNG and the lossless FFV1, HuffYUV, Ut Video, "
    "QuickTime Animation and raw pictures"
)
