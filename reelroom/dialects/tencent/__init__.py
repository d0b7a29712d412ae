"""Tencent TRTC cloud recording (API 3.0 and the classic kind) and the part of its VOD API that finds recorded files."""
