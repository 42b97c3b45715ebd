"""Which passwords are taken, how they are hashed, and that hashing gets in nobody's way."""

import asyncio
import threading
import time

import bcrypt
import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st
from keybearer.identity.passwords import foreign, policy
from keybearer.identity.passwords.hashing import Hashing
from keybearer.identity.passwords.policy import Policy, Strength
from keybearer.kit.errors import TooMany

GOOD = "violet kettle under nine bridges"


@pytest.fixture
def hashing():
    made = Hashing(workers=1)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("rules", "password", "has_factor", "reasons"),
    [
        (Policy(), "x" * 14, False, ["too_short"]),
        (Policy(), "x" * 15, False, []),
        (Policy(), "x" * 7, True, ["too_short"]),
        (Policy(), "x" * 8, True, []),
        (Policy(minimum=8, minimum_with_factor=12), "x" * 8, True, []),
        (Policy(), "x" * 256, False, []),
        (Policy(), "x" * 257, False, ["too_long"]),
        (Policy(classes=3), "abcdefghijklmno1", False, ["too_few_classes"]),
        (Policy(classes=3), "Abcdefghijklmno1", False, []),
        (Policy(classes=4), "Abc defghijklmno1", False, []),
        (Policy(classes=1), "你好你好你好你好你好你好你好你", False, ["too_few_classes"]),
        (Policy(), "é" * 15, False, []),
        (Policy(minimum=20), "", False, ["too_short"]),
    ],
)
def test_the_form_of_a_password(rules: Policy, password: str, has_factor: bool, reasons: list[str]) -> None:
    assert rules.formal_reasons(password, has_factor=has_factor) == reasons


@pytest.mark.parametrize(
    ("password", "reasons"),
    [
        ("password", ["breached"]),
        ("Password", ["breached"]),
        ("iloveyou", ["breached"]),
        ("aaaaaaaaaaaaaaaaaaaa", ["guessable"]),
        ("abcdefghijklmnopqrstuvwxyz", ["guessable"]),
        ("monkeymonkeymonkey", ["guessable"]),
        ("qwertyuiopasdfgh", ["guessable"]),
        ("dora@example.com", ["guessable"]),
        ("Dora@Example.com1", ["guessable"]),
        (GOOD, []),
        ("N" * 3 + "x7#pQ!z" * 40, []),
    ],
)
def test_what_thieves_know_and_guess(password: str, reasons: list[str]) -> None:
    assert Strength().reasons(password, ["dora@example.com", "dora", "example.com", "example"]) == reasons


def test_the_longest_password_is_judged_in_no_time() -> None:
    judge = Strength()
    judge.reasons("x", [])
    began = time.perf_counter()
    judge.reasons("p@ssw0rd" * 32, ["dora"] * 6)
    assert time.perf_counter() - began < 2


async def test_a_hash_says_how_it_was_made(hashing: Hashing) -> None:
    encoded = await hashing.hash(GOOD)
    assert encoded.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await hashing.verify(GOOD, encoded)
    assert not await hashing.verify(GOOD + "!", encoded)
    assert not await hashing.verify(GOOD, None)
    assert not hashing.is_outdated(encoded)


@pytest.mark.parametrize(
    "encoded",
    [
        PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(GOOD),
        bcrypt.hashpw(GOOD.encode(), bcrypt.gensalt(4)).decode(),
    ],
    ids=["weaker Argon2", "bcrypt"],
)
async def test_other_hashes_are_verified_and_outdated(hashing: Hashing, encoded: str) -> None:
    assert await hashing.verify(GOOD, encoded)
    assert hashing.is_outdated(encoded)


# Made by the frameworks whose form they have, of the password "violet kettle".
FOREIGN = {
    "bcrypt": bcrypt.hashpw(b"violet kettle", bcrypt.gensalt(4)).decode(),
    "bcrypt of PHP": bcrypt.hashpw(b"violet kettle", bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$"),
    "Django PBKDF2": "pbkdf2_sha256$1000$saltsalt$PBKDF2_SHA256",
    "passlib PBKDF2": "$pbkdf2-sha256$1000$c2FsdHNhbHQ$PASSLIB",
    "PHC PBKDF2": "$pbkdf2-sha512$i=1000,l=32$c2FsdHNhbHQ$PHC512",
    "scrypt": "$scrypt$ln=10,r=8,p=1$c2FsdHNhbHQ$SCRYPT",
    "Django scrypt": "scrypt$saltsalt$1024$8$1$SCRYPT",
    "Werkzeug scrypt": "scrypt:1024:8:1$saltsalt$SCRYPTHEX",
}


def filled(encoded: str) -> str:
    """Known answers, from the standard library's primitives."""
    import base64
    import hashlib

    sha256 = hashlib.pbkdf2_hmac("sha256", b"violet kettle", b"saltsalt", 1000, 32)
    sha512 = hashlib.pbkdf2_hmac("sha512", b"violet kettle", b"saltsalt", 1000, 32)
    scrypt = hashlib.scrypt(b"violet kettle", salt=b"saltsalt", n=1024, r=8, p=1, dklen=64)
    for name, value in (
        ("PBKDF2_SHA256", base64.b64encode(sha256).decode()),
        ("PASSLIB", base64.b64encode(sha256).decode().rstrip("=").replace("+", ".")),
        ("PHC512", base64.b64encode(sha512).decode().rstrip("=")),
        ("SCRYPTHEX", scrypt.hex()),
        ("SCRYPT", base64.b64encode(scrypt).decode().rstrip("=")),
    ):
        encoded = encoded.replace(name, value)
    return encoded


@pytest.mark.parametrize("kind", list(FOREIGN))
def test_imported_hashes(kind: str) -> None:
    encoded = filled(FOREIGN[kind])
    assert foreign.verify("violet kettle", encoded)
    assert not foreign.verify("violet kettl", encoded)


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "plain",
        "$1$md5$crypt",
        "$2b$31$" + "a" * 53,
        "$pbkdf2-sha256$99999999$c2FsdA$c2FsdA",
        "$pbkdf2-sha256$0$c2FsdA$c2FsdA",
        "$scrypt$ln=30,r=8,p=1$c2FsdA$c2FsdA",
        "$scrypt$ln=10,r=999,p=999$c2FsdA$c2FsdA",
        "$scrypt$ln=0,r=0,p=0$c2FsdA$c2FsdA",
        "scrypt:1024:8:1$salt$abc",
        "$pbkdf2-sha256$1000$====$====",
    ],
)
def test_what_is_no_hash_or_costs_too_much_never_fits(encoded: str) -> None:
    began = time.perf_counter()
    assert not foreign.verify("violet kettle", encoded)
    assert time.perf_counter() - began < 1


@given(st.text(max_size=60))
def test_nothing_that_is_stored_breaks_a_sign_in(encoded: str) -> None:
    assert not foreign.verify("violet kettle", encoded)


@given(st.text(max_size=40).filter(lambda text: text.isprintable()))
def test_the_same_password_typed_in_two_ways(text: str) -> None:
    import unicodedata

    assert policy.normal(unicodedata.normalize("NFD", text)) == policy.normal(unicodedata.normalize("NFC", text))


async def test_the_loop_goes_on_while_hashing(hashing: Hashing) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await hashing.hash(GOOD)
    ticking.cancel()
    assert ticks > 3


async def test_when_too_many_wait_the_next_is_told_to_come_back() -> None:
    hashing, may_end = Hashing(workers=1, waiting=3), threading.Event()
    waiting = [asyncio.create_task(hashing.run(may_end.wait)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(TooMany) as refused:
        await hashing.verify(GOOD, None)
    assert (refused.value.code, refused.value.retry_after) == ("busy", 2)
    waiting[1].cancel()
    await asyncio.sleep(0)
    with pytest.raises(TooMany):
        await hashing.verify(GOOD, None)
    may_end.set()
    await asyncio.gather(*waiting, return_exceptions=True)
    await asyncio.sleep(0.05)
    assert not await hashing.verify(GOOD, None)
    hashing.close()
