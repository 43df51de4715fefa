# The instrument check (`verdict: true`): results of demo models, compared with what was planted.


localrules:
    write_verdict,
    confirm_verdict,


rule write_verdict:
    """Compare a finished series with the planted truth: a page, its figures and its numbers."""
    input:
        STATISTICS,
        truth=ancient(f"{ROOT}/config/demo/truth.yaml"),
    output:
        data=FOLDER / layout.VERDICT,
        page=FOLDER / layout.VERDICT_PAGE,
        figures=directory(FOLDER / layout.VERDICT_FIGURES),
    log:
        layout.log_path(FOLDER, "write_verdict"),
    conda:
        "../envs/llm.yaml"
    script:
        "../scripts/write_verdict.py"


rule confirm_verdict:
    """Fail if a check failed; a separate rule, because Snakemake deletes what a failed one wrote."""
    input:
        FOLDER / layout.VERDICT,
    output:
        layout.verdict_passed_path(FOLDER),
    log:
        layout.log_path(FOLDER, "confirm_verdict"),
    conda:
        "../envs/llm.yaml"
    script:
        "../scripts/confirm_verdict.py"
