"""What users of LangChain's OpenAI provider see of a gateway."""

import pydantic
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings


@tool
def get_weather(place: str) -> str:
    """The weather of a place."""
    return f"12 degrees in {place}"


@pytest.fixture
def chat(mesh):
    return ChatOpenAI(model=mesh.endless, base_url=mesh.url, api_key=mesh.key, max_tokens=24, stream_usage=True)


@pytest.fixture
def tools_chat(mesh):
    return ChatOpenAI(model=mesh.tools, base_url=mesh.url, api_key=mesh.key, max_tokens=256)


def test_it_is_answered(chat):
    answer = chat.invoke("Tell me about the lanterns.")
    assert answer.content and answer.usage_metadata["output_tokens"] > 0, answer


def test_it_is_answered_as_a_stream(chat):
    chunks = list(chat.stream("Tell me about the lanterns."))
    whole = sum(chunks[1:], chunks[0])
    assert len(chunks) > 3 and whole.content and whole.usage_metadata["total_tokens"] > 0, whole


@pytest.mark.parametrize("streams", [False, True])
def test_a_tool_is_called_and_its_result_heard(tools_chat, streams):
    bound = tools_chat.bind_tools([get_weather], tool_choice="any")
    asked = [HumanMessage("Weather in Oslo?")]
    if streams:
        chunks = list(bound.stream(asked))
        answer = sum(chunks[1:], chunks[0])
    else:
        answer = bound.invoke(asked)
    call = answer.tool_calls[0]
    assert call["name"] == "get_weather" and call["id"] and "place" in call["args"], answer
    history = [*asked, AIMessage(answer.content, tool_calls=[call]), ToolMessage("12 degrees", tool_call_id=call["id"])]
    assert isinstance(tools_chat.bind_tools([get_weather], tool_choice="none").invoke(history), AIMessage)


def test_an_answer_is_of_a_schema(tools_chat):
    class Lamp(pydantic.BaseModel):
        name: str = pydantic.Field(max_length=6)
        lit: bool

    for method in ("json_schema", "function_calling"):
        assert isinstance(tools_chat.with_structured_output(Lamp, method=method).invoke("A lamp?"), Lamp), method


def test_the_responses_api_serves_too(mesh):
    chat = ChatOpenAI(model=mesh.endless, base_url=mesh.url, api_key=mesh.key, max_tokens=24, use_responses_api=True)
    assert chat.invoke("Tell me about the lanterns.").text
    chunks = list(chat.stream("Tell me about the lanterns."))
    assert sum(chunks[1:], chunks[0]).text


def test_texts_are_completed_and_embedded(mesh):
    assert OpenAI(model=mesh.endless, base_url=mesh.url, api_key=mesh.key, max_tokens=8).invoke("The lamp") is not None
    # It sends tokens where it is not told otherwise, and only the model knows which.
    of = OpenAIEmbeddings(model=mesh.embed, base_url=mesh.url, api_key=mesh.key, check_embedding_ctx_length=False)
    vectors = of.embed_documents(["a lamp", "a ship"])
    assert len(vectors) == 2 and len(vectors[0]) == len(of.embed_query("a lamp")) > 0
