"""Text to speak: sentences of books, dialogues and WordNet, talk from templates, and spliced text and lists of words
that cannot be predicted."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from training.words import LETTERS, CommonWords, words_of

N_HELD_OUT = 300
"""The number of sentences that are held out from training, spread over the corpus."""
SPOKEN_SHARES = {
    "books": 0.06, "prose": 0.14, "dialogue": 0.06, "meeting": 0.08, "everyday": 0.10, "service": 0.06,
    "phrase": 0.14, "common": 0.18, "splice": 0.08, "entries": 0.10,
}  # fmt: skip
READ_SHARES = {
    "books": 0.18, "prose": 0.30, "dialogue": 0.10, "meeting": 0.07, "everyday": 0.09, "service": 0.04, "common": 0.22,
}  # fmt: skip
"""How often each kind of text is spoken, and read without sound. books is english.txt, prose books.txt; common are
sentences chosen for a common word; phrase, splice and entries (lists of words) cannot be predicted, so only sound
tells what they are."""

NAMES = """Priya Anna Daniel Maria James Olivia Ahmed Sofia Lucas Emma Noah Chloe Raj Ingrid Peter Laura Marcus
Helen Victor Grace Samuel Alice Robert Julia Thomas Nina Oscar Clara Henry Irene David Rachel
Michael Susan George Kate Simon Diana Paul Megan Frank Lucy Arthur Nadia Kevin Amy Walter Ruth
Carlos Elena""".split()
PLACES = """London Berlin Boston Paris Chicago Madrid Dublin Oslo Denver Lisbon Toronto Vienna Seattle Prague
Austin Rome Leeds Glasgow Sydney Zurich Atlanta Hamburg""".split()
MONTHS = "January February March April May June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
ORDINALS = (
    """first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth
sixteenth seventeenth eighteenth nineteenth twentieth thirtieth""".split()
    + [f"twenty {n}" for n in "first second third fourth fifth sixth seventh eighth ninth".split()]
)
UNITS = "one two three four five six seven eight nine".split()
TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
THINGS = """report budget release design contract schedule meeting survey prototype proposal invoice server
database interface document presentation agenda plan offer model test review website newsletter
campaign office printer microphone recording transcript ticket backlog roadmap summary draft figure
chart account order delivery warehouse machine engine battery screen keyboard network password
update feature customer supplier partner team project question answer problem decision result
deadline conference interview workshop training lesson message letter package flight train hotel
room table window kitchen garden bridge station market hospital school library museum river mountain
harbour""".split()
ADJECTIVES = """new old final early late small large simple complex quick slow good bad better strong weak open
clear quiet loud important difficult easy short long green blue red yellow dark bright cold warm
expensive cheap broken empty full public private local weekly monthly internal external second next
last previous current possible serious careful useful""".split()
VERBS = """finish start send check review update move cancel discuss prepare sign print test fix close open
read write record share present explain improve measure change replace approve collect build repair
order deliver schedule translate compare describe remember forget support follow answer""".split()
DONE = """done made sent seen read written heard found paid brought bought sold taken chosen forgotten shown told lost
left kept built begun drawn given held met put spent understood won""".split()
"""Past participles that do not end in -ed: `have read` sounds like `red`."""
MINUTES = ["fifteen", "thirty", "forty five", "in the morning"]
GROUPS = [
    "the team", "the customer", "our supplier", "the finance department", "my colleague", "the manager", "marketing",
    "the support team", "the board", "the engineers", "our partner", "the new intern",
    "the whole group", "the director",
]  # fmt: skip
TEMPLATES = [
    "Good morning everyone, let's get started with the {adj} {thing}.",
    "{name} is still waiting for the {adj} {thing} from {group}.",
    "We agreed to {verb} the {thing} to the {ordinal} of {month}.",
    "Does anyone see a problem with {day} the {ordinal}?",
    "There are {number} open {thing}s at the end of {month}.",
    "Can you {verb} the {thing} before {day}, please?",
    "I think we should {verb} the {adj} {thing} first.",
    "Please {verb} the {thing} and {verb} the {thing}.",
    "{name} and {name} will {verb} the {thing} in {place}.",
    "The {thing} costs about {number} euros a month.",
    "That would be {number} percent more than last {month}.",
    "Let me {verb} the {thing} and come back to you on {day}.",
    "The {adj} {thing} was {adj}, but the {thing} was not.",
    "What did {group} say about the {adj} {thing}?",
    "No, the meeting in {place} is on {day} at {clock}.",
    "My number is {digits}.",
    "The next point is the {adj} {thing} for {group}.",
    "Who can {verb} it by the {ordinal} of {month}?",
    "{group} did not {verb} the {thing}, so {name} has to {verb} it.",
    "If {name} is late, we can start with the {thing}.",
    "It took {number} minutes to {verb} the {adj} {thing}.",
    "In {year} we had only {number} {thing}s in {place}.",
    "Thank you, {name}, that was very {adj}.",
    "Yes, I can see the {thing} now.",
    "Okay, then we will {verb} it next {day}.",
    "Version {digit} of the {thing} is {adj}.",
    "Turn left at the {thing}, then it is the {ordinal} {thing} on the right.",
    "The train to {place} leaves at {clock} from platform {digit}.",
    "{name} lives at {number} {name} Street in {place}.",
    "We need {number} {thing}s, {number} {thing}s and a {adj} {thing}.",
    "I do not know whether {group} can {verb} the {thing}.",
    "Are you sure that the {thing} is {adj}?",
    "New paragraph. {group} will {verb} the {adj} {thing}.",
    "Remember to {verb} the {thing} with {name} in {month}.",
    "This is a {adj} {thing}, and nobody wants to {verb} it.",
    "How many {thing}s did {name} {verb} on {day}?",
]
NEW_PARAGRAPH = "New paragraph."
SHORT = " ".join(
    """Yes. No. Okay. Thank you. Good morning. Hello. See you on {day}. I agree. Of course. Not yet. One
moment, please. That is right. Thanks, {name}. Maybe {day}. Why not? Any questions? Let's move on.
Sounds good. Well done. I see.""".split()
).split(". ")

FOODS = """bread butter milk cheese tea coffee sugar rice soup salad fish chicken beef potatoes tomatoes onions apples
pears plums cherries honey flour eggs cake pie meat wine beer water juice pasta pizza toast""".split()
PEOPLE = """mother father brother sister son daughter wife husband aunt uncle cousin neighbour friend boss doctor
teacher nurse grandmother grandfather landlord dentist""".split()
ACTIONS = [
    "go for a walk", "buy a new bike", "write to the bank", "read the whole book", "see the sea", "hear the new song",
    "wait for the bus", "pay the bill", "wear a warm coat", "meet at the station", "pick up the children",
    "change my flight", "feed the cat", "mow the lawn", "clean the kitchen", "call the plumber", "book a table for two",
    "take a break", "turn off the light", "eat something first", "have dinner together", "share my screen",
    "mute the microphone", "send you the link", "reply to her email", "join the call", "take the notes",
    "sign the contract", "order new chairs", "restart the computer", "update the software", "watch the film again",
    "catch the early train", "stay at home", "weigh the parcel", "hire another engineer", "close the ticket",
    "save the file", "print both pages", "ask for a refund", "know the whole truth", "hold the line",
]  # fmt: skip
WHEN = """today|tomorrow|tonight|this morning|this afternoon|this evening|next week|next month|on {day}|
on {day} morning|at {clock}|in {month}|on the {ordinal} of {month}|at the weekend|in an hour|in {digit} weeks|
after lunch|before the meeting|right now|later|as soon as I can|every day|once a week""".replace("\n", " ").split("|")
WHEN = [when.strip() for when in WHEN]
MONEY = "pounds dollars euros pence cents".split()
HESITATIONS = ["um,", "uh,", "er,", "well,", "you know,", "I mean,"]
OPENINGS = "So, Well, Um, Okay, Yes, No, Right, Sorry, Actually, Oh, And But".split()
EVERYDAY = [
    "I have to {action} {when}.", "Do you want to {action} {when}?", "We could {action} {when}, if you like.",
    "Could you {action} for me, please?", "Did you {action} already?", "I would rather {action} than {action}.",
    "My {person} wants to {action} {when}.", "Why did your {person} not {action}?", "Let's {action} and then {action}.",
    "Do not forget to {action}.", "I was going to {action}, but then {name} called.", "Who is going to {action}?",
    "Is it all right if I {action} {when}?", "I think {name} and her {person} will {action} {when}.",
    "Can you hear me now?", "I can't hear you, you are on mute.", "Sorry, I am late, the {thing} was {adj}.",
    "What time is it?", "What time does the {thing} close {when}?", "It is {clock}.", "It's quarter past {digit}.",
    "How much is the {food}?", "The {food} and the {food} are {price}.", "That comes to {price} and {price}.",
    "I would like some {food} and a cup of {food}, please.", "We have no {food} left, only {food} and {food}.",
    "Would you like {food} or {food} with that?", "This {food} tastes {adj}.", "Where do you live?",
    "Where did you buy the {thing}?", "It was raining all day in {place}.", "It is too cold to sit outside {when}.",
    "The weather in {place} will be {adj} {when}.", "I don't know.", "I'm not sure.", "That's fine with me.",
    "What do you think?", "I didn't know that.", "They're not here yet.", "There are {digit} of us.",
    "We're on our way to {place}.", "You're right about the {thing}.", "It's not my {thing}, it's theirs.",
    "Who's there?", "Whose {thing} is this?", "I've been here for {age} years.", "He'll be back {when}.",
    "She doesn't want to {action}.", "We won't {action} {when}.", "They would've told us.", "Isn't that your {person}?",
    "My {person} is {age} years old.", "The flight to {place} leaves {when} from gate {number}.",
    "The code is {digits}.", "Please call me back on {digits}.", "My address is {number} {name} Road, {place}.",
    "The invoice is for {number} {thing}s at {price} each.", "Sales went up by {number} percent in {month}.",
    "We lost {number} customers and won {number}.", "The first item on the agenda is the {thing}.",
    "Can everybody see my screen?", "Let me share my screen.", "Shall we take a break of {age} minutes?",
    "The next meeting is {when} at {clock}.", "{name}, could you take the notes, please?",
    "{name} will send the minutes {when}.", "Let's go round the table, starting with {name}.",
    "Does that answer your question, {name}?", "I'd like to add something to what {name} said.",
    "The action for {name} is to {verb} the {thing}.", "We have {age} minutes left.", "Thank you all, and goodbye.",
    "The deadline is the {ordinal} of {month}, {year}.", "On the {ordinal} of {month} we {action}.",
    "I'm calling about the {adj} {thing} that I ordered {when}.", "Your order number is {digits}.",
    "Note to myself, {action} {when}.", "Remind me to {action} {when}.", "Dear {name}, thank you for your {thing}.",
    "Kind regards, {name}.", "Best wishes to your {person}.", "New line.", "How are you {when}?",
    "Nice to meet you, {name}.", "Happy birthday, {name}.", "I'm {age}, and my {person} is {age}.",
    "Half of the {food} is for {name}.", "I need {number} grams of {food} and {digit} spoons of {food}.",
    "My {person} has a {adj} {thing} in {place}.", "The {thing} is between the {thing} and the {thing}.",
    "It takes about {age} minutes by train.", "Read me the {ordinal} page again.", "I read it {when} and I liked it.",
    "I have {done} the {thing} again.", "{name} has already {done} the {thing}.",
    "Have you {done} the {adj} {thing} yet?", "We had {done} the {thing} before {day}.",
    "She has just {done} the {adj} {thing} {digit} times.", "They have {done} it, and I think that it is {adj}.",
    "I've {done} all of the {thing}s.", "Nobody has {done} the {thing} so far.",
]  # fmt: skip
"""Templates of everyday and meeting talk, only for training."""

MENU_ACTIONS = [
    "hear the opening hours", "talk to our sales team", "change your address", "pay a bill", "track a parcel",
    "go back one step", "hear that again", "open a new account", "reset your password", "confirm the payment",
    "cancel your order", "start the recording", "change the language", "book an appointment", "lock your card",
    "report a fault", "check your balance", "join the waiting list", "add another guest", "remove a contact",
    "turn the alarm off", "raise the volume", "lower the temperature", "mute everyone else", "skip this step",
    "save your changes", "delete the last entry", "send it to a friend", "unlock the front door", "update your details",
    "finish and hang up", "leave your name", "enter a different code", "choose another date", "stop the timer",
]  # fmt: skip
KEYS = [
    "star", "the star key", "pound", "the pound key", "the hash key", "zero", "enter", "the green button",
    "the red button", "any key",
]  # fmt: skip
SERVICE = [
    "For {group}, press {digit}.", "Press {digit} to {menu}, or {digit} to {menu}.",
    "If you want to {menu}, press {key}.",
    "To {menu}, press {digit}. To {menu}, press {key}.", "Press {key} when you are ready.", "Type in your {digits}.",
    "All of our agents are talking to other customers.", "You are number {digit} in the line.",
    "Your call may be recorded.", "We are open from {clock} until {clock}.", "The office is closed on {day}.",
    "You have {number} unread emails and {digit} missed calls.", "You have reached the voice mailbox of {name}.",
    "{name} cannot answer the phone at the moment.", "Speak after the beep.", "Your account has been locked.",
    "That password is not correct.", "Your session has expired.", "The file has been deleted.",
    "The {thing} has been saved.",
    "The door is now unlocked.", "Wrong number.", "Which extension do you need?", "Please hold while I connect you.",
    "Say yes or no.", "Enter the {digit} digit code that we sent you.", "Your new password must have {number} letters.",
    "Your {thing} is not available right now.", "The caller did not leave a name.", "Somebody has joined the call.",
    "{name} has left the call.", "The recording has started.", "The line is busy.", "Nobody is in the conference.",
    "Your balance is {price}.", "The user {name} does not exist.", "The {thing} number is {digits}.",
    "Do you want to {menu}?", "You can {menu} at any time.", "Would you like to {menu}?", "Please {menu} first.",
]  # fmt: skip
"""Templates of what telephones, machines and their services say, only for training."""


def number(choice: random.Random, limit: int = 9999) -> str:
    """A whole number in words."""
    size = choice.choice([9, 19, 99, 99, 999, limit])
    return _say(choice.randint(1, size))


def _say(n: int) -> str:
    if n < 10:
        return UNITS[n - 1]
    if n < 20:
        return TEENS[n - 10]
    if n < 100:
        return TENS[n // 10 - 2] + (f" {_say(n % 10)}" if n % 10 else "")
    if n < 1000:
        return f"{UNITS[n // 100 - 1]} hundred" + (f" and {_say(n % 100)}" if n % 100 else "")
    return f"{_say(n // 1000)} thousand" + (f" {_say(n % 1000)}" if n % 1000 else "")


def meeting_sentence(choice: random.Random) -> str:
    """One sentence of meeting talk, from a template. Test sets and recordings have it too, so it never changes."""
    return _filled(choice.choice(SHORT) if choice.random() < 0.08 else choice.choice(TEMPLATES), choice)


def everyday_sentence(choice: random.Random) -> str:
    """One sentence of everyday or meeting talk, some with a hesitation or a repeated word; only for training."""
    words = _filled(choice.choice(EVERYDAY), choice).split()
    if choice.random() < 0.15 and len(words) > 4:
        at = choice.randrange(1, len(words) - 1)
        words[at:at] = [choice.choice(HESITATIONS)] if choice.random() < 0.6 else [words[at].strip(".,?!") + ","]
    if choice.random() < 0.2:
        first = words[0] if words[0].startswith(("I", *NAMES)) else words[0].lower()
        words = [choice.choice(OPENINGS), first, *words[1:]]
    return " ".join(words)


def service_sentence(choice: random.Random) -> str:
    """One sentence of a telephone menu, a mailbox or another machine; only for training."""
    return _filled(choice.choice(SERVICE), choice)


def phrase(choice: random.Random, common: CommonWords) -> str:
    """One to four words that are said alone: a word, a number, a date, letters, or a part of a sentence."""
    kind = choice.random()
    if kind < 0.25:
        return _as_sentence([common.written(common.word(choice))], choice)
    if kind < 0.45:
        gaps = ["{number}", "{ordinal}", "{day}", "{month}", "{month} the {ordinal}", "{clock}", "{price}"]
        return _filled(choice.choice(gaps), choice)
    if kind < 0.52:
        return _as_sentence([choice.choice(LETTERS) for _ in range(choice.randint(1, 4))], choice)
    words = common.sentence(choice).split()
    n = min(len(words), choice.randint(1, 4))
    at = choice.randrange(len(words) - n + 1)
    return _as_sentence(words[at : at + n], choice)


def _filled(template: str, choice: random.Random) -> str:
    """A template with its gaps filled at random."""
    makers = {
        "name": lambda: choice.choice(NAMES),
        "place": lambda: choice.choice(PLACES),
        "month": lambda: choice.choice(MONTHS),
        "day": lambda: choice.choice(DAYS),
        "ordinal": lambda: choice.choice(ORDINALS),
        "number": lambda: number(choice),
        "digit": lambda: choice.choice(UNITS),
        "digits": lambda: " ".join(choice.choice(["zero", *UNITS]) for _ in range(choice.randint(4, 8))),
        "year": lambda: f"{choice.choice(['nineteen', 'twenty'])} {_say(choice.randint(10, 99))}",
        "clock": lambda: f"{_say(choice.randint(1, 12))} {choice.choice(MINUTES)}",
        "thing": lambda: choice.choice(THINGS),
        "adj": lambda: choice.choice(ADJECTIVES),
        "verb": lambda: choice.choice(VERBS),
        "done": lambda: choice.choice(DONE),
        "group": lambda: choice.choice(GROUPS),
        "age": lambda: _say(choice.randint(2, 95)),
        "food": lambda: choice.choice(FOODS),
        "person": lambda: choice.choice(PEOPLE),
        "action": lambda: choice.choice(ACTIONS),
        "when": lambda: choice.choice(WHEN),
        "menu": lambda: choice.choice(MENU_ACTIONS),
        "key": lambda: choice.choice(KEYS),
        "price": lambda: f"{_say(choice.randint(1, 99))} {choice.choice(MONEY)}",
    }  # fmt: skip
    out = template
    while (at := out.find("{")) >= 0:
        end = out.index("}", at)
        out = out[:at] + makers[out[at + 1 : end]]() + out[end + 1 :]
    out = out[0].upper() + out[1:]
    return out if out[-1] in ".?!" else out + "."


def read_lines(path: Path) -> list[str]:
    """The sentences of a file, one per line."""
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def read_corpus(path: Path) -> tuple[list[str], list[str]]:
    """The sentences to train on, and the held-out sentences."""
    lines = read_lines(path)
    stride = max(1, len(lines) // N_HELD_OUT)
    held_out = lines[stride // 2 :: stride][:N_HELD_OUT]
    kept_out = set(held_out)
    return [line for line in lines if line not in kept_out], held_out


def splice(choice: random.Random, sentences: list[str]) -> str:
    """Fragments of 2 to 6 words from several sentences, joined: the next word can only be known by listening."""
    words: list[str] = []
    while len(words) < choice.randint(5, 14):
        source = choice.choice(sentences).split()
        n = choice.randint(2, 6)
        at = choice.randrange(max(1, len(source) - n))
        words += source[at : at + n]
    return _as_sentence(words, choice)


def _as_sentence(words: list[str], choice: random.Random) -> str:
    inner = [word.rstrip(".?!;:") for word in words]
    text = " ".join(inner).rstrip(",").strip()
    return text[:1].upper() + text[1:] + choice.choice([".", ".", ".", "?"])


def training_sentences(
    corpus: Path, seed: int, work: Path, shares: Mapping[str, float] = SPOKEN_SHARES
) -> Iterator[str]:
    """Training text without end.

    Args:
        corpus: english.txt, whose held-out sentences are left out. Where books.txt and dialogue.txt lie beside it they
            are read too.
        work: where packages are unpacked.
        shares: how often each kind of text comes, for sound or for text without sound.
    """
    choice = random.Random(seed)
    books, prose, dialogue, common = _texts(corpus, work)
    makers = {
        "books": lambda: choice.choice(books),
        "prose": lambda: choice.choice(prose),
        "dialogue": lambda: choice.choice(dialogue),
        "meeting": lambda: meeting_sentence(choice),
        "everyday": lambda: everyday_sentence(choice),
        "service": lambda: service_sentence(choice),
        "phrase": lambda: phrase(choice, common),
        "common": lambda: common.sentence(choice),
        "splice": lambda: splice(choice, [common.sentence(choice) for _ in range(8)]),
        "entries": lambda: _as_sentence(common.entries(choice), choice),
    }
    kinds, weights = list(shares), list(shares.values())
    while True:
        sentence = makers[choice.choices(kinds, weights)[0]]()
        if sentence.startswith(f"{NEW_PARAGRAPH} "):  # apart, since anything may follow it
            rest = sentence.removeprefix(f"{NEW_PARAGRAPH} ")
            yield rest[0].upper() + rest[1:]
            sentence = NEW_PARAGRAPH
        yield sentence


@cache
def _texts(corpus: Path, work: Path) -> tuple[list[str], list[str], list[str], CommonWords]:
    """Books, prose, dialogue, common words. Shards ask for them again and again, so they are read once."""
    books, held_out = read_corpus(corpus)
    kept_out = {tuple(words_of(line)) for line in held_out}
    prose, dialogue = books, books
    if (path := corpus.with_name("books.txt")).exists():
        prose = [line for line in read_lines(path) if tuple(words_of(line)) not in kept_out]
    if (path := corpus.with_name("dialogue.txt")).exists():
        dialogue = [line for line in read_lines(path) if tuple(words_of(line)) not in kept_out]
    return books, prose, dialogue, CommonWords([*books, *prose, *dialogue], work)


def held_out_sentences(corpus: Path, n: int) -> list[str]:
    """The same sentences on every run: two thirds from books, a third meeting talk with its own seed."""
    _, books = read_corpus(corpus)
    choice = random.Random(987_654_321)
    return [books[i % len(books)] if i % 3 else meeting_sentence(choice) for i in range(n)]
