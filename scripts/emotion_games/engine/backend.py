"""The interface between the engine and the library that runs a language model.

Everything else deals in texts, token ids and tensors. Another back end is one module with
subclasses of `Rows` and `Backend`, and a branch in `models.load_model`.
"""

import datetime
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import takewhile

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from emotion_games.engine.chat_templates import TEMPLATE_ERRORS, rendered
from emotion_games.engine.windows import Window
from emotion_games.errors import UserError
from emotion_games.prompts.messages import Message

# The token ids of a text.
Ids = Sequence[int]
# Indices of decoder layers, counted from 0.
Layers = Sequence[int]
# A tensor per decoder layer.
ByLayer = dict[int, Tensor]
# For several rows, the log-probabilities (nats) of the tokens of several continuations.
Logprobs = list[list[list[float]]]

# What chat templates take for today when directions are measured, which all series share. Any
# fixed day would do; this is the one that the template of Llama 3.1 falls back to.
TEMPLATE_DATE = datetime.date(2024, 7, 26)
# Stands for an answer, to find where a template puts it. No story contains it.
_ANSWER = "~ANSWER~"


class ModelError(UserError):
    """A model cannot be loaded or used. Its experiments fail; the series continues."""


class Rows(ABC):
    """Prompts that a model has read, one per row, each under its own vectors.

    Attributes:
        logits: Those of the next token, (rows, vocabulary).
        states: {layer: (rows, hidden)}, outputs of the captured layers at the last token.
    """

    logits: Tensor
    states: ByLayer

    @abstractmethod
    def score(
        self,
        places: Sequence[int],
        texts: Sequence[Sequence[Ids]],
        windows: Sequence[Sequence[Window]] = (),
    ) -> Logprobs:
        """Return the log-probability of every token of continuations.

        The rows stay as they are.

        Args:
            places: For each group of continuations, the row that it follows; repeats are allowed.
            texts: For each group, the token ids of its continuations.
            windows: Where the row of each continuation is pushed; by default as before.

        Returns:
            Lists of the same shape as `texts`.
        """

    @abstractmethod
    def generate(
        self,
        places: Sequence[int],
        uniforms: Tensor,
        temperature: float,
        top_p: float,
        is_closed: Callable[[str], bool],
        begins: Sequence[Ids] = (),
    ) -> list[list[int]]:
        """Write an answer after each of the rows `places`; repeats are allowed.

        The rows stay as they are.

        Args:
            places: The row that each answer follows.
            uniforms: The random numbers that decide the tokens, (answers, largest length).
            temperature: Divides the logits; 0 always takes the most likely token.
            top_p: Probability mass of the nucleus.
            is_closed: Returns True if a text is a complete answer. An answer ends there, or at an
                end token.
            begins: What each of the rows reads before it writes; all of the same length.

        Returns:
            The token ids of each answer, without an end token.
        """


class Backend(ABC):
    """A language model that can be steered.

    Vectors are given as {layer: (rows, hidden)} and added to the output of that decoder layer at
    every position of row i but the first, or at those of a window. They may be on any device and of
    any number format.

    Attributes:
        name: The id in the config, for messages.
        depth: Number of decoder layers.
        hidden_size: Width of the residual stream.
        architecture: `model_type` of its config.
        dtype: Number format of the weights.
        parameters: Number of the weights.
        positions: Largest number of tokens of a text for which answers do not depend on its batch;
            None without a limit.
        tokenizer: Only the methods of this class use it.
    """

    name: str
    depth: int
    hidden_size: int
    architecture: str
    dtype: torch.dtype
    parameters: int
    positions: int | None
    tokenizer: PreTrainedTokenizerBase

    @abstractmethod
    def read(
        self,
        prompts: Sequence[Ids],
        vectors: ByLayer,
        share: bool = True,
        watched: Layers = (),
        windows: Sequence[Window] = (),
    ) -> Rows:
        """Read prompts, one per row, so that they can be continued.

        Args:
            prompts: The text of each row.
            vectors: What is added, {layer: (rows, hidden)}.
            share: Whether what prompts begin with may be read once, and rows of the same prompt may
                share the layers below the first vector.
            watched: Layers whose outputs at the last token are kept in `Rows.states`.
            windows: The tokens of each row, and of what follows, that are pushed; by default all.
        """

    @abstractmethod
    def capture(
        self, texts: Sequence[Ids], vectors: ByLayer, watched: Layers
    ) -> tuple[ByLayer, Tensor]:
        """Run one plain forward pass over whole texts: no cache, nothing shared.

        Args:
            texts: The text of each row; shorter ones are padded on the right.
            vectors: What is added at all tokens but the first, {layer: (rows, hidden)}.
            watched: Layers whose outputs are returned.

        Returns:
            {layer: (rows, positions, hidden)} and the logits (rows, positions, vocabulary).
        """

    @abstractmethod
    def last_states(self, texts: Sequence[Ids], watched: Layers) -> ByLayer:
        """Return the outputs of layers at the last token of each text, {layer: (rows, hidden)}.

        What all texts begin with is read once.
        """

    @property
    @abstractmethod
    def gpus(self) -> list[torch.device]:
        """The GPUs that hold the model; none if it is on a CPU."""

    def chat_text(
        self, messages: list[Message], date: datetime.date = TEMPLATE_DATE, thinking: bool = False
    ) -> str:
        """Return the text that the model reads for a chat, special tokens included.

        A chat that ends with the user gets the beginning of the answer. The chat template of the
        model is used. If it has no system role, the system text precedes the first user message. A
        base model reads the messages as paragraphs.

        Args:
            messages: The chat.
            date: What the template takes for today, if it asks.
            thinking: Whether a thinking mode of the template is switched on.

        Raises:
            ModelError: If the template fails without a system role, too.
        """
        answering = messages[-1]["role"] == "user"
        if not self.tokenizer.chat_template:
            paragraphs = "\n\n".join(message["content"] for message in messages)
            return self.plain_text(paragraphs + "\n\n" * answering)
        text = self._chat(messages, thinking, date)
        spoken = "".join(message["content"] for message in messages)
        missing = [token for token in self._first_tokens() if not self._has(text, token, spoken)]
        return "".join(missing) + text

    def text_before_answer(
        self, messages: list[Message], date: datetime.date = TEMPLATE_DATE
    ) -> str:
        """Return the text of a chat up to where its template puts the text of an answer.

        It differs from `chat_text` in templates that write more before an answer than before the
        model's turn, such as a space. It is `chat_text` if a template leaves the answer out.
        """
        answered: list[Message] = [*messages, {"role": "assistant", "content": _ANSWER}]
        before, found, _ = self.chat_text(answered, date).rpartition(_ANSWER)
        return before if found else self.chat_text(messages, date)

    def _chat(self, messages: list[Message], thinking: bool, date: datetime.date) -> str:
        first, *others = messages
        if first["role"] != "system":
            return self._templated(messages, thinking, date)
        try:
            text = self._templated(messages, thinking, date)
        except ModelError:
            text = ""
        # Some templates raise an error for a system role, others leave its text out.
        if text and first["content"].strip() in text:
            return text
        question = {"role": "user", "content": f"{first['content']}\n\n{others[0]['content']}"}
        return self._templated([question, *others[1:]], thinking, date)

    def _templated(self, messages: list[Message], thinking: bool, date: datetime.date) -> str:
        try:
            return rendered(self.tokenizer, messages, thinking, date)
        except TEMPLATE_ERRORS as error:
            message = " ".join(f"{type(error).__name__}: {error}".split())
            raise ModelError(f"model {self.name}: its chat template fails: {message}") from None

    def _has(self, text: str, token: str, spoken: str) -> bool:
        """Return True if a template wrote this special token, which `spoken` may hold as well."""
        if token == self.tokenizer.eos_token:
            # Then it ends turns, too.
            return text.lstrip().startswith(token)
        return text.count(token) > spoken.count(token)

    def plain_text(self, text: str) -> str:
        """Return a text outside any chat, begun by the special tokens that this model expects."""
        return "".join(self._first_tokens()) + text

    def _first_tokens(self) -> list[str]:
        """Return the special tokens that the tokenizer itself puts before a text."""
        added = self.tokenizer("a", return_special_tokens_mask=True)
        pairs = zip(added["special_tokens_mask"], added["input_ids"], strict=True)
        ids = [token for _, token in takewhile(lambda pair: pair[0], pairs)]
        return list(self.tokenizer.convert_ids_to_tokens(ids))

    def vocabulary_size(self) -> int:
        """Return the number of different tokens."""
        return len(self.tokenizer)

    def token_ids(self, text: str) -> list[int]:
        """Return the tokens of a text that already contains its special tokens."""
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def token_spans(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the tokens of a text, and the characters [start, end) that each one covers.

        Raises:
            ModelError: If the tokenizer cannot report characters.
        """
        if not self.tokenizer.is_fast:
            raise ModelError(
                f"tokenizer {type(self.tokenizer).__name__}: has no character offsets; "
                "a fast tokenizer is needed"
            )
        options = {"add_special_tokens": False, "return_offsets_mapping": True}
        encoded = self.tokenizer(text, **options)
        return encoded["input_ids"], encoded["offset_mapping"]

    def decode(self, ids: list[int], special: bool = False) -> str:
        """Return the text of an answer, without special tokens unless `special` is true."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=not special))

    def decode_after(self, before: int, ids: list[int]) -> str:
        """Return the text that tokens add after the token `before`, without special tokens.

        Some tokenizers leave the space out with which a text begins, but not one that goes on.
        """
        begin, text = self.decode([before]), self.decode([before, *ids])
        return text[len(begin) :] if text.startswith(begin) else self.decode(ids)
