"""Packets in, frames out: ICE, DTLS, SRTP, RTP and RTCP without sockets or clocks. Knows nothing of rooms."""
