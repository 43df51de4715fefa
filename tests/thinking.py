"""A tiny random model whose chat template has a thinking mode like that of Qwen3."""

from tiny import tiny_model

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>"
    "{% if m['role'] == 'assistant' %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n"
    "{% endif %}{% endif %}"
)


def thinking_model(kind="qwen3", template=TEMPLATE):
    made = tiny_model(kind)
    made.tokenizer.chat_template = template
    return made
