"""Counts words; Erlang says which ones do not count."""

import re
from collections import Counter

import erlang


def top(text, number):
    erlang.state_incr("wordy_texts")
    words = re.findall(r"\w+", text.lower())
    return Counter(word for word in words if not erlang.is_stop_word(word)).most_common(number)
