# The completeness report; jobs and Snakemake's own beginning and end keep it true in between.


localrules:
    report_completeness,


rule report_completeness:
    """Write the completeness report of the finished series."""
    input:
        f"{SERIES.folder}/series_results.csv",
    output:
        # Without update() Snakemake would delete the live report when this rule begins.
        update(f"{SERIES.folder}/{REPORT}"),
    log:
        f"{STATE}/report_completeness.log",
    conda:
        "../envs/llm.yaml"
    script:
        "../scripts/report_completeness.py"
