"""OpenAI's own client for Python against the service: python openai-clients-python.py URL KEY RARE_KEY. Ends with 'ok'."""

import asyncio
import sys

import openai

url, key, rare_key = sys.argv[1:]
MODEL = "tiny-target"


def client(api_key: str, base: str = url) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{base}/v1", api_key=api_key, max_retries=0)


ours = client(key)
chat = {"model": MODEL, "messages": [{"role": "user", "content": "Mr. Speaker"}], "max_tokens": 12, "temperature": 0}
completion = {"model": MODEL, "prompt": "Mr. Speaker", "max_tokens": 12, "temperature": 0}


def chats() -> None:
    whole = ours.chat.completions.create(**chat)
    assert whole.choices[0].finish_reason == "length", whole
    assert whole.usage.completion_tokens == 12, whole
    # What is not OpenAI's is kept by the client as well.
    assert whole.metrics["speculative_decoding"]["num_spec_tokens"] > 0, whole

    chunks = list(ours.chat.completions.create(**chat, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content, text
    assert chunks[-1].usage == whole.usage, chunks[-1]

    several = ours.chat.completions.create(**{**chat, "temperature": 1}, n=3, seed=5)
    assert [choice.index for choice in several.choices] == [0, 1, 2], several

    scored = ours.chat.completions.create(**chat, logprobs=True, top_logprobs=2).choices[0]
    assert bytes(byte for token in scored.logprobs.content for byte in token.bytes).decode() == text, scored
    assert all(len(token.top_logprobs) == 2 for token in scored.logprobs.content), scored

    stopped = ours.chat.completions.create(**chat, stop=text[6:9]).choices[0]
    assert stopped.finish_reason == "stop", stopped
    assert stopped.message.content == text[: text.index(text[6:9])], stopped


def completions() -> None:
    several = ours.completions.create(**{**completion, "prompt": ["Mr. Speaker", [5, 6]]}, n=2, echo=True)
    assert [choice.index for choice in several.choices] == [0, 1, 2, 3], several
    assert several.choices[0].text.startswith("Mr. Speaker"), several
    scored = ours.completions.create(**completion, logprobs=1).choices[0]
    assert "".join(scored.logprobs.tokens) == scored.text, scored
    assert scored.logprobs.text_offset[0] == 0, scored
    extra = {"repetition_penalty": 1.2, "return_token_ids": True, "plateau": {"domain": "clients"}}
    assert len(ours.completions.create(**completion, extra_body=extra).choices[0].token_ids) == 12


def errors() -> None:
    def refused(kind: type[openai.OpenAIError], call) -> openai.APIStatusError:
        try:
            call()
        except kind as error:
            return error
        raise AssertionError(f"{kind} did not come")

    wrong = refused(openai.BadRequestError, lambda: ours.completions.create(**{**completion, "temperature": 3}))
    assert wrong.param == "temperature", wrong
    unknown = refused(openai.NotFoundError, lambda: ours.completions.create(**{**completion, "model": "gpt"}))
    assert unknown.code == "model_not_found", unknown
    stranger = refused(openai.AuthenticationError, lambda: client("pl_stranger").completions.create(**completion))
    assert stranger.code == "invalid_api_key", stranger
    rare = client(rare_key)
    rare.completions.create(**completion)
    limited = refused(openai.RateLimitError, lambda: rare.completions.create(**completion))
    assert int(limited.response.headers["retry-after"]) > 30, limited.response.headers
    refused(openai.APIConnectionError, lambda: client(key, "http://127.0.0.1:1").completions.create(**completion))


async def at_once() -> None:
    """Many at once, some of them left in the middle."""
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as many:

        async def one(i: int) -> int:
            count = 0
            async with await many.completions.create(**{**completion, "max_tokens": 40}, stream=True) as stream:
                async for _ in stream:
                    count += 1
                    if i % 3 == 0 and count == 2:
                        break
            return count

        counts = await asyncio.gather(*(one(i) for i in range(12)))
        assert all(count == 2 if i % 3 == 0 else count > 2 for i, count in enumerate(counts)), counts


assert [model.id for model in ours.models.list()] == [MODEL]
chats()
completions()
errors()
asyncio.run(at_once())
print("ok")
