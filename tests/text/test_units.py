"""Durations, sizes and counts are written in one way."""

from livecap.text.units import length_of_time, matches, size


def test_durations_sizes_and_counts():
    assert [length_of_time(seconds) for seconds in (4, 61, 3_900)] == ["4 s", "1 min", "1 h 5 min"]
    assert [size(n) for n in (12, 8_100, 812_000, 1_876_091_704, 28e9)] == [
        "12 B",
        "8.1 kB",
        "812 kB",
        "1.9 GB",
        "28 GB",
    ]
    assert [matches(n) for n in (0, 1, 5)] == ["no matches", "1 match", "5 matches"]
