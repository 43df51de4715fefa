# Experiments: the checks of the pushes of each model, then one job for each game and model. Each
# site of the pushes (layer set and position) has its own. The journals are no outputs, so that
# Snakemake never deletes them.


rule check_pushes:
    """Check, once for all games, what the pushes of a model do to it; one table per model."""
    input:
        model=model_files,
        directions=directions_file,
        prompts=ancient([str(CONFIG.prompts), str(CONFIG.check_items)]),
    output:
        layout.push_checks_path(FOLDER, "{setup}"),
    log:
        layout.log_path(FOLDER, "push_checks.{setup}"),
    wildcard_constraints:
        setup="[^/]+",
    priority: running_order
    conda:
        "../envs/llm.yaml"
    threads: CONFIG.runtime["threads"] or 1
    resources:
        gpu=gpus,
        mem_mb=memory_mb,
        runtime=runtime_minutes,
    params:
        spec=experiment_spec,
        path=model_path,
        key=model_key,
    script:
        "../scripts/check_pushes.py"


rule run_experiment:
    """Run one model in one game under every condition, and write the four result files."""
    input:
        model=model_files,
        directions=directions_file,
        push_checks=push_checks_file,
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
        gpu=gpus,
        mem_mb=memory_mb,
        runtime=runtime_minutes,
    params:
        spec=experiment_spec,
        path=model_path,
        key=model_key,
    script:
        "../scripts/run_experiment.py"
