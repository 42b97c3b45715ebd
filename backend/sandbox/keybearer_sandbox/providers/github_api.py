"""The fake GitHub's REST API: the person, their addresses, repositories and issues."""

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from keybearer_sandbox.accounts import find_account
from keybearer_sandbox.answers import Json
from keybearer_sandbox.oauth import parameters
from keybearer_sandbox.oauth.bearer import ApiCall, GuardedApi
from keybearer_sandbox.oauth.parameters import MalformedRequest
from keybearer_sandbox.oauth.refusals import ApiRefused
from keybearer_sandbox.providers.github_repositories import (
    Repositories,
    Repository,
    issue_json,
    person_json,
    repository_json,
)
from keybearer_sandbox.providers.transfers import whole_number
from keybearer_sandbox.sandbox import Sandbox

MAX_ISSUE_BYTES = 256 * 1024
_WRITE = {"repo", "public_repo"}


class GithubApi:
    def __init__(self, sandbox: Sandbox, api_url: str) -> None:
        self._sandbox = sandbox
        self._url = api_url
        self._repositories = Repositories()
        sandbox.on_reset(self._repositories.clear)

    def routes(self, api: GuardedApi) -> list[Route]:
        repository = "/repos/{owner}/{name}"
        return [
            api.route("/user", self._user, "user"),
            api.route("/user/emails", self._emails, "emails", ("user", "user:email")),
            api.route("/user/repos", self._own_repositories, "repos"),
            api.route("/users/{owner}", self._other_user, "user"),
            api.route(repository, self._repository, "repos"),
            api.route(f"{repository}/issues", self._create_issue, "create_issue", methods=("POST",)),
            api.route(f"{repository}/issues", self._issues, "issues"),
            api.route(f"{repository}/issues/{{number}}", self._issue, "issues"),
        ]

    async def _user(self, call: ApiCall) -> Response:
        account = call.account
        shows_email = bool({"user", "read:user", "user:email"} & set(call.token.grant.scopes))
        person = person_json(account, self._url) | {
            "name": account.name,
            "email": account.email if shows_email else None,
            "public_repos": 1,
            "followers": 0,
            "following": 0,
            "created_at": "2026-01-05T09:00:00Z",
            "updated_at": "2026-01-05T09:00:00Z",
        }
        return self._answer(call, person)

    async def _other_user(self, call: ApiCall) -> Response:
        account = find_account(call.request.path_params["owner"])
        if account is None:
            raise ApiRefused("not_found")
        return self._answer(call, person_json(account, self._url) | {"name": account.name})

    async def _emails(self, call: ApiCall) -> Response:
        address = {"email": call.account.email, "primary": True, "verified": True, "visibility": "public"}
        return self._answer(call, [address])

    async def _own_repositories(self, call: ApiCall) -> Response:
        found = self._repositories.of(call.account, with_private="repo" in call.token.grant.scopes)
        return self._page(call, [repository_json(r, self._url) for r in found])

    async def _repository(self, call: ApiCall) -> Response:
        return self._answer(call, repository_json(self._visible(call), self._url))

    async def _issues(self, call: ApiCall) -> Response:
        repository = self._visible(call)
        newest_first = reversed(repository.issues)
        return self._page(call, [issue_json(repository, i, self._url) for i in newest_first])

    async def _issue(self, call: ApiCall) -> Response:
        repository = self._visible(call)
        wanted = call.request.path_params["number"]
        for issue in repository.issues:
            if str(issue.number) == wanted:
                return self._answer(call, issue_json(repository, issue, self._url))
        raise ApiRefused("not_found")

    async def _create_issue(self, call: ApiCall) -> Response:
        repository = self._visible(call)
        if not _WRITE & set(call.token.grant.scopes):
            raise ApiRefused("scope_missing")
        try:
            wish = await parameters.json_object(call.request, MAX_ISSUE_BYTES)
        except MalformedRequest as error:
            raise MalformedRequest("Problems parsing JSON") from error
        wrong = _wrong_field(wish)
        if wrong:
            return self._answer(call, _validation_failed(*wrong), 422)
        labels = tuple(wish.get("labels") or ())
        issue = repository.open_issue(call.account, wish["title"], wish.get("body"), labels, self._sandbox.clock())
        return self._answer(call, issue_json(repository, issue, self._url), 201)

    def _visible(self, call: ApiCall) -> Repository:
        path = call.request.path_params
        found = self._repositories.find(
            path["owner"], path["name"], call.account, with_private="repo" in call.token.grant.scopes
        )
        if found is None:
            raise ApiRefused("not_found")
        return found

    def _page(self, call: ApiCall, items: list[dict[str, object]]) -> Response:
        fields = parameters.query(call.request)
        size = whole_number(fields, "per_page", 30, 1, 100)
        page = whole_number(fields, "page", 1, 1, 10_000)
        answer = self._answer(call, items[(page - 1) * size : page * size])
        if page * size < len(items):
            path = call.request.scope["path"].removeprefix("/github").removeprefix("/api")
            answer.headers["Link"] = f'<{self._url}{path}?per_page={size}&page={page + 1}>; rel="next"'
        return answer

    def _answer(self, call: ApiCall, content: object, status: int = 200) -> Response:
        headers = {
            "X-OAuth-Scopes": ", ".join(call.token.grant.scopes),
            "X-RateLimit-Limit": "5000",
            "X-RateLimit-Remaining": "4999",
            "X-GitHub-Media-Type": "github.v3; format=json",
        }
        return Json(content, status, headers)


def _wrong_field(wish: dict[str, Any]) -> tuple[str, str] | None:
    """The first field of a new issue that does not fit, and GitHub's code for why."""
    title, text, labels = wish.get("title"), wish.get("body"), wish.get("labels")
    if not title:
        return "title", "missing_field"
    if not isinstance(title, str):
        return "title", "invalid"
    if text is not None and not isinstance(text, str):
        return "body", "invalid"
    if labels is not None and not (isinstance(labels, list) and all(isinstance(n, str) for n in labels)):
        return "labels", "invalid"
    return None


def _validation_failed(name: str, code: str) -> dict[str, object]:
    return {
        "message": "Validation Failed",
        "errors": [{"resource": "Issue", "field": name, "code": code}],
        "documentation_url": "https://docs.github.com/rest/issues/issues#create-an-issue",
        "status": "422",
    }
