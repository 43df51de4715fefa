"""The back end for transformers: many rows at once, each under its own vectors.

Prompts are read once. Repeats, scores of options and rationales branch off a copy of their
key-value cache.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os.path import commonprefix

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from emotion_games.engine import hooks
from emotion_games.engine.backend import Backend, ByLayer, Ids, Layers, Logprobs, Rows
from emotion_games.engine.caches import copy_rows, layers_of, spread_rows
from emotion_games.engine.positions import most_positions
from emotion_games.engine.sampling import next_tokens

# Finished rows leave the batch if they are this share of it: copying the cache costs a few steps.
LEAVING_SHARE = 0.25
# Logits held at once while scoring, in elements (1 GiB in float32).
LOGITS_AT_ONCE = 2**28
# Rows that are scored together.
SCORED_AT_ONCE = 64
# Tokens of a batch on a CPU, where larger batches gain nothing.
CPU_BATCH_TOKENS = 16_384
# Share of the free GPU memory for the cache of a batch. Answers are written into a copy of it, and
# another copy takes over when finished rows leave.
GPU_MEMORY_SHARE = 0.25
# Largest difference that sharing the lower layers may make, by the bytes of a number: of logits
# relative to the largest one, and of log-probabilities in nats.
SHARING_TOLERANCE = {4: 1e-3, 2: 0.1}


class TransformersBackend(Backend):
    """A causal language model of transformers. `layers` are its decoder layers in order."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        layers: nn.ModuleList,
        name: str,
    ) -> None:
        self.model, self.tokenizer, self.layers, self.name = model, tokenizer, layers, name
        self.depth, self.dtype = len(layers), model.dtype
        self.hidden_size = model.config.get_text_config().hidden_size
        self.positions = most_positions(model.config)
        # A model on several devices takes its token ids where its embeddings are.
        self.device = next(model.get_input_embeddings().parameters()).device
        configured = model.generation_config.eos_token_id if model.generation_config else None
        ends = configured if isinstance(configured, list) else [configured]
        # Chat models end an answer with another token than the one that ends a document.
        self.end_tokens = {*ends, tokenizer.eos_token_id} - {None}
        # Padding is under the mask, so that any id with an embedding will do.
        pad, rows = tokenizer.pad_token_id, len(next(model.get_input_embeddings().parameters()))
        self.pad_id = pad if pad is not None and pad < rows else 0

    def batch_tokens(self, configured: int | None) -> int:
        """Return the configured limit, or one from the free memory and the size of the cache."""
        if configured:
            return configured
        if self.device.type != "cuda":
            return CPU_BATCH_TOKENS
        free, _ = torch.cuda.mem_get_info(self.device)
        return max(1, int(free * GPU_MEMORY_SHARE / self.cache_bytes()))

    def cache_bytes(self) -> int:
        """Return the bytes of one token in the key-value cache."""
        config = self.model.config.get_text_config()
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        width = getattr(config, "head_dim", None) or self.hidden_size // config.num_attention_heads
        return 2 * self.depth * heads * width * self.dtype.itemsize

    @torch.inference_mode()
    def capture(
        self, texts: Sequence[Ids], vectors: ByLayer, watched: Layers
    ) -> tuple[ByLayer, Tensor]:
        """Run one plain forward pass over whole texts; see `Backend.capture`."""
        ids, mask = self.padded(texts)
        # The engine always passes a mask; without padding the reference does not depend on it.
        masks = {} if bool(mask.all()) else {"attention_mask": mask}
        model, layers = self.model, self.layers
        with hooks.steer(model, layers, vectors), hooks.capture(layers, watched) as states:
            out = model(input_ids=ids, use_cache=False, **masks)
        return states, out.logits

    def read(
        self, prompts: Sequence[Ids], vectors: ByLayer, share: bool = True, watched: Layers = ()
    ) -> "CachedRows":
        """Read prompts, padded on the left; see `Backend.read`."""
        ids, mask = self.padded(prompts, side="left")
        vectors = {layer: v.to(self.device, self.dtype) for layer, v in vectors.items()}
        numbers = {p: i for i, p in enumerate(dict.fromkeys(map(tuple, prompts)))}
        groups = torch.tensor([numbers[tuple(p)] for p in prompts], device=self.device)
        # Rows of one prompt differ from the first vector on; watched layers need every row.
        first = min([*vectors, *watched], default=-1)
        depth = first + 1 if share and len(numbers) < len(prompts) else 0
        rows = CachedRows(self, DynamicCache(), mask[:, :0], vectors, torch.empty(0), {})
        with hooks.shared_lower_layers(self.layers, depth, groups):
            logits, states = rows.extend(ids, mask, 1, watched)
        spread_rows(rows.cache, depth, groups)
        rows.logits = logits[:, -1]
        rows.states = {layer: state[:, -1] for layer, state in states.items()}
        return rows

    def padded(self, texts: Sequence[Ids], side: str = "right") -> tuple[Tensor, Tensor]:
        """Return token ids and their mask, both (rows, longest); the mask is 0 at padding."""
        mask = _padded([[1] * len(text) for text in texts], 0, side)
        ids = _padded(texts, self.pad_id, side)
        return ids.to(self.device), mask.to(self.device)


def sharing_works(model: Backend, prompts: Sequence[Ids], vectors: ByLayer) -> bool:
    """Return whether rows of one prompt can share the layers below the first vector.

    Args:
        model: The model.
        prompts: The text of each row; at least two rows must have the same one.
        vectors: What is added, {layer: (rows, hidden)}.

    Returns:
        True if what is read and scored is the same with and without sharing, up to rounding.
    """
    rows, endings = range(len(prompts)), [[list(prompt[:3])] for prompt in prompts]
    plain = model.read(prompts, vectors, share=False)
    try:
        shared = model.read(prompts, vectors, share=True)
        found = torch.tensor(shared.score(rows, endings))
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, IndexError, ValueError):
        return False
    expected = torch.tensor(plain.score(rows, endings))
    allowed = SHARING_TOLERANCE[model.dtype.itemsize]
    # Written so that NaN fails, too.
    states = (shared.logits - plain.logits).abs().max() <= allowed * plain.logits.abs().max()
    return bool(states) and bool((found - expected).abs().max() <= allowed)


@dataclass
class CachedRows(Rows):
    """Rows with their key-value cache. `mask` (rows, length) is 0 at padding."""

    backend: TransformersBackend
    cache: DynamicCache
    mask: Tensor
    vectors: ByLayer
    logits: Tensor
    states: ByLayer

    def take(self, places: Sequence[int], room: int) -> "CachedRows":
        """Return a copy of some rows, repeats allowed, with room for `room` more tokens."""
        at = torch.as_tensor(places, device=self.mask.device)
        cache = copy_rows(self.cache, at, room)
        vectors = {layer: v[at] for layer, v in self.vectors.items()}
        return CachedRows(self.backend, cache, self.mask[at], vectors, self.logits[at], {})

    @torch.inference_mode()
    def extend(
        self, ids: Tensor, real: Tensor, keep: int, watched: Layers = ()
    ) -> tuple[Tensor, ByLayer]:
        """Read new tokens in place; `self.logits` stay as they are.

        Args:
            ids: New tokens, (rows, new).
            real: 0 at padding, (rows, new).
            keep: For how many of the last positions logits are wanted.
            watched: Layers whose outputs are returned.

        Returns:
            Logits (rows, keep, vocabulary) and {layer: (rows, new, hidden)}.
        """
        model, layers = self.backend.model, self.backend.layers
        self.mask = torch.cat([self.mask, real], 1)
        # Position ids count real tokens only, so that padding does not change a row.
        positions = (self.mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        extras = {"position_ids": positions, "logits_to_keep": keep}
        accepted = inspect.signature(model.forward).parameters
        extras = {name: value for name, value in extras.items() if name in accepted}
        state = {"past_key_values": self.cache, "use_cache": True, **extras}
        with hooks.steer(model, layers, self.vectors), hooks.capture(layers, watched) as states:
            out = model(input_ids=ids, attention_mask=self.mask, **state)
        return out.logits[:, -keep:], states

    def forget(self, tokens: int) -> None:
        """Go back to before the last `tokens` tokens; `logits` stay as they are."""
        for layer in layers_of(self.cache):
            layer.crop(-tokens)
        self.mask = self.mask[:, : self.mask.shape[1] - tokens]

    def score(self, places: Sequence[int], texts: Sequence[Sequence[Ids]]) -> Logprobs:
        """Return log-probabilities; what a group's texts begin with is read once."""
        begins = [len(commonprefix([list(ids[:-1]) for ids in several])) for several in texts]
        # Padding between the tokens of a row would fill its sliding window. So rows that are
        # scored together read on together only as far as each of them can, and neighbours can go
        # about equally far.
        order = sorted(range(len(texts)), key=begins.__getitem__)
        longest = max(len(ids) for several in texts for ids in several)
        chunk = max(1, min(SCORED_AT_ONCE, LOGITS_AT_ONCE // (longest * self.logits.shape[-1])))
        results: dict[int, list[list[float]]] = {}
        for start in range(0, len(order), chunk):
            part = order[start : start + chunk]
            branch = self.take([places[k] for k in part], room=longest)
            found = branch._follow([texts[k] for k in part], begins[part[0]])
            results |= zip(part, found, strict=True)
        return [results[k] for k in range(len(texts))]

    def _follow(self, texts: Sequence[Sequence[Ids]], begin: int) -> Logprobs:
        """Score several texts after each row, which all begin with the same `begin` tokens."""
        opening = [several[0][:begin] for several in texts]
        logits = self._read_on(opening)
        self.logits, begun = logits[:, -1], _logprobs(logits, opening)
        results: Logprobs = [[] for _ in texts]
        length = self.mask.shape[1]
        for number in range(max(map(len, texts))):
            rest = [several[number][begin:] if number < len(several) else [] for several in texts]
            # The last token of a text is scored but never read.
            found = _logprobs(self._read_on([ids[:-1] for ids in rest]), rest)
            self.forget(self.mask.shape[1] - length)
            for place, several in enumerate(texts):
                if number < len(several):
                    results[place].append(begun[place] + found[place])
        return results

    def _read_on(self, texts: Sequence[Ids]) -> Tensor:
        """Read one text per row in place; logits before the first token and after each."""
        if not any(texts):
            return self.logits[:, None]
        ids, real = self.backend.padded(texts)
        return torch.cat([self.logits[:, None], self.extend(ids, real, ids.shape[1])[0]], 1)

    def generate(
        self,
        places: Sequence[int],
        uniforms: Tensor,
        temperature: float,
        top_p: float,
        is_closed: Callable[[str], bool],
        begins: Sequence[Ids] = (),
    ) -> list[list[int]]:
        """Write answers; finished ones leave the batch. See `Rows.generate`."""
        steps, uniforms = uniforms.shape[1], uniforms.to(self.backend.device)
        rows = self.take(places, room=steps + max(map(len, begins), default=0))
        rows.logits = rows._read_on(begins)[:, -1]
        answers: list[list[int]] = [[] for _ in places]
        at = list(range(len(places)))  # the answer that each row of the batch belongs to
        alive = set(at)
        for step in range(steps):
            tokens = next_tokens(rows.logits, uniforms[at, step], temperature, top_p)
            for answer, token in zip(at, tokens.tolist(), strict=True):
                if answer in alive and self._ends(answers[answer], token, is_closed):
                    alive.remove(answer)
            if not alive or step + 1 == steps:
                break
            if len(alive) <= (1 - LEAVING_SHARE) * len(at):
                keep = [place for place, answer in enumerate(at) if answer in alive]
                rows, tokens = rows.take(keep, steps - step), tokens[keep]
                at = [at[place] for place in keep]
            new = tokens[:, None]
            rows.logits = rows.extend(new, torch.ones_like(new), 1)[0][:, -1]
        return answers

    def _ends(self, answer: list[int], token: int, is_closed: Callable[[str], bool]) -> bool:
        """Append a token unless it is an end token; return True if the answer is complete."""
        if token in self.backend.end_tokens:
            return True
        answer.append(token)
        decode = self.backend.tokenizer.decode
        return "}" in decode([token]) and is_closed(str(decode(answer)))


def _padded(texts: Sequence[Ids], value: int, side: str = "right") -> Tensor:
    rows = [torch.tensor(text, dtype=torch.long) for text in texts]
    return pad_sequence(rows, batch_first=True, padding_value=value, padding_side=side)


def _logprobs(logits: Tensor, texts: Sequence[Ids]) -> list[list[float]]:
    """Return the log-probability of each token of one text per row.

    The t-th token of a text follows `logits[:, t]`.
    """
    ids = _padded(texts, 0).to(logits.device)
    logprobs = logits[:, : ids.shape[1]].float().log_softmax(-1)
    values = logprobs.gather(-1, ids[..., None])[..., 0].tolist()
    return [row[: len(text)] for row, text in zip(values, texts, strict=True)]
