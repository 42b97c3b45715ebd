"""An SDK that follows the pages of a list stays on the proxy."""

PAGES = """
import os
from github import Auth, Github

github = Github(
    auth=Auth.Token(os.environ["KEYBEARER_GRANT"]),
    base_url=os.environ["KEYBEARER_URL"] + "/api/proxy/github",
    lazy=True,
    per_page=1,
)
repository = github.get_repo("alice/hello-world")
repository.create_issue("Second")
print([issue.title for issue in repository.get_issues()])
"""


async def test_pygithub_walks_through_all_pages(connected):
    _, grant = await connected.grant("github")
    finished = await connected.run("-c", PAGES, grant=grant)
    assert (finished.code, finished.err) == (0, "")
    assert finished.out == "['Second', 'Welcome to hello-world']\n"
