# Experiments: one job for each game and model. The journal is not an output, so that Snakemake
# never deletes it.


rule run_experiment:
    """Run one model in one game under every condition, and write the four result files."""
    input:
        model=model_files,
        directions=directions_file,
    output:
        [SERIES.output_dir("{exp_id}") / name for name in layout.RESULT_FILES],
    log:
        layout.log_path(FOLDER, "{exp_id}"),
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
