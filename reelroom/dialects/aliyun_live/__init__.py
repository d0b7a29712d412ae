"""Alibaba Cloud Live 2016-11-01: recording of RTC channels, as tasks whose ids the server makes."""
