"""Chats become the text that the model was trained on, and texts become tokens."""

import datetime

import pytest
from tokenizers.processors import TemplateProcessing

from emotion_games.engine.backend import TEMPLATE_DATE, ModelError
from tiny import CHAT, byte_tokenizer, tiny_model

SYSTEM = {"role": "system", "content": "You are Ann."}
USER = {"role": "user", "content": "Decide."}


class SlowTokenizer:
    """A tokenizer in pure Python."""

    is_fast = False


def with_template(chat_template):
    """A model whose tokenizer has this chat template."""
    model = tiny_model("llama")
    model.tokenizer = byte_tokenizer(chat_template)
    return model


def test_the_chat_template_is_used_and_begins_once():
    text = with_template(CHAT).chat_text([SYSTEM, USER])
    assert text == "<s><|system|>You are Ann.<|end|><|user|>Decide.<|end|><|assistant|>"
    assert with_template(CHAT.replace("{{ bos_token }}", "")).chat_text([USER]).count("<s>") <= 1


def test_a_template_without_a_system_role_gets_the_text_in_the_first_question():
    refusing = CHAT.replace(
        "{% for",
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}{% for",
        1,
    )
    ignoring = CHAT.replace(
        "<|{{ m['role'] }}|>{{ m['content'] }}<|end|>",
        "{% if m['role'] != 'system' %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endif %}",
    )
    for template in (refusing, ignoring):
        text = with_template(template).chat_text([SYSTEM, USER])
        assert text == "<s><|user|>You are Ann.\n\nDecide.<|end|><|assistant|>"


def test_thinking_is_off():
    template = (
        CHAT
        + "{% if add_generation_prompt and enable_thinking is false %}<think></think>{% endif %}"
    )
    assert with_template(template).chat_text([USER]).endswith("<|assistant|><think></think>")


def test_a_template_that_asks_for_the_date_gets_the_given_one_and_never_todays(monkeypatch):
    # As in Llama 3.1's template.
    model = with_template(
        "{{ bos_token }}{%- if not date_string is defined %}{%- if strftime_now is defined %}"
        "{%- set date_string = strftime_now('%d %b %Y') %}{%- endif %}{%- endif %}"
        "Today is {{ date_string }}.{% for m in messages %}{{ m['content'] }}{% endfor %}"
    )

    class LaterClock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2031, 1, 2)

    monkeypatch.setattr("transformers.utils.chat_template_utils.datetime", LaterClock)
    assert "02 Jan 2031" in model.tokenizer.apply_chat_template([USER], tokenize=False)
    assert model.chat_text([USER], datetime.date(2025, 3, 9)) == "<s>Today is 09 Mar 2025.Decide."
    assert model.chat_text([USER]) == "<s>Today is 26 Jul 2024.Decide."
    assert datetime.date(2024, 7, 26) == TEMPLATE_DATE, "directions are shared between series"


def test_a_text_is_rendered_as_transformers_renders_it():
    template = (
        "{% if tools is not none %}tools{% endif %}{% if documents is defined %}{% endif %}"
        "  {% for m in messages %}\n  {% generation %}{{ m['content'] | tojson }}"
        "{% endgeneration %}"
        "\n{% break %}{% endfor %}\n{{ eos_token }}{{ unknown }}"
    )
    model = with_template(template)
    expected = model.tokenizer.apply_chat_template([USER], tokenize=False)
    assert model.chat_text([USER]) in (expected, "<s>" + expected)


def test_a_base_model_reads_paragraphs():
    assert with_template(None).chat_text([SYSTEM, USER]) == "You are Ann.\n\nDecide.\n\n"


@pytest.mark.parametrize(
    "template, message",
    [
        (
            "{{ raise_exception('Only the roles\\nX and Y!') }}",
            "TemplateError: Only the roles X and Y!",
        ),
        ("{{ messages[0].content + 1 }}", "TypeError: can only concatenate str"),
        ("{{ messages[0].content.index('?!') }}", "ValueError: substring not found"),
        ("{{ 1 // 0 }}", "ZeroDivisionError"),
        ("{{ messages[9].content }}", "UndefinedError: list object has no element 9"),
        ("{% if %}", "TemplateSyntaxError"),
        ({"tool_use": "x"}, "ValueError: This model has multiple chat templates"),
    ],
)
def test_a_template_that_fails_is_one_line_with_its_own_message(template, message):
    model = with_template(template)
    for chat in ([SYSTEM, USER], [USER]):
        with pytest.raises(ModelError, match="^model llama: its chat template fails: ") as error:
            model.chat_text(chat)
        assert message in str(error.value) and "\n" not in str(error.value)


def adding(model, template):
    """The model, whose tokenizer adds special tokens by itself."""
    special = [(token, model.token_ids(token)[0]) for token in ("<s>", "<|user|>", "<|end|>")]
    model.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=template, special_tokens=special
    )
    return model


@pytest.mark.parametrize(
    "before, text",
    [
        ("{{ bos_token }}", "<s>Decide."),
        ("\n  {{ bos_token }}", "\n  <s>Decide."),
        ("Rules.{{ bos_token }}", "Rules.<s>Decide."),
        ("", "<s>Decide."),
    ],
)
def test_a_chat_begins_with_one_special_token_wherever_the_template_has_it(before, text):
    model = adding(with_template(before + "{{ messages[0]['content'] }}"), "<s> $A")
    assert model.chat_text([USER]) == text


def test_a_special_token_that_somebody_says_or_that_ends_turns_is_no_beginning():
    model = adding(with_template("{{ messages[0]['content'] }}<|end|>"), "<s> $A")
    assert model.chat_text([{"role": "user", "content": "Write <s>."}]) == "<s>Write <s>.<|end|>"
    model = adding(model, "<|end|> $A")
    assert model.chat_text([USER]) == "<|end|>Decide.<|end|>"
    model.tokenizer.chat_template = "{{ eos_token }}" + model.tokenizer.chat_template
    assert model.chat_text([USER]) == "<|end|>Decide.<|end|>"


def test_all_special_tokens_that_the_tokenizer_puts_before_a_text_begin_it():
    # As in GLM: two tokens before a text. What is added after it belongs to no prompt.
    model = adding(with_template(None), "<|user|> <s> $A <|end|>")
    assert model.plain_text("x") == "<|user|><s>x"
    assert [*model.token_ids(model.plain_text("x")), 2] == model.tokenizer("x")["input_ids"]
    model.tokenizer.chat_template = "<|user|><s>{{ messages[0]['content'] }}"
    assert model.chat_text([USER]) == "<|user|><s>Decide."
    model.tokenizer.chat_template = "{{ messages[0]['content'] }}"
    assert model.chat_text([USER]) == "<|user|><s>Decide."


def test_a_chat_that_ends_with_an_answer_is_not_continued():
    chat = [USER, {"role": "assistant", "content": "Yes."}]
    assert (
        with_template(CHAT).chat_text(chat) == "<s><|user|>Decide.<|end|><|assistant|>Yes.<|end|>"
    )
    assert with_template(None).chat_text(chat) == "Decide.\n\nYes."


def test_a_text_gets_the_beginning_token_that_the_tokenizer_would_add():
    model = with_template(None)
    assert model.plain_text("x") == "x"
    model.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    assert model.plain_text("x") == "<s>x"
    assert model.token_ids("<s>x") == model.tokenizer("x")["input_ids"], "never doubled"


def test_spans_are_the_characters_of_each_token():
    ids, spans = with_template(CHAT).token_spans("<s>ab")
    assert len(ids) == 3 and spans == [(0, 3), (3, 4), (4, 5)]


def test_a_tokenizer_without_offsets_is_refused():
    model = with_template(CHAT)
    model.tokenizer = SlowTokenizer()
    with pytest.raises(ModelError, match="SlowTokenizer: has no character offsets"):
        model.token_spans("x")
