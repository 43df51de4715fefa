"""Chat templates of models: programs that make a text of a chat."""

import datetime

import jinja2
from transformers import PreTrainedTokenizerBase
from transformers.utils.chat_template_utils import _compile_jinja_template

from emotion_games.prompts.messages import Message

# What a chat template may raise.
TEMPLATE_ERRORS = (
    jinja2.TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


def rendered(
    tokenizer: PreTrainedTokenizerBase,
    messages: list[Message],
    thinking: bool,
    date: datetime.date,
) -> str:
    """Return what the template of a tokenizer makes of a chat.

    A chat that ends with the user gets the beginning of the answer.

    Args:
        tokenizer: It has a chat template.
        messages: The chat.
        thinking: Whether a thinking mode of the template is switched on.
        date: What the template takes for today, if it asks.

    Raises:
        TEMPLATE_ERRORS: The template fails.
    """
    # `apply_chat_template` would give the template today's date: it passes no functions on.
    return _compile_jinja_template(tokenizer.get_chat_template()).render(
        messages=messages,
        tools=None,
        documents=None,
        add_generation_prompt=messages[-1]["role"] == "user",
        enable_thinking=thinking,
        strftime_now=date.strftime,
        **tokenizer.special_tokens_map,
    )
