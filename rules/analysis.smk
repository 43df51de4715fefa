# Analysis: the figures of each experiment, then the series as a whole.


localrules:
    plot_experiment,
    summarize_series,


rule plot_experiment:
    """Draw the figures of one experiment from its statistics."""
    input:
        SERIES.output_dir("{exp_id}") / layout.STATISTICS,
    output:
        directory(SERIES.output_dir("{exp_id}") / layout.PLOTS),
    log:
        layout.log_path(FOLDER, "plots.{exp_id}"),
    wildcard_constraints:
        exp_id="[^/]+",
    conda:
        "../envs/llm.yaml"
    script:
        "../scripts/plot_experiment.py"


rule summarize_series:
    """Compare all experiments: the series tables with their codebook, figures and page."""
    input:
        STATISTICS,
    output:
        FOLDER / layout.SERIES_TABLE,
        FOLDER / layout.SERIES_STATISTICS,
        FOLDER / layout.CONTRASTS,
        FOLDER / layout.CODEBOOK,
        directory(FOLDER / layout.PLOTS),
        # Without update() Snakemake would delete the live page when this rule begins.
        update(FOLDER / layout.PAGE),
    log:
        layout.log_path(FOLDER, "summarize_series"),
    conda:
        "../envs/llm.yaml"
    script:
        "../scripts/summarize_series.py"
