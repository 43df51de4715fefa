# A sweep (`sweep: true`): the settings of each model side by side, and the one that is chosen.


localrules:
    write_sweep,
    choose_setting,


rule write_sweep:
    """Compare all settings of a model: a table and a heat map."""
    input:
        results_of_model,
    output:
        table=layout.sweep_path(FOLDER, "{slug}"),
        figures=multiext(f"{FOLDER}/{layout.SWEEP}/{{slug}}", ".png", ".svg"),
    log:
        layout.log_path(FOLDER, "sweep.{slug}"),
    wildcard_constraints:
        slug="[^/]+",
    conda:
        "../envs/llm.yaml"
    script:
        "../scripts/write_sweep.py"


rule choose_setting:
    """Write the chosen setting of a model; a separate rule, because none may fit."""
    input:
        results_of_model,
        table=layout.sweep_path(FOLDER, "{slug}"),
    output:
        layout.chosen_path(FOLDER, "{slug}"),
    log:
        layout.log_path(FOLDER, "choose_setting.{slug}"),
    wildcard_constraints:
        slug="[^/]+",
    conda:
        "../envs/llm.yaml"
    script:
        "../scripts/choose_setting.py"
