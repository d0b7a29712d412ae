"""Alibaba Cloud RTC 2018-01-11: record templates, and record tasks whose ids the caller makes."""
