# Models: the demo model is trained here, and every model's emotion directions are measured.


rule build_demo_model:
    """Train the tiny demo model, whose reactions to emotions are planted and known; fail unless they are found again."""
    input:
        ancient(expand("{root}/config/demo/{name}", root=ROOT, name=["grammar.yaml", "truth.yaml"])),
    output:
        expand(f"{MODELS}/{{{{demo}}}}/{{name}}", name=MODEL_FILES),
    log:
        f"{STATE}/demo.{{demo}}.log",
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
    """Measure a model's direction for each emotion, one file a model."""
    input:
        model=model_files,
        stimuli=ancient(STIMULI),
        prompts=ancient(str(CONFIG.prompts)),
    output:
        f"{DIRECTIONS}/{{directions}}.safetensors",
    log:
        f"{STATE}/directions.{{directions}}.log",
    wildcard_constraints:
        directions="[^/]+",
    priority: running_order
    conda:
        "../envs/llm.yaml"
    threads: CONFIG.runtime["threads"] or 1
    resources:
        gpu=GPUS,
        mem_mb=memory_mb,
        runtime=runtime_minutes,
    params:
        model=model_entry,
        path=model_path,
        key=model_key,
        settings=direction_settings(CONFIG.settings),
    script:
        "../scripts/extract_directions.py"
