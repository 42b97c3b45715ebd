"""The repositories and issues at the fake GitHub: for each person a public and a private repository."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from keybearer_sandbox.accounts import ACCOUNTS, Account

_CREATED = "2026-01-05T09:00:00Z"


@dataclass
class Issue:
    number: int
    title: str
    body: str | None
    labels: tuple[str, ...]
    author: Account
    created_at: str


@dataclass
class Repository:
    owner: Account
    name: str
    private: bool
    issues: list[Issue] = field(default_factory=list)

    def open_issue(self, author: Account, title: str, body: str | None, labels: tuple[str, ...], now: float) -> Issue:
        created_at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        issue = Issue(len(self.issues) + 1, title, body, labels, author, created_at)
        self.issues.append(issue)
        return issue


class Repositories:
    def __init__(self) -> None:
        self._repositories: list[Repository] = []
        self.clear()

    def clear(self) -> None:
        self._repositories = [
            Repository(owner, name, private)
            for owner in ACCOUNTS
            for name, private in (("hello-world", False), ("secret-plans", True))
        ]
        for repository in self._repositories:
            title = f"Welcome to {repository.name}"
            repository.issues = [Issue(1, title, "The first issue.", (), repository.owner, _CREATED)]

    def of(self, owner: Account, *, with_private: bool) -> list[Repository]:
        return [r for r in self._repositories if r.owner is owner and (with_private or not r.private)]

    def find(self, owner: str, name: str, reader: Account, *, with_private: bool) -> Repository | None:
        """A repository that the reader may see: a private one only as its owner."""
        for repository in self._repositories:
            if (repository.owner.handle, repository.name) == (owner.lower(), name.lower()):
                visible = not repository.private or (with_private and repository.owner is reader)
                return repository if visible else None
        return None


def person_json(account: Account, api: str) -> dict[str, object]:
    return {
        "login": account.handle,
        "id": account.github_id(),
        "node_id": f"sandbox-{account.handle}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{account.github_id()}?v=4",
        "url": f"{api}/users/{account.handle}",
        "html_url": f"https://github.com/{account.handle}",
        "type": "User",
        "site_admin": False,
    }


def repository_json(repository: Repository, api: str) -> dict[str, object]:
    full_name = f"{repository.owner.handle}/{repository.name}"
    return {
        "id": repository.owner.github_id() * 10 + int(repository.private),
        "name": repository.name,
        "full_name": full_name,
        "private": repository.private,
        "owner": person_json(repository.owner, api),
        "html_url": f"https://github.com/{full_name}",
        "url": f"{api}/repos/{full_name}",
        "issues_url": f"{api}/repos/{full_name}/issues{{/number}}",
        "description": None,
        "fork": False,
        "default_branch": "main",
        "open_issues_count": len(repository.issues),
        "visibility": "private" if repository.private else "public",
        "created_at": _CREATED,
        "updated_at": _CREATED,
    }


def issue_json(repository: Repository, issue: Issue, api: str) -> dict[str, object]:
    full_name = f"{repository.owner.handle}/{repository.name}"
    return {
        "id": repository.owner.github_id() * 1000 + issue.number,
        "number": issue.number,
        "title": issue.title,
        "body": issue.body,
        "state": "open",
        "user": person_json(issue.author, api),
        "labels": [{"name": name, "color": "ededed", "default": False} for name in issue.labels],
        "assignees": [],
        "comments": 0,
        "locked": False,
        "url": f"{api}/repos/{full_name}/issues/{issue.number}",
        "html_url": f"https://github.com/{full_name}/issues/{issue.number}",
        "repository_url": f"{api}/repos/{full_name}",
        "created_at": issue.created_at,
        "updated_at": issue.created_at,
        "closed_at": None,
    }
