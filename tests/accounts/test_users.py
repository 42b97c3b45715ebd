"""People from elsewhere, and what an operator does with everybody's account."""

import base64
import hashlib
import json
import subprocess
from pathlib import Path

import bcrypt
import pytest
import warm
from accounts.world import PASSWORD, World
from installation import Browser
from keybearer.identity.passwords.hashing import Hashing
from keybearer.kit.errors import Conflict
from signin.site import Site

HASH = bcrypt.hashpw(PASSWORD.encode(), b"$2b$04$" + b"a" * 21 + b"e").decode()
CSV = f"""email,name,role,email_verified,password_hash
hanna@example.com,Hanna,member,true,{HASH}
"ivo@example.com","Ivo, the second",member,false,{HASH}
"""


def users(site: Site, *words: str) -> "subprocess.CompletedProcess[str]":
    return warm.run(["users", *words], env=site.environment())


def scrypt_of(password: str) -> str:
    salt = b"0123456789abcdef"
    digest = hashlib.scrypt(password.encode(), salt=salt, n=16384, r=8, p=1, dklen=32)
    return f"$scrypt$ln=14,r=8,p=1${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def sign_in(browser: Browser, email: str) -> int:
    status: int = browser.post("/api/auth/login", json={"email": email, "password": PASSWORD}).status_code
    return status


def test_people_are_brought_along_once_and_sign_in_as_before(site: Site, browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(CSV)
    tried = users(site, "import", str(file), "--dry-run")
    assert tried.stdout == "2 accounts would be made, 0 were here already.\n", tried.stderr
    assert sign_in(browser, "hanna@example.com") == 401
    assert users(site, "import", str(file)).stdout.startswith("2 accounts made, 0 were")
    lines = tmp_path / "more.jsonl"
    more = {"email": "jo@example.com", "password_hash": scrypt_of(PASSWORD)}
    lines.write_text(json.dumps(more) + "\n" + json.dumps({"email": "HANNA@example.com"}) + "\n")
    assert users(site, "import", str(lines)).stdout.startswith("1 accounts made, 1 were")
    for email in ("hanna@example.com", "ivo@example.com", "jo@example.com"):
        assert sign_in(browser, email) == 200
    listed = users(site, "list").stdout
    assert "ivo@example.com    member   Ivo, the second  address not confirmed" in listed
    exported = users(site, "export", "--json").stdout
    people = {each["email"]: each for each in map(json.loads, exported.splitlines())}
    assert people["hanna@example.com"]["password_hash"] is None
    hashes = users(site, "export", "--password-hashes").stdout
    assert "$argon2id$" in hashes, "their first sign-in here made it anew"
    assert "$2b$" not in hashes
    file.write_text(hashes)
    assert " 0 were here" not in users(site, "import", str(file)).stdout


WRONG = [
    ("email,name\nhanna,Hanna\n", "line 2: This is no email address"),
    ("email,role\nk@example.com,owner\n", "line 2: The role is none of admin, member."),
    ("email,password_hash\nk@example.com,5f4dcc3b\n", "line 2: The hash is none of"),
    ("email\nk@example.com\nK@example.com\n", "line 3: The address is in line 2 already."),
    ("email,email_verified\nk@example.com,perhaps\n", "line 2: email_verified is 'perhaps'"),
    ("name\nHanna\n", "line 1: name the columns"),
    ("email,phone\nk@example.com,1\n", "line 2: 'phone' is none of"),
    ("email,name\nk@example.com\n", "line 2: it has more or fewer columns"),
    ('email,name\n"k@example.com,x\n', "this is no CSV"),
]


@pytest.mark.parametrize(("content", "said"), WRONG)
def test_of_a_file_with_a_wrong_line_nobody_is_made(site: Site, tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "people.csv"
    file.write_text(content)
    refused = users(site, "import", str(file))
    assert refused.returncode == 1
    assert said in refused.stderr, refused.stderr
    assert "Traceback" not in refused.stderr
    assert "k@example.com" not in users(site, "list").stdout


USABLE = [
    (HASH, True),
    (scrypt_of("x"), True),
    ("$2b$16$" + "a" * 53, False),
    ("pbkdf2_sha256$600000$salt$aGFzaA==", True),
    ("pbkdf2_sha256$60000000$salt$aGFzaA==", False),
    ("scrypt:1048576:8:64$salt$00ff", False),
    ("$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG", True),
    ("$argon2id$v=19$m=4194304,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG", False),
    ("5f4dcc3b5aa765d61d8327deb882cf99", False),
    ("", False),
]


@pytest.mark.parametrize(("encoded", "usable"), USABLE)
def test_which_hashes_are_taken(encoded: str, usable: bool) -> None:
    assert Hashing.is_usable(encoded) is usable


async def test_whoever_is_disabled_is_out_everywhere_and_the_last_admin_stays(world: World) -> None:
    operating = world.people.operating
    await operating.create(world.tenant, "root@example.com", "Root", "admin", PASSWORD)
    entered = await world.register()
    token = entered.session.token
    for refused in (
        operating.set_disabled(world.tenant, "root@example.com", disabled=True),
        operating.set_role(world.tenant, "root@example.com", "member"),
    ):
        with pytest.raises(Conflict, match="last_admin"):
            await refused
    assert await operating.set_disabled(world.tenant, "dora@example.com", disabled=True) == 1
    assert await world.services.sessions.find_principal(token) is None
    with pytest.raises(Exception, match="user_disabled"):
        await world.sign_in()
    await operating.set_disabled(world.tenant, "dora@example.com", disabled=False)
    await operating.set_role(world.tenant, "dora@example.com", "admin")
    assert (await world.sign_in()).user.role == "admin"
    await operating.set_role(world.tenant, "root@example.com", "member")
