"""The agent without a server: what it understands, what it tells, whose grant it uses, what a worker is told to be."""

import json

import pytest
from keybearer_agent import rules, worker
from keybearer_agent.aide import Aide, credentials_of, listening_to
from keybearer_agent.rules import AT_A_LOSS, RuleLLM
from livekit.agents import AgentSession, llm
from livekit.agents.voice.turn import TurnHandlingOptions

HERE = {"KEYBEARER_URL": "https://kb.example", "KEYBEARER_GRANT": "kbg_environment"}


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ("Play Despacito", "Despacito"),
        ("play Despacito.", "Despacito"),
        ("Could you please PLAY Für Elise by Beethoven?!", "Für Elise by Beethoven"),
        ("play 99 Luftballons ", "99 Luftballons"),
        ("Play", None),
        ("Display the news", None),
        ("Hello", None),
        ("", None),
    ],
)
def test_a_sentence_calls_the_tool_that_it_asks_for(words, title):
    said = [llm.ChatMessage(role="user", content=[words])]
    delta = rules.answer(said, ["play_song"])
    assert [json.loads(call.arguments) for call in delta.tool_calls] == ([{"title": title}] if title else [])
    assert delta.content == (None if title else AT_A_LOSS)
    assert rules.answer(said, []).content == AT_A_LOSS, "a tool that the agent has not is never called"


def test_the_stand_in_asks_for_tools_that_the_agent_has():
    assert {tool for _, tool, _ in rules.RULES} == {Aide.play_song.info.name}


async def test_the_agent_reads_out_what_its_tool_says():
    """Here: why it could not, with nothing configured."""
    options = TurnHandlingOptions(turn_detection=None)
    async with RuleLLM() as model, AgentSession(llm=model, vad=None, turn_handling=options) as session:
        await session.start(Aide({}))
        result = await session.run(user_input="Play Despacito")
    result.expect.next_event().is_function_call(name="play_song", arguments={"title": "Despacito"})
    result.expect.next_event().is_function_call_output(is_error=True)
    spoken = result.expect.next_event().is_message(role="assistant").event().item.text_content
    assert spoken.startswith("Not set: KEYBEARER_URL, KEYBEARER_GRANT.")


@pytest.mark.parametrize(
    ("metadata", "url", "grant"),
    [
        ({}, HERE["KEYBEARER_URL"], HERE["KEYBEARER_GRANT"]),
        ({"KEYBEARER_GRANT": "kbg_job"}, HERE["KEYBEARER_URL"], "kbg_job"),
        ({"KEYBEARER_GRANT": "kbg_job", "KEYBEARER_URL": "https://other"}, "https://other", "kbg_job"),
        ({"KEYBEARER_URL": "https://thief"}, HERE["KEYBEARER_URL"], HERE["KEYBEARER_GRANT"]),
        ({"KEYBEARER_GRANT": 7}, HERE["KEYBEARER_URL"], HERE["KEYBEARER_GRANT"]),
    ],
)
def test_the_environments_grant_goes_to_the_environments_address_alone(metadata, url, grant):
    found = credentials_of(json.dumps(metadata), HERE)
    assert (found["KEYBEARER_URL"], found["KEYBEARER_GRANT"]) == (url, grant)


@pytest.mark.parametrize("metadata", ["", "no JSON", "[]", "3", '{"participant_identity": 3}'])
def test_metadata_of_others_is_no_trouble(metadata):
    assert dict(credentials_of(metadata, HERE)) == HERE
    assert listening_to(metadata) is None


@pytest.mark.parametrize("places", [1, 2, 3, 4, 7, 10, 25, 100])
def test_a_worker_takes_calls_until_each_place_is_taken(places):
    loads = [worker.load(active, places) for active in range(places + 1)]
    assert [load < worker.threshold(places) for load in loads] == [True] * places + [False]


def test_settings_come_from_the_environment():
    read = worker.Settings.read(
        {"KEYBEARER_JOBS_PER_WORKER": "2", "KEYBEARER_DRAIN_SECONDS": "60", "KEYBEARER_METRICS_PORT": "9091"}
    )
    assert read == worker.Settings(jobs_per_worker=2, drain_seconds=60, port=8081, metrics_port=9091)
    assert worker.Settings.read({}) == worker.Settings()


@pytest.mark.parametrize("name", ["KEYBEARER_JOBS_PER_WORKER", "KEYBEARER_DRAIN_SECONDS"])
@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5"])
def test_a_wrong_setting_is_named(name, text):
    with pytest.raises(ValueError, match=name):
        worker.Settings.read({name: text})


def test_what_libraries_read_while_they_are_imported_is_set_before(tmp_path):
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}
    worker.prepare(environment)
    assert (tmp_path / "metrics").is_dir()
    assert environment["LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE"] == "0"
