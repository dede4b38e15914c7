"""What tells whether the answer to one question is right for another, as numbers.

A high cosine cannot tell "turn on" from "turn off". So two questions are read word by word: which
words of content stand in one of them alone, whether they differ in a negation, a number, a name or
an opposite, and whether the same words point the other way round.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final, TypeAlias

from feasible.tiers.hit_words import (
    ANTONYMS,
    ASKS,
    AWAY,
    CONTRACTIONS,
    IRREGULAR,
    LIGHT,
    MARKERS,
    NEGATIONS,
    NUMBERS,
    PARTICLE_VERBS,
    PHRASES,
    PREFIXES,
    PREPOSITIONS,
    STOP,
    SYNONYMS,
    WEAK,
    WISHES,
)

__all__ = ["MISMATCHES", "Reading", "compare", "read"]

Forms: TypeAlias = frozenset[str]

MISMATCHES: Final = (
    "negation",
    "antonym",
    "number",
    "name",
    "direction",
    "order",
    "swapped",
    "extra",
    "asks",
    "light",
    "shared",
    "letters",
    "alike",
)
"""What `compare` gives, in order; all but the last three speak against a hit."""

_TOKEN: Final = re.compile(
    r"[$€£¥%<>≤≥]|(?:(?<![\w.])-)?\d+(?:[.,:/]\d+)*[^\W\d_]*|[^\W\d_]['\w]*[+#]*|'s"
)
_CAMEL: Final = re.compile(r"[a-z][A-Z]|[A-Z]{2}|\d[A-Za-z]|[A-Za-z]\d")
_DIGITS: Final = re.compile(r"-?\d")
_CONTRACTED: Final = tuple((re.compile(pattern), to) for pattern, to in CONTRACTIONS)
_PARTICLES: Final = frozenset({"on", "off", "in", "out", "up", "down"})
_LONGEST_PHRASE: Final = max(len(phrase) for phrase in PHRASES)
_OWNERS: Final = frozenset({"my", "your", "our"})
_PERSON: Final = {
    **dict.fromkeys(("i", "me", "my", "mine", "we", "us", "our"), "i"),
    **dict.fromkeys(("you", "your", "yours"), "you"),
}
_UNFRAMED: Final = re.compile(
    r"\b(?:can|could|would|will) you\b|\b(?:tell|show|help|let|give) me\b"
    r"|\bi (?:want|need|would like)(?: you)?\b|\bdo you know\b"
)
_GAP: Final = 4
_WORDS: Final = 200
_PRODUCTS: Final = 100
_MOST: Final = 3.0
_TRIGRAM: Final = 3
_DUTY: Final = re.compile(
    r"\b(?:do|does|did|will|would)\b[^.?!,]{0,25}\b(?:need|have) to\b"
    r"|\bmust\b|\brequired\b|\bmandatory\b|\bnecessary\b|\bneeded\b|\bdo \w+ need\b"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One question, read.

    Attributes:
        content: Words of content in order, each as the forms it may be a form of.
        words: The same words as they are written, lower case.
        names: Positions in `content` that look like names, products or codes.
        numbers: Numbers as text, in order.
        negations: How often something is negated.
        light: Small words that may change a meaning, and how often.
        asks: What kind of answer is asked for.
        pointed: Prepositions and the forms of the words they point at.
        people: Who is spoken of, in order: `i` or `you`, without the frame of a request.
        owned: Whose something is, `i` or `you`, and the word of content after it.
        tokens: All words, for overlap.
        letters: Trigrams of letters, for overlap.
    """

    content: tuple[Forms, ...]
    words: tuple[str, ...]
    names: frozenset[int]
    numbers: tuple[str, ...]
    negations: int
    light: Counter[str]
    asks: frozenset[str]
    pointed: tuple[tuple[str, Forms], ...]
    people: tuple[str, ...]
    owned: frozenset[tuple[str, str]]
    tokens: frozenset[str]
    letters: frozenset[str]


def _groups() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for number, group in enumerate(SYNONYMS):
        for word in group:
            found.setdefault(word, []).append(f"~{number}")
    return {word: tuple(marks) for word, marks in found.items()}


_GROUPS: Final = _groups()
_OPPOSITES: Final = frozenset(
    (one, other) for pair in ANTONYMS for one in pair for other in pair if one != other
)


@lru_cache(maxsize=50_000)
def _forms(word: str) -> Forms:
    """Give the words that a word may be a form of, and the groups of synonyms they are in.

    Examples:
        >>> sorted(_forms("planning") & _forms("plans"))
        ['plan']
        >>> _forms("plane") & _forms("plan")
        frozenset()
    """
    bases = {word, IRREGULAR.get(word, word), *_endings(word)}
    bases |= {IRREGULAR[base] for base in bases if base in IRREGULAR}
    return frozenset(bases).union(*(_GROUPS.get(base, ()) for base in bases))


def _endings(word: str) -> Iterable[str]:
    """Give what a word is without its ending, where the rest is still a word of three letters."""
    if word.endswith("ies"):
        yield word[:-3] + "y"
    elif word.endswith(("ses", "xes", "zes", "ches", "shes", "oes")):
        yield word[:-2]
        yield word[:-1]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        yield word[:-1]
    if word.endswith("ied"):
        yield word[:-3] + "y"
    for ending in ("ing", "ed"):
        root = word.removesuffix(ending)
        if root != word and len(root) >= _TRIGRAM and re.search("[aeiouy]", root):
            yield root
            yield root + "e"
            if root[-1] == root[-2]:
                yield root[:-1]
    if word.endswith("ly") and len(word) > 5 and not word.endswith("ply"):  # noqa: PLR2004  fly
        yield word[:-2]


@dataclass(frozen=True, slots=True)
class _Token:
    word: str
    is_name: bool


def _tokens(text: str) -> list[_Token]:
    """Cut a text into words; a capital inside a sentence makes a name."""
    text = unicodedata.normalize("NFKC", text).replace("\u2019", "'").replace("\u2018", "'")
    shouted = text.upper() == text or text.istitle()
    named = set()
    fresh = True
    for match in re.finditer(r"[\w']+|[.!?:]", text):
        piece = match.group()
        if not shouted and piece[0].isalpha() and piece != "I":
            rest = piece.split("'")[0]
            if (piece[0].isupper() and not fresh and piece[:2] != "I'") or _CAMEL.search(rest):
                named.add(rest.lower())
        fresh = piece in {".", "!", "?", ":"}
    lower = text.lower()
    for pattern, to in _CONTRACTED:
        lower = pattern.sub(to, lower)
    return [_Token(word, word in named) for word in _TOKEN.findall(lower)]


def _phrased(tokens: list[_Token]) -> list[_Token]:
    """Read runs of words as one, and verbs together with their particles."""
    out: list[_Token] = []
    at = 0
    while at < len(tokens):
        for length in range(min(_LONGEST_PHRASE, len(tokens) - at), 1, -1):
            found = PHRASES.get(tuple(token.word for token in tokens[at : at + length]))
            if found is not None:
                out.extend(_Token(word, is_name=False) for word in found)
                at += length
                break
        else:
            out.append(tokens[at])
            at += 1
    for place, token in enumerate(out):
        if token.word in PARTICLE_VERBS:
            _join(out, place)
    return [token for token in out if token.word]


def _join(tokens: list[_Token], place: int) -> None:
    """Join a verb with the particle that follows it or its object."""
    for ahead in range(place + 1, min(place + 1 + _GAP, len(tokens))):
        word = tokens[ahead].word
        if word in _PARTICLES:
            is_last = ahead + 1 == len(tokens)
            if ahead == place + 1 or is_last or word in {"on", "off", "up", "down"}:
                base = _base(tokens[place].word)
                tokens[place] = _Token(f"{base}_{word}", is_name=False)
                tokens[ahead] = _Token("", is_name=False)
            return
        if word in MARKERS or word in NEGATIONS:
            return


def _base(verb: str) -> str:
    """Give the shortest form that is itself a verb with particles."""
    return min((form for form in _forms(verb) if form in PARTICLE_VERBS), key=len, default=verb)


def _number(word: str) -> str | None:
    """Give a number's value as text, with what is glued to it, or None."""
    if word in NUMBERS:
        return NUMBERS[word]
    if not _DIGITS.match(word):
        return None
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", word)
    return re.sub(r"(?<=\d)(st|nd|rd|th)$", "", plain)


def read(text: str) -> Reading:
    """Read one question.

    Examples:
        >>> reading = read("How do I send 500 dollars to Poland?")
        >>> reading.words, sorted(reading.names), reading.numbers
        (('send', 'dollars', 'poland'), [2], ('500',))
    """
    tokens = _phrased(_tokens(text))
    # The end of a very long text is compared as one word: equal or not.
    rest = " ".join(token.word for token in tokens[_WORDS:])
    tokens = tokens[:_WORDS] + [_Token(rest, is_name=False)] * bool(rest)
    content: list[Forms] = []
    words: list[str] = []
    names: set[int] = set()
    numbers: list[str] = []
    light: Counter[str] = Counter()
    pointed: list[tuple[str, Forms]] = []
    marker = ""
    previous = ""
    for token in tokens:
        word = token.word
        value = _number(word)
        if value is not None:
            numbers.append(value)
            if marker:
                pointed.append((marker, frozenset({value})))
                marker = ""
        elif word in LIGHT or word in PREPOSITIONS:
            light[word] += word in LIGHT
            if not (word == "to" and (previous in WISHES or not previous)):
                marker = word
        elif word not in STOP and word not in NEGATIONS and word not in ASKS:
            forms = _forms(word)
            # "The price of milk" is read as "the milk price".
            place = len(content) - 1 if marker == "of" and content else len(content)
            if token.is_name:
                names = {at + (at >= place) for at in names} | {place}
            content.insert(place, forms)
            words.insert(place, word)
            if marker:
                pointed.append((marker, forms))
                marker = ""
        previous = word
    spelt = [token.word for token in tokens]
    light.update(_moods(text.lower(), spelt))
    joined = f" {' '.join(spelt)} "
    return Reading(
        content=tuple(content),
        words=tuple(words),
        names=frozenset(names),
        numbers=tuple(numbers),
        negations=sum(word in NEGATIONS for word in spelt),
        light=light,
        asks=frozenset(word for word in spelt if word in ASKS),
        pointed=tuple(pointed),
        people=tuple(
            _PERSON[word] for word in _UNFRAMED.sub(" ", joined).split() if word in _PERSON
        ),
        owned=frozenset(
            (_PERSON[word], after) for word, after in pairwise(spelt) if word in _OWNERS
        ),
        tokens=frozenset(spelt),
        letters=frozenset(joined[i : i + _TRIGRAM] for i in range(len(joined) - 2)),
    )


def _moods(text: str, words: Sequence[str]) -> list[str]:
    """Give what the small verbs say: a duty, advice asked for, or what is still to come."""
    found = ["duty"] if _DUTY.search(text) else []
    if words[:1] == ["should"]:
        found.append("advice")
    if words[:1] and words[0] in {"did", "was", "were", "has", "have", "had"}:
        found.append("asked whether it happened")
    if {"will", "shall", "should"} & set(words):
        found.append("future tense")
    elif {"did", "was", "were", "had", "has", "have"} & set(words):
        found.append("past tense")
    return found


def compare(one: Reading, other: Reading) -> tuple[float, ...]:
    """Give how two questions differ and what they share, in the order of `MISMATCHES`.

    The order of the two does not matter. Two equal questions give zeros and, at the end, three
    ones: `alike` is 1 where nothing speaks against a hit.

    Examples:
        >>> on, off = read("How do I turn on roaming?"), read("How do I turn off roaming?")
        >>> dict(zip(MISMATCHES, compare(on, off)))["antonym"]
        1.0
    """
    matched, left, right = _match(one.content, other.content)
    strong = [i for i in left if one.words[i] not in WEAK]
    others = [j for j in right if other.words[j] not in WEAK]
    if len(strong) == len(left) or len(others) == len(right):  # else "make" stands against "get"
        left, right = strong, others
    is_named = any(i in one.names for i in left) or any(j in other.names for j in right)
    small = one.light - other.light, other.light - one.light
    facing = [(i, j) for i in left for j in right][:_PRODUCTS]
    apart = [_is_opposite(one.content[i], other.content[j]) for i, j in facing]
    apart += [(a, b) in _OPPOSITES for a in small[0] for b in small[1]]
    against = (
        min(_MOST, abs(one.negations - other.negations)),
        float(any(apart)),
        float(one.numbers != other.numbers),
        float(is_named),
        float(_points_elsewhere(one, other) or _swaps_people(one, other)),
        _inversions([j for _, j in sorted(matched)]),
        min(_MOST, len(left), len(right)),
        min(_MOST, abs(len(left) - len(right))),
        _asks_other(one.asks ^ other.asks),
        min(_MOST, _small(*small) + _other_people(one, other)),
    )
    shared = _jaccard(one.tokens, other.tokens), _jaccard(one.letters, other.letters)
    # Two questions without any content are alike when they are the same, and unknown otherwise.
    says = bool(one.content or one.numbers) or one.tokens == other.tokens
    return (*against, *shared, float(says and not any(against)))


def _asks_other(differing: frozenset[str]) -> float:
    """Give 1 where another kind of answer is asked for; `where` is often said for `how`."""
    if not differing:
        return 0.0
    return 0.5 if differing == {"where"} else 1.0


def _match(
    one: Sequence[Forms], other: Sequence[Forms]
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Pair words that may be forms of the same; give the pairs and what is left of each."""
    pairs: list[tuple[int, int]] = []
    free = list(range(len(other)))
    left: list[int] = []
    for i, forms in enumerate(one):
        found = next((j for j in free if forms & other[j]), None)
        if found is None:
            left.append(i)
        else:
            free.remove(found)
            pairs.append((i, found))
    return pairs, left, free


def _is_opposite(one: Forms, other: Forms) -> bool:
    """Claim that two words are opposites, by the list or by a prefix."""
    for a in one:
        for b in other:
            if (a, b) in _OPPOSITES:
                return True
            longer, shorter = (a, b) if len(a) > len(b) else (b, a)
            if longer.endswith(shorter) and longer[: len(longer) - len(shorter)] in PREFIXES:
                return True
    return False


def _points_elsewhere(one: Reading, other: Reading) -> bool:
    """Claim that a preposition points at one word here and at another, or at none, there."""
    for marker in MARKERS:
        here = [forms for mark, forms in one.pointed if mark == marker]
        there = [forms for mark, forms in other.pointed if mark == marker]
        _, left, right = _match(here, there)
        if left and right:
            return True
        gone, come = [here[i] for i in left], [there[j] for j in right]
        if marker in AWAY and (_has_any(gone, other) or _has_any(come, one)):
            return True
    paid = [{mark for mark, _ in side.pointed} & {"by", "for"} for side in (one, other)]
    return paid[0] | paid[1] == {"by", "for"} and len(paid[0]) == len(paid[1]) == 1


def _has_any(words: Sequence[Forms], reading: Reading) -> bool:
    """Claim that one of these words is among the content of a question."""
    return any(forms & known for forms in words for known in reading.content)


def _small(one: Counter[str], other: Counter[str]) -> int:
    """Count small words that stand on one side alone; a tense counts against another only."""
    tenses = {"past tense", "future tense"}
    clash = tenses <= one.keys() | other.keys()
    return clash + sum(
        count for side in (one, other) for w, count in side.items() if w not in tenses
    )


def _swaps_people(one: Reading, other: Reading) -> bool:
    """Claim that who acts on whom is turned around: "do I owe you", "do you owe me"."""
    both = {one.people, other.people}
    return both == {("i", "you"), ("you", "i")}


def _other_people(one: Reading, other: Reading) -> bool:
    """Claim that something is mine here and yours there, or that other people are spoken of."""
    turned = {("you" if who == "i" else "i", what) for who, what in one.owned}
    here, there = set(one.people), set(other.people)
    others = bool(here and there and not here & there)
    if len(here) > 1 or len(there) > 1:  # who does it to whom
        others = one.people != other.people
    return bool(turned & other.owned) or others


def _inversions(order: Sequence[int]) -> float:
    """Give the share of pairs that stand the other way round. Ratio."""
    n = len(order)
    if n < 2:  # noqa: PLR2004  one word has no order
        return 0.0
    turned = sum(order[i] > order[j] for i in range(n) for j in range(i + 1, n))
    return 2 * turned / (n * (n - 1))


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    both = len(one | other)
    return len(one & other) / both if both else 1.0
