"""The fake GitHub's REST API, called plainly and with PyGithub and its habits."""

import base64

import github
import pytest
from keybearer_sandbox.testing import RunningSandbox

API = "/github"


def token_of(sandbox: RunningSandbox, scope: str, account: str = "alice@example.com") -> str:
    return sandbox.tokens("github", scope, account)["access_token"]


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({"User-Agent": "x"}, 401, "Requires authentication"),
        ({"User-Agent": "x", "Authorization": "Bearer wrong"}, 401, "Bad credentials"),
        ({"User-Agent": "x", "Authorization": "token wrong"}, 401, "Bad credentials"),
        ({"User-Agent": "x", "Authorization": "Basic eDp5"}, 401, "Bad credentials"),
    ],
)
def test_calls_without_a_good_token(sandbox, headers, status, message) -> None:
    answer = sandbox.request("GET", f"{API}/user", None, headers)
    assert (answer.status, answer.json()["message"]) == (status, message)


def test_a_request_without_a_user_agent_is_forbidden(sandbox) -> None:
    answer = sandbox.request("GET", f"{API}/user", None, {"Authorization": f"Bearer {token_of(sandbox, '')}"})
    assert answer.status == 403
    assert b"User-Agent" in answer.body


@pytest.mark.parametrize(
    ("scope", "path", "status"),
    [
        ("", "/user", 200),
        ("", "/user/emails", 404),
        ("user:email", "/user/emails", 200),
        ("", "/users/bob", 200),
        ("", "/users/nobody", 404),
        ("", "/repos/bob/hello-world", 200),
        ("repo", "/repos/bob/secret-plans", 404),
        ("", "/repos/alice/secret-plans", 404),
        ("repo", "/repos/alice/secret-plans", 200),
        ("repo", "/repos/Alice/Secret-Plans", 200),
        ("repo", "/repos/alice/none", 404),
        ("repo", "/repos/alice/hello-world/issues/1", 200),
        ("repo", "/repos/alice/hello-world/issues/2", 404),
        ("repo", "/repos/alice/hello-world/issues/x", 404),
        ("repo", "/nothing", 404),
        ("", "/user/repos?per_page=0", 400),
    ],
)
def test_paths_and_scopes(sandbox, scope, path, status) -> None:
    answer = sandbox.api("GET", API + path, token_of(sandbox, scope))
    assert answer.status == status
    if status == 200:
        assert answer.headers["x-oauth-scopes"] == scope


def test_own_repositories_depend_on_the_scope_and_come_in_pages(sandbox) -> None:
    assert len(sandbox.api("GET", f"{API}/user/repos", token_of(sandbox, "public_repo")).json()) == 1
    page = sandbox.api("GET", f"{API}/user/repos?per_page=1", token_of(sandbox, "repo"))
    assert [r["name"] for r in page.json()] == ["hello-world"]
    assert page.headers["link"] == f'<{sandbox.url}{API}/user/repos?per_page=1&page=2>; rel="next"'


@pytest.mark.parametrize(
    ("scope", "content", "status", "problem"),
    [
        ("repo", {"title": "T", "body": "B", "labels": ["bug"]}, 201, None),
        ("public_repo", {"title": "\ud800 alone"}, 201, None),
        ("", {"title": "T"}, 404, None),
        ("repo", {}, 422, ("title", "missing_field")),
        ("repo", {"title": 5}, 422, ("title", "invalid")),
        ("repo", {"title": "T", "body": 5}, 422, ("body", "invalid")),
        ("repo", {"title": "T", "labels": "bug"}, 422, ("labels", "invalid")),
        ("repo", [], 400, None),
    ],
)
def test_creating_issues(sandbox, scope, content, status, problem) -> None:
    path = f"{API}/repos/alice/hello-world/issues"
    answer = sandbox.api("POST", path, token_of(sandbox, scope), content)
    assert answer.status == status
    if problem:
        error = answer.json()["errors"][0]
        assert (error["field"], error["code"]) == problem
    titles = [i["title"] for i in sandbox.api("GET", path, token_of(sandbox, "repo")).json()]
    assert len(titles) == (2 if status == 201 else 1)


@pytest.mark.parametrize("what", ["token", "grant"])
def test_the_application_revokes(sandbox, what) -> None:
    token = token_of(sandbox, "repo")
    path = f"{API}/applications/sandbox-github/{what}"
    good = base64.b64encode(b"sandbox-github:sbx_secret_github").decode()
    bad = base64.b64encode(b"sandbox-github:wrong").decode()
    body = f'{{"access_token":"{token}"}}'.encode()
    assert sandbox.request("DELETE", path, body).status == 401
    assert sandbox.request("DELETE", path, body, {"Authorization": f"Basic {bad}"}).status == 401
    assert sandbox.request("DELETE", path, b"{", {"Authorization": f"Basic {good}"}).status == 400
    assert sandbox.request("DELETE", path, body, {"Authorization": f"Basic {good}"}).status == 204
    assert sandbox.request("DELETE", path, body, {"Authorization": f"Basic {good}"}).status == 404
    assert sandbox.api("GET", f"{API}/user", token).status == 401


def test_the_api_answers_below_api_too(sandbox) -> None:
    token = token_of(sandbox, "repo")
    page = sandbox.api("GET", "/github/api/user/repos?per_page=1", token)
    assert page.json() == sandbox.api("GET", "/github/user/repos?per_page=1", token).json()
    assert page.headers["link"] == f'<{sandbox.url}/github/user/repos?per_page=1&page=2>; rel="next"'


def test_pygithub_works_with_the_base_url_alone(sandbox) -> None:
    client = github.Github(auth=github.Auth.Token(token_of(sandbox, "repo")), base_url=f"{sandbox.url}{API}")
    try:
        assert client.get_user().login == "alice"
        repository = client.get_repo("alice/hello-world")
        created = repository.create_issue("Something is wrong", body="Here is why.")
        assert next(iter(repository.get_issues())).title == created.title == "Something is wrong"
    finally:
        client.close()
