# The completeness report; jobs and Snakemake's own beginning and end keep it true in between.


localrules:
    report_completeness,


rule report_completeness:
    """Write the completeness report of the finished series."""
    input:
        f"{SERIES.folder}/{layout.SERIES_TABLE}",
    output:
        # Without update() Snakemake would delete the live report when this rule begins.
        update(f"{SERIES.folder}/{layout.REPORT}"),
    log:
        f"{STATE}/report_completeness.log",
    conda:
        "../envs/llm.yaml"
    script:
        "../scripts/report_completeness.py"
