# Analysis: figures of each experiment, then the series as a whole.


localrules:
    plot_experiment,
    summarize_series,


rule plot_experiment:
    """Draw the figures of one experiment from its statistics."""
    input:
        f"{SERIES.folder}/{{exp_id}}_{SERIES.stamp}/stats_analysis.json",
    output:
        directory(f"{SERIES.folder}/{{exp_id}}_{SERIES.stamp}/plots"),
    log:
        f"{STATE}/plots.{{exp_id}}.log",
    wildcard_constraints:
        exp_id="[^/]+",
    conda:
        "../envs/llm.yaml"
    script:
        "../scripts/plot_experiment.py"


rule summarize_series:
    """Put all experiments side by side: the series table, its figures and the page."""
    input:
        STATISTICS,
    output:
        f"{SERIES.folder}/{layout.SERIES_TABLE}",
        f"{SERIES.folder}/{layout.SERIES_STATISTICS}",
        directory(f"{SERIES.folder}/plots"),
        # The live page stays where it is until the last one replaces it.
        update(f"{SERIES.folder}/{layout.PAGE}"),
    log:
        f"{STATE}/summarize_series.log",
    conda:
        "../envs/llm.yaml"
    script:
        "../scripts/summarize_series.py"
