from emotion_games import layout

# Experiments: one job for each game and model; its journal lies outside the outputs, so that Snakemake never deletes it.


rule run_experiment:
    """Let one model decide in one game under every condition, and write its four result files."""
    input:
        model=model_files,
        directions=directions_file,
    output:
        expand(f"{SERIES.folder}/{{{{exp_id}}}}_{SERIES.stamp}/{{name}}", name=layout.RESULT_FILES),
    log:
        f"{STATE}/{{exp_id}}.log",
    wildcard_constraints:
        exp_id="[^/]+",
    priority: running_order
    conda:
        "../envs/llm.yaml"
    threads: CONFIG.runtime["threads"] or 1
    resources:
        gpu=GPUS,
        mem_mb=memory_mb,
        runtime=runtime_minutes,
    params:
        spec=experiment_spec,
        path=model_path,
        key=model_key,
    script:
        "../scripts/run_experiment.py"
