# The instrument check: what the series found on demo models, against what was planted in them (`verdict: true`).


localrules:
    write_verdict,
    confirm_verdict,


rule write_verdict:
    """Compare the finished series with the planted truth: a page, its figures and its numbers."""
    input:
        STATISTICS,
        truth=ancient(f"{ROOT}/config/demo/truth.yaml"),
    output:
        data=f"{SERIES.folder}/verdict.json",
        page=f"{SERIES.folder}/verdict.html",
        figures=directory(f"{SERIES.folder}/verdict_figures"),
    log:
        f"{STATE}/write_verdict.log",
    conda:
        "../envs/llm.yaml"
    script:
        "../scripts/write_verdict.py"


rule confirm_verdict:
    """Fail where a check failed; a rule of its own, because Snakemake deletes what a failed rule has written."""
    input:
        f"{SERIES.folder}/verdict.json",
    output:
        f"{STATE}/verdict_passed",
    log:
        f"{STATE}/confirm_verdict.log",
    conda:
        "../envs/llm.yaml"
    script:
        "../scripts/confirm_verdict.py"
