"""The times of a policy: how long an answer is fresh, how it may be used afterwards, and when it is refreshed early."""

from __future__ import annotations

import math

import pytest

from cacheaside.catalogue.policy import BRIEFLY_MS, LONGEST_LOAD_MS, Freshness, Policy

POLICY = Policy(ttl_ms=60_000, stale_ms=10_000, stale_if_error_ms=30_000, negative_ttl_ms=5_000, jitter=0.5)
UNTIL_MS = 1_000_000


@pytest.mark.parametrize(
    ("found", "chance", "fresh_ms"),
    [(True, 0.0, 60_000), (True, 0.5, 45_000), (False, 0.0, 5_000), (False, 0.5, 3_750)],
)
def test_jitter_cuts_off_a_share_of_the_ttl(found: bool, chance: float, fresh_ms: int) -> None:
    assert POLICY.fresh_ms(found=found, chance=chance) == fresh_ms


@pytest.mark.parametrize(("stale_ms", "if_error_ms", "kept_ms"), [(9_000, 0, 9_000), (0, 9_000, 9_000), (0, 0, 2_000)])
def test_answer_is_kept_for_as_long_as_it_may_be_used_and_for_those_who_wait(
    stale_ms: int, if_error_ms: int, kept_ms: int
) -> None:
    policy = POLICY._replace(stale_ms=stale_ms, stale_if_error_ms=if_error_ms)
    assert policy.lifetime_ms(60_000) == 60_000 + kept_ms
    assert kept_ms >= BRIEFLY_MS


def test_tag_lives_longer_than_any_entry_with_its_version() -> None:
    assert POLICY.tag_ms == 2 * (60_000 + 30_000) + LONGEST_LOAD_MS
    assert POLICY._replace(negative_ttl_ms=90_000).tag_ms == 2 * (90_000 + 30_000) + LONGEST_LOAD_MS
    assert POLICY.brief_tag_ms == 2 * BRIEFLY_MS + LONGEST_LOAD_MS


@pytest.mark.parametrize(
    ("past_ms", "freshness"),
    [
        (-1, Freshness.FRESH),
        (0, Freshness.STALE),
        (9_999, Freshness.STALE),
        (10_000, Freshness.LAST_RESORT),
        (29_999, Freshness.LAST_RESORT),
        (30_000, Freshness.GONE),
    ],
)
def test_answer_is_fresh_then_stale_then_a_last_resort(past_ms: int, freshness: Freshness) -> None:
    assert POLICY.freshness(UNTIL_MS, UNTIL_MS + past_ms) is freshness


@pytest.mark.parametrize(("beta", "early_by_ms"), [(1.0, 2_000), (0.5, 1_000)])
def test_refresh_is_early_by_the_time_of_a_load_and_beta_and_chance(beta: float, early_by_ms: int) -> None:
    policy = POLICY._replace(early_refresh=beta)
    chance = 1 - 1 / math.e  # whose logarithm is -1

    def refreshes(at_ms: int) -> bool:
        return policy.refreshes_early(UNTIL_MS, 2_000, at_ms, lambda: chance)

    assert refreshes(UNTIL_MS - early_by_ms + 1)
    assert not refreshes(UNTIL_MS - early_by_ms - 1)


def test_refresh_is_never_early_unless_the_policy_says_so() -> None:
    assert not POLICY.refreshes_early(UNTIL_MS, 10**9, UNTIL_MS, lambda: 0.999)
    assert POLICY._replace(early_refresh=1.0).refreshes_early(UNTIL_MS, 0, UNTIL_MS, lambda: 0.0)
