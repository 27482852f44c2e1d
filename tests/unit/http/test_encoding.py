"""Accept-Encoding, as RFC 9110 section 12.5.3 defines it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.http.encoding import accepts_gzip


@pytest.mark.parametrize(
    ("field", "accepted"),
    [
        # The five examples of the RFC, in its order.
        ("compress, gzip", True),
        ("", False),
        ("*", True),
        ("compress;q=0.5, gzip;q=1.0", True),
        ("gzip;q=1.0, identity; q=0.5, *;q=0", True),
        # The fields of browsers and proxies.
        ("gzip, deflate, br, zstd", True),
        ("gzip,deflate", True),
        ("br", False),
        # Weights: 0 is "not acceptable". A higher weight of identity is a preference for the plain body.
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("gzip;q=0.001", True),
        ("gzip;q=0.5, identity", False),
        ("gzip;q=0.5, identity;q=0.5", True),
        ("identity;q=0, gzip;q=0.1", True),
        ("identity", False),
        # The asterisk matches every coding that is not listed.
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("gzip, *;q=0", True),
        ("br, *;q=0.1", True),
        ("identity, *;q=0.5", False),
        # Case, the old name, and optional white space.
        ("GZip;Q=0.5", True),
        ("x-gzip", True),
        ("x-gzip;q=0", False),
        ("\tgzip ;\tq=1 ", True),
        (",, gzip ,", True),
        # A member that cannot be parsed is ignored.
        ("gzip;q=", False),
        ("gzip;q=2", False),
        ("gzip;q=1.001", False),
        ("gzip;q=0.0001", False),
        ("gzip;q=-1", False),
        ("gzip;level=9", False),
        ("gzip deflate", False),
        ("gzipped, ungzip", False),
        ("identity;q=x, gzip", True),
    ],
)
def test_gzip_is_sent_only_if_the_caller_accepts_it_and_does_not_prefer_plain(field: str, accepted: bool) -> None:
    assert accepts_gzip(field) is accepted


@given(st.text(max_size=100))
def test_no_text_of_the_field_raises_an_error(field: str) -> None:
    accepts_gzip(field)


@given(st.text(alphabet="gzip*;q=01., \t", max_size=100))
def test_no_nearly_valid_field_raises_an_error(field: str) -> None:
    accepts_gzip(field)
