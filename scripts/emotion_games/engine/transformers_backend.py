"""The back end for transformers: many rows at once, each under its own vectors.

Prompts are read once; what follows them is the matter of `cached_rows`.
"""

from collections.abc import Sequence
from functools import cached_property
from os.path import commonprefix

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from emotion_games.engine import caches, hooks
from emotion_games.engine.backend import Backend, ByLayer, Ids, Layers
from emotion_games.engine.cached_rows import CachedRows
from emotion_games.engine.positions import most_positions
from emotion_games.engine.prompt_tree import Tree, branching, numbered
from emotion_games.engine.ragged import padded
from emotion_games.engine.windows import Window

# A text of several tokens, from which the engine learns how a model takes its batches.
SAMPLE = "one row"


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
        self.architecture = model.config.model_type
        self.positions = most_positions(model.config)
        self.parameters = model.num_parameters()
        # A model on several devices takes its token ids where its embeddings are.
        self.device = next(model.get_input_embeddings().parameters()).device
        configured = model.generation_config.eos_token_id if model.generation_config else None
        ends = configured if isinstance(configured, list) else [configured]
        # Chat models end an answer with another token than the one that ends a document.
        self.end_tokens = {*ends, tokenizer.eos_token_id} - {None}
        # Padding is under the mask, so that any id with an embedding will do.
        pad, rows = tokenizer.pad_token_id, len(next(model.get_input_embeddings().parameters()))
        self.pad_id = pad if pad is not None and pad < rows else 0
        hooks.make_contiguous(model.get_output_embeddings())

    @property
    def gpus(self) -> list[torch.device]:
        """The GPUs that hold the model."""
        return sorted({p.device for p in self.model.parameters() if p.is_cuda}, key=str)

    @torch.inference_mode()
    def capture(
        self, texts: Sequence[Ids], vectors: ByLayer, watched: Layers
    ) -> tuple[ByLayer, Tensor]:
        """Run one plain forward pass over whole texts; see `Backend.capture`."""
        ids, mask = self.padded(texts)
        # The engine always passes a mask; without padding the reference does not depend on it.
        masks = {} if bool(mask.all()) else {"attention_mask": mask}
        model, layers = self.model, self.layers
        with hooks.steer(model, layers, vectors, mask), hooks.capture(layers, watched) as states:
            out = model(input_ids=ids, use_cache=False, **masks)
        return states, out.logits

    def read(
        self,
        prompts: Sequence[Ids],
        vectors: ByLayer,
        share: bool = True,
        watched: Layers = (),
        windows: Sequence[Window] = (),
    ) -> CachedRows:
        """Read prompts, padded on the left; see `Backend.read`."""
        pushes = numbered(row.tobytes() for row in _side_by_side(vectors, len(prompts)))
        vectors = {layer: v.to(self.device, self.dtype) for layer, v in vectors.items()}
        windows = windows or [Window()] * len(prompts)
        tree = branching(prompts, pushes, windows) if share and self.can_branch else None
        # Rows of one prompt differ from the first vector on; watched layers need every row.
        first = min([*vectors, *watched], default=-1)
        is_repeated = tree is not None or len(set(map(tuple, prompts))) < len(prompts)
        shared = first + 1 if share and is_repeated else 0
        pushed = vectors, torch.tensor(windows, device=self.device)
        rows, logits, states = self._read_tree(tree, prompts, pushed, shared, watched)
        rows.logits = logits[:, -1]
        rows.states = {layer: state[:, -1] for layer, state in states.items()}
        return rows

    def _read_tree(
        self,
        tree: Tree | None,
        prompts: Sequence[Ids],
        pushed: tuple[ByLayer, Tensor],
        shared: int,
        watched: Layers = (),
    ) -> tuple[CachedRows, Tensor, ByLayer]:
        """Read trunks, then what follows them; without a tree every prompt is read alone.

        Args:
            tree: The tree of the prompts.
            prompts: The tokens of each row.
            pushed: The vectors of the rows, and their windows (rows, 2).
            shared: How many of the lowest layers rows of one prompt share.
            watched: See `read`.

        Returns:
            The rows, without logits, and what `CachedRows.extend` returns.
        """
        if tree is None:
            rows, rests = self._empty_rows(prompts, pushed, shared), prompts
        else:
            vectors, windows = pushed
            own = {layer: v[tree.sources] for layer, v in vectors.items()}, windows[tree.sources]
            # No name holds the trunks, whose memory is free again when the rows read on.
            rows = self._read_tree(tree.below, tree.trunks, own, shared)[0].branch(
                tree, prompts, pushed
            )
            rests = [prompt[-tree.suffix :] for prompt in prompts]
        return rows, *rows.extend(*self.padded(rests, side="left"), 1, watched)

    @torch.inference_mode()
    def last_states(self, texts: Sequence[Ids], watched: Layers) -> ByLayer:
        """Read what the texts begin with once; see `Backend.last_states`."""
        begin = len(commonprefix([list(ids[:-1]) for ids in texts]))
        if not begin or not self.reads_on_at_once:
            return self.read(texts, {}, False, watched).states
        rests = [ids[begin:] for ids in texts]
        room = max(map(len, rests))
        rows = self.read([texts[0][:begin]], {}).take([0] * len(texts), room)
        ids, real = self.padded(rests)
        _, states = rows.extend(ids, real, 1, watched)
        last = real.sum(1) - 1
        return {at: h[torch.arange(len(texts)), last.to(h.device)] for at, h in states.items()}

    def _empty_rows(
        self,
        texts: Sequence[Ids],
        pushed: tuple[ByLayer, Tensor] | None = None,
        shared: int = 0,
    ) -> CachedRows:
        """Return rows that have read nothing yet and are going to read these texts."""
        cache = caches.new_cache(self.model.config)
        everywhere = torch.tensor([Window()] * len(texts), device=self.device)
        vectors, windows = pushed or ({}, everywhere)
        mask = torch.empty(len(texts), 0, dtype=torch.long, device=self.device)
        groups = numbered(map(tuple, texts))
        nothing = torch.empty(0)
        return CachedRows(self, cache, mask, vectors, windows, nothing, {}, shared, groups)

    @cached_property
    def row_axes(self) -> list[hooks.Axes]:
        """What is known about the arguments of the decoder layers; see `hooks.row_axes`."""
        text = self.token_ids(SAMPLE)

        # Rows with and without padding get an attention mask.
        def run(rows: int) -> None:
            texts = [text, text[1:], text][:rows]
            self._empty_rows(texts).extend(*self.padded(texts, side="left"), 1)

        return hooks.row_axes(self.layers, run)

    @cached_property
    def can_branch(self) -> bool:
        """Whether prompts can branch off what they have in common."""
        return caches.can_branch(caches.new_cache(self.model.config))

    @cached_property
    @torch.inference_mode()
    def reads_on_at_once(self) -> bool:
        """Whether several tokens can be read after others in one pass.

        Some recurrent layers begin anew in such a pass. Their output then does not depend on
        their state at all, whatever the number format.
        """
        text = self.token_ids(SAMPLE)
        ids, mask = self.padded([text])
        rows = self._empty_rows([text])
        rows.logits = rows.extend(ids, mask, 1)[0][:, -1]
        other = rows.take([0], ids.shape[1])
        if not caches.change_states(other.cache):
            return True
        return not torch.equal(rows.extend(ids, mask, 1)[0], other.extend(ids, mask, 1)[0])

    def explore(self) -> None:
        """Try now what the model can do, which is otherwise tried at the first use."""
        _ = self.row_axes, self.reads_on_at_once

    def padded(self, texts: Sequence[Ids], side: str = "right") -> tuple[Tensor, Tensor]:
        """Return token ids and their mask, both (rows, longest); the mask is 0 at padding."""
        mask = padded([[1] * len(text) for text in texts], 0, side)
        ids = padded(texts, self.pad_id, side)
        return ids.to(self.device), mask.to(self.device)


def _side_by_side(vectors: ByLayer, rows: int) -> np.ndarray:
    """Return the vectors of all layers beside each other, (rows, layers * hidden)."""
    flat = [v.float().cpu() for v in vectors.values()]
    return torch.cat(flat, 1).numpy() if flat else np.empty((rows, 0))
