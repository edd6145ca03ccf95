"""The estimate of a password's strength."""

import importlib.util
import runpy
import time

import bcrypt
from zxcvbn import matching

from infra.password_strength import RankedWords, estimate_strength, shrink_dictionaries

# zxcvbn takes 2.5 s for 72 such characters, ten times a bcrypt hash.
SLOWEST_PASSWORD = ('"4@8({[<6936!1|17$5+7%2"*4' * 5)[:128]


def processor_seconds(function, *arguments):
    begin = time.thread_time()
    function(*arguments)
    return time.thread_time() - begin


def test_slowest_password_costs_about_one_hash():
    hashes = [processor_seconds(bcrypt.hashpw, b"-", bcrypt.gensalt(12)) for _ in range(2)]
    estimates = [processor_seconds(estimate_strength, SLOWEST_PASSWORD, []) for _ in range(2)]
    assert min(estimates) < 5 * min(hashes)


def test_every_word_has_the_rank_that_the_library_gives():
    spec = importlib.util.find_spec("zxcvbn.frequency_lists")
    lists = runpy.run_path(spec.origin)["FREQUENCY_LISTS"]
    shrink_dictionaries()
    for name, words in lists.items():
        ranked = matching.RANKED_DICTIONARIES[name]
        assert isinstance(ranked, RankedWords)
        assert [ranked[word] for word in words] == list(range(1, len(words) + 1))
        assert all(word in ranked for word in words)
        others = {f"{word}\0" for word in words}
        assert not any(word in ranked for word in others)
