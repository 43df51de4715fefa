# Table of contents: every game with every model, from config to report. The rules stand in rules/, in the order of running.
from snakemake.utils import min_version

min_version("9.27")


# A config file given on the command line replaces the demo's; Snakemake by itself would merge the two.
if not workflow.overwrite_configfiles:

    configfile: f"{workflow.basedir}/config/demo.yaml"


include: "rules/common.smk"


# The result files are targets themselves: the live report alone, which is always there, would look finished to Snakemake.
rule all:
    default_target: True
    input:
        RESULTS,
        PLOTS,
        VERDICT,
        f"{SERIES.folder}/{layout.SERIES_TABLE}",
        f"{SERIES.folder}/plots",
        f"{SERIES.folder}/{layout.PAGE}",
        f"{SERIES.folder}/{layout.REPORT}",


include: "rules/models.smk"
include: "rules/experiments.smk"
include: "rules/analysis.smk"
include: "rules/validation.smk"
include: "rules/report.smk"


onstart:
    RUN.begin()


onsuccess:
    RUN.end()


onerror:
    RUN.end()
