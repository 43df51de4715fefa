# Analysis: the figures of each experiment, then the series as a whole.


localrules:
    plot_experiment,
    summarize_series,


rule plot_experiment:
    """Draw the figures of one experiment from its statistics."""
    input:
        SERIES.output_dir("{exp_id}") / layout.STATISTICS,
    output:
        report(
            directory(SERIES.output_dir("{exp_id}") / layout.PLOTS),
            patterns=["{figure}.svg"],
            caption="report/experiment_figure.rst",
            category="Experiments",
            subcategory="{exp_id}",
            labels={"figure": "{figure}"},
        ),
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
        report(
            FOLDER / layout.SERIES_TABLE,
            caption="report/series_table.rst",
            category="Series",
            labels={"figure": "all effects"},
        ),
        FOLDER / layout.SERIES_STATISTICS,
        FOLDER / layout.CONTRASTS,
        FOLDER / layout.CODEBOOK,
        report(
            directory(FOLDER / layout.PLOTS),
            patterns=["{figure}.svg"],
            caption="report/series_figure.rst",
            category="Series",
            labels={"figure": "{figure}"},
        ),
        # Without update() Snakemake would delete the live page when this rule begins.
        update(FOLDER / layout.PAGE),
    log:
        layout.log_path(FOLDER, "summarize_series"),
    conda:
        "../envs/llm.yaml"
    script:
        "../scripts/summarize_series.py"
