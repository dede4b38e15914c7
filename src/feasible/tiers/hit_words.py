"""The few words that decide whether two questions ask the same: lists written by hand.

English only. A word that stands in no list is not lost: a question that has it and one that has not
differ by a word of content. The lists only say which differences do not matter, and which matter
more than their one word shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

__all__ = [
    "ANTONYMS",
    "ASKS",
    "AWAY",
    "CONTRACTIONS",
    "FRAMES",
    "IRREGULAR",
    "LIGHT",
    "MARKERS",
    "NEGATIONS",
    "NUMBERS",
    "PARTICLE_VERBS",
    "PHRASES",
    "PREFIXES",
    "PREPOSITIONS",
    "STOP",
    "SYNONYMS",
    "WEAK",
    "WISHES",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _groups(text: str) -> list[frozenset[str]]:
    """Cut a text into groups of words at its commas."""
    return [_words(group) for group in text.split(",")]


def _bases(text: str) -> Iterator[tuple[str, str]]:
    """Give every form with its base; a group starts with the base."""
    for group in text.split(","):
        base, *forms = group.split()
        yield from ((form, base) for form in forms)


CONTRACTIONS: Final[tuple[tuple[str, str], ...]] = (
    (r"\bcan't\b|\bcannot\b|\bcant\b", "can not"),
    (r"\bwon't\b|\bwont\b", "will not"),
    (r"\bshan't\b", "shall not"),
    (r"\b(do|does|did|is|was|have|has|had|could|would|should|are|were)nt\b", r"\1 not"),
    (r"n't\b", " not"),
    (r"\bi'm\b|\bim\b", "i am"),
    (r"\bi've\b|\bive\b", "i have"),
    (r"'re\b", " are"),
    (r"'ve\b", " have"),
    (r"'ll\b", " will"),
    (r"'d\b", " would"),
    (r"\b(what|who|where|how|when|why|that|there|it|he|she)'?s\b(?<!its)", r"\1 is"),
    (r"\blet's\b", "let us"),
    (r"'s\b|s'(?=\s)", " 's"),
    (r"\be-?mail", "email"),
    (r"\bwi-?fi\b", "wifi"),
    (r"\bnon[- ](?=\w)", "non"),
    (r"\bunable to\b", "not able to"),
    (r"\bok\b|\bokay\b", "fine"),
)
"""Spellings that mean the same: pattern and replacement, on lower-case text, in this order."""

PHRASES: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {
    tuple(source.split()): tuple(target.split())
    for source, target in {
        "how much does": "cost",
        "how much do": "cost",
        "how much is": "cost",
        "how much are": "cost",
        "how much will": "cost",
        "how much": "how_much",
        "how many": "how_many",
        "how long": "how_long",
        "how often": "how_often",
        "how far": "how_far",
        "how soon": "when",
        "how come": "why",
        "what time": "when",
        "at what time": "when",
        "which day": "when",
        "what day": "when",
        "for what reason": "why",
        "what is the reason": "why",
        "what place": "where",
        "yet to": "not",
        "no longer": "not",
        "no one": "nobody",
        "get rid of": "remove",
        "money back": "refund",
        "get the money back": "refund",
        "out of order": "broken",
        "about to": "",
        "as soon as": "once",
        "opening hours": "when open",
        "opening times": "when open",
        "second hand": "used",
        "log into": "log_in",
        "sign into": "log_in",
        "going to": "will",
        "as well": "also",
        "a lot of": "many",
        "lots of": "many",
        "such as": "like",
        "up to": "up_to",
        "two factor": "twofactor",
        "next to": "beside",
        "in front of": "before",
        "prior to": "before",
        "instead of": "instead_of",
        "because of": "due",
        "of course": "",
        "at all": "",
        "right now": "now",
        "at the moment": "now",
        "at least": "at_least",
        "at most": "at_most",
    }.items()
}
"""Runs of words that are read as others; an empty reading drops them."""

FRAMES: Final = _words(
    """how can could may might possible way best good right allowed able tell know let show explain
    help please hi hello hey thanks thank want like need wish love would should trying try
    wondering wonder question ok fine want"""
)
"""Words that frame a request without changing what it is about."""

WISHES: Final = _words(
    """how want need like able possible way try trying have going supposed allowed wish love due
    ought used best time fine safe able unable order hope hoping attempt attempting"""
)
"""Words after which `to` begins a verb and is not a direction."""

STOP: Final = FRAMES | _words(
    """a an the this that these those i me my mine myself we us our ours you your yours it its
    's do does did doing done am is are was were be been being have has had having will shall
    of there here and then so just really very quite actually some any also too even still
    already currently now what which as if one's whom ask asking
    something anything thing one stuff bit sort kind what's am well sure exactly else
    own ever into at on in for to by with about like than from"""
)
"""Words without content of their own; where a preposition points is read by `MARKERS`."""

WEAK: Final = _words("get got getting make made making take takes taking offer offers use using")
"""Verbs that pair with a synonym on the other side, and say nothing where they stand alone."""


LIGHT: Final = _words(
    """on off in out up down over under through across around along between among above below
    behind near inside outside during since until till again more less most least only all
    every each both either first next last he she him her his they them their someone anyone
    everyone somebody anybody everybody other another same must before after against via
    instead_of"""
)
"""Small words that may change a meaning: they count, but less than a word of content."""

MARKERS: Final = _words("to into from than before after with without via against toward towards")
"""Prepositions whose object must stay with them: from A to B is not from B to A."""

AWAY: Final = frozenset({"from", "without", "after"})
"""Prepositions that turn a question around where another one stood before the same word."""

PREPOSITIONS: Final = MARKERS | _words("for by at in on of about")
"""Words that point at the next word of content."""

NEGATIONS: Final = _words(
    """not no never none nobody nothing nowhere neither nor without unless hardly lack lacks lacking
    except excluding excluded exclude prohibited forbidden banned refuse refused"""
)
"""Words that turn a statement around."""

ASKS: Final = _words("why when where who whose how_much how_many how_long how_often how_far cost")
"""Words that say what kind of answer is asked for."""

PARTICLE_VERBS: Final = _words(
    """turn switch put set log sign pick hand back zoom check opt top cash fill plug turned
    switched turning switching setting logged logging signed signing picked picking handed handing
    backed backing topped topping checked checking plugged shut wake sort"""
)
"""Verbs that make one word with the particle after them, or after their object."""

NUMBERS: Final[Mapping[str, str]] = {
    word: str(value)
    for value, words in {
        "0": "zero",
        "0.5": "half",
        "0.25": "quarter",
        "1": "once single first 1st",
        "2": "two twice double second 2nd pair couple",
        "3": "three thrice triple third 3rd",
        "4": "four fourth",
        "5": "five fifth",
        "6": "six sixth",
        "7": "seven seventh",
        "8": "eight eighth",
        "9": "nine ninth",
        "10": "ten tenth",
        "11": "eleven eleventh",
        "12": "twelve twelfth dozen",
        "13": "thirteen",
        "14": "fourteen",
        "15": "fifteen",
        "16": "sixteen",
        "17": "seventeen",
        "18": "eighteen",
        "19": "nineteen",
        "20": "twenty",
        "30": "thirty",
        "40": "forty",
        "50": "fifty",
        "60": "sixty",
        "70": "seventy",
        "80": "eighty",
        "90": "ninety",
        "100": "hundred",
        "1000": "thousand",
        "1000000": "million",
        "1000000000": "billion",
    }.items()
    for word in words.split()
}
"""Number words and their values. `second` and `once` are read as numbers: better safe."""

IRREGULAR: Final[Mapping[str, str]] = dict(
    _bases("""\
lose lost losing, buy bought, pay paid payment, send sent, go gone went, come came, take took
taken, give gave given, find found, keep kept, leave left, make made, say said, tell told, see
saw seen, break broke broken, choose chose chosen, forget forgot forgotten, begin began begun,
write wrote written, drive drove driven, eat ate eaten, spend spent, sell sold, hold held, meet
met, run ran, steal stole stolen, freeze froze frozen, fly flew flown, child children, person
people, man men, woman women, foot feet, tooth teeth, mouse mice, use using used, ship shipped
shipment shipping, swim swum, drink drank, grow grew, deliver delivery deliveries, arrive
arrival, withdraw withdrawal withdrew withdrawn, renew renewal, approve approval, remove
removal, replace replacement, enrol enrolment enrollment enroll, repay repayment, cancel
cancellation cancelation, register registration, activate activation, verify verification,
confirm confirmation, notify notification, apply application, subscribe subscription, reserve
reservation, install installation, configure configuration, translate translation, convert
conversion, calculate calculation, identify identification, authorise authorisation
authorization authorize, sync synchronise synchronize, color colour, favorite favourite, center
centre, check cheque, program programme, expire expiry expiration, explain explanation,
pronounce pronunciation, mean meant meaning, differ difference different, refund refunded, thaw
thawed""")
)
"""Forms that no rule of endings gives: form -> base."""

SYNONYMS: Final[tuple[frozenset[str], ...]] = tuple(
    _groups("""\
buy purchase, change update modify edit alter amend, cost price pricing, fee charge, photo
picture image pic, fast quick quickly rapidly, nearest closest, create make generate, delete
erase, remove delete, turn_on switch_on enable activate put_on, turn_off switch_off disable
deactivate put_off, turn_up increase raise, turn_down decrease reduce lower, log_in sign_in
login signin logon log_on sign_on, log_out sign_out logout signout log_off sign_off, sign_up
register enrol, set_up setup configure, back_up backup, pick_up collect, hand_in submit, top_up
topup topping, restart reboot, begin start commence, stop halt, repair fix mend, broken
defective faulty, replace swap, choose pick select, reschedule move, television tv telly,
telephone phone, cellphone mobile, mobile smartphone, payslip payroll_slip, cancel terminate,
obtain get receive, receive get, refund reimburse reimbursement, complaint complain, report
flag, find locate, use utilise utilize, luggage baggage, car auto automobile, flat apartment,
lift elevator, holiday vacation, film movie, required necessary mandatory needed, nobody none,
everybody everyone, anybody anyone, somebody someone, also too, error mistake, wrong incorrect,
doctor physician gp, shop store, garbage trash rubbish, sick ill, declined rejected refused,
missing lost, speak talk, employer boss, synchronize sync, many much""")
)
"""Groups of words that answer the same question; a pair that is not sure stays out."""

ANTONYMS: Final[tuple[frozenset[str], ...]] = tuple(
    _groups("""\
on off, in out, up down, over under, above below, inside outside, indoor outdoor, indoors
outdoors, inbound outbound, incoming outgoing, before after, first last, next previous, more
less, most least, more fewer, all none, always never, with without, turn_on turn_off, enable
disable, activate deactivate, switch_on switch_off, log_in log_out, login logout, lock unlock,
open close, open shut, start stop, start end, begin end, start finish, increase decrease, raise
lower, rise fall, up_to at_least, at_least at_most, minimum maximum, min max, high low, higher
lower, highest lowest, big small, large small, bigger smaller, long short, longer shorter, tall
short, cheap expensive, cheaper dearer, cheapest dearest, early late, earlier later, earliest
latest, old new, older younger, oldest newest, hot cold, warm cool, wet dry, full empty, heavy
light, dark bright, darker brighter, dark light, left right, north south, east west, buy sell,
buyer seller, lend borrow, send receive, give take, add remove, add delete, add subtract, insert
remove, create delete, install uninstall, upload download, import export, push pull, accept
decline, accept reject, approve reject, approve deny, allow forbid, allow block, allow prevent,
permit prohibit, grant revoke, hide show, mute unmute, public private, online offline, upgrade
downgrade, deposit withdraw, deposit withdrawal, debit credit, income expense, profit loss, win
lose, gain lose, pass fail, succeed fail, success failure, arrive depart, arrival departure,
arrivals departures, enter exit, enter leave, entrance exit, join leave, entry exit, follow
unfollow, subscribe unsubscribe, connect disconnect, attach detach, merge split, expand
collapse, tighten loosen, speed slow, fast slow, faster slower, thick thin, thicken thin, freeze
thaw, freeze unfreeze, pause resume, encrypt decrypt, compress extract, zip unzip, employer
employee, teacher student, landlord tenant, host guest, parent child, adult child, male female,
man woman, husband wife, mother father, morning evening, day night, am pm, weekday weekend,
today tomorrow, yesterday tomorrow, summer winter, spring autumn, spring fall, north south, good
bad, best worst, better worse, safe dangerous, legal illegal, true false, yes no, single
married, single double, single return, single multiple, local remote, domestic international,
internal external, personal business, manual automatic, temporary permanent, mandatory optional,
required optional, free paid, alive dead, healthy sick, strong weak, hard soft, hard easy,
difficult easy, advantage disadvantage, pro con, upside downside, beginner expert, hire fire,
love hate, push pull, ascend descend, ascending descending, top bottom, front back, front rear,
upper lower, wide narrow, deep shallow, rich poor, clean dirty, loud quiet, present absent,
import export, wholesale retail, gross net, asset liability, lender borrower, sender recipient,
sender receiver, caller callee, book cancel, book unbook, confirm cancel, renew cancel, reserve
cancel, keep cancel, keep delete, keep return, save discard, save delete, archive restore,
archive unarchive, backup restore, undo redo, show conceal, charge discharge, charge refund,
debit refund, inflate deflate, inhale exhale, vertical horizontal, portrait landscape, input
output, sunrise sunset, major minor, odd even, active inactive, complete incomplete, valid
invalid, visible invisible, possible impossible, include exclude, same different, past future,
brother sister, son daughter, uncle aunt, king queen, vegan meat, vegetarian meat, boil freeze,
heat cool, fill empty, fill drain, load unload, lift drop, pick drop""")
)
"""Pairs of words that answer opposite questions."""

PREFIXES: Final = (
    "un", "in", "im", "il", "ir", "dis", "non", "de", "re", "mis", "anti", "pre", "post", "over",
    "under", "out", "sub", "semi", "ab",
)  # fmt: skip
"""Beginnings that make another word of a word, often its opposite."""
