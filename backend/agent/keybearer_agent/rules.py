"""What stands in for a language model where none is configured: a few sentences, understood by rule.

It speaks livekit-agents' LLM interface, so that an agent and its tools are the same with it and with a real model.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from livekit.agents import llm
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, APIConnectOptions, NotGivenOr
from livekit.agents.utils import shortuuid
from typing_extensions import override

# Sentence, tool, argument that takes what the sentence names.
RULES = ((re.compile(r"\bplay\s+(?P<named>\S.*?)[\s.!?]*$", re.IGNORECASE), "play_song", "title"),)
AT_A_LOSS = "I can play music. Say “play” and the name of a song."


class RuleLLM(llm.LLM[str]):
    """Answers the same to the same words, without network and without waiting."""

    @property
    def model(self) -> str:
        return "rules"

    @property
    def provider(self) -> str:
        return "keybearer"

    @override
    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, Any]] = NOT_GIVEN,
    ) -> "llm.LLMStream":
        return _Answer(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _Answer(llm.LLMStream):
    async def _run(self) -> None:
        self._event_ch.send_nowait(
            llm.ChatChunk(id=shortuuid("rule_"), delta=answer(self._chat_ctx.items, _names(self._tools)))
        )


def answer(said: Sequence[llm.ChatItem], tools: Sequence[str]) -> llm.ChoiceDelta:
    """Reads a tool's answer out; calls the tool that a sentence asks for; says what it can do otherwise."""
    last = said[-1] if said else None
    if isinstance(last, llm.FunctionCallOutput):
        return llm.ChoiceDelta(role="assistant", content=last.output)
    words = (last.text_content or "") if isinstance(last, llm.ChatMessage) else ""
    for sentence, tool, argument in RULES:
        if tool in tools and (found := sentence.search(words)):
            return llm.ChoiceDelta(role="assistant", tool_calls=[_call(tool, {argument: found["named"]})])
    return llm.ChoiceDelta(role="assistant", content=AT_A_LOSS)


def _call(tool: str, arguments: dict[str, str]) -> llm.FunctionToolCall:
    return llm.FunctionToolCall(name=tool, arguments=json.dumps(arguments), call_id=shortuuid("call_"))


def _names(tools: Sequence[llm.Tool]) -> list[str]:
    return [tool.info.name for tool in tools if isinstance(tool, llm.FunctionTool)]
