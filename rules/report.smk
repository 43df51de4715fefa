# The completeness report. During a run, its jobs and Snakemake's own process update it.


localrules:
    report_completeness,


rule report_completeness:
    """Write the completeness report of the finished series."""
    input:
        FOLDER / layout.SERIES_TABLE,
    output:
        # Without update() Snakemake would delete the live report when this rule begins.
        update(FOLDER / layout.REPORT),
    log:
        layout.log_path(FOLDER, "report_completeness"),
    conda:
        "../envs/llm.yaml"
    script:
        "../scripts/report_completeness.py"
