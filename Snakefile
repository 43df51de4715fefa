# The whole workflow: every game with every model, from config to report. The rules are in rules/,
# in the order of running.
from snakemake.utils import min_version

min_version("9.27")


# A config file on the command line replaces that of the demo. Without this condition, Snakemake
# would merge the two.
if not workflow.overwrite_configfiles:

    configfile: f"{workflow.basedir}/config/demo.yaml"


report: "rules/report/workflow.rst"


include: "rules/common.smk"


# The result files are targets themselves. The live report alone always exists, so Snakemake would
# consider the series finished.
rule all:
    default_target: True
    input:
        PUSH_CHECKS,
        RESULTS,
        PLOTS,
        VERDICT,
        CHOSEN,
        FOLDER / layout.SERIES_TABLE,
        FOLDER / layout.CONTRASTS,
        FOLDER / layout.CODEBOOK,
        FOLDER / layout.PLOTS,
        FOLDER / layout.PAGE,
        FOLDER / layout.REPORT,


include: "rules/models.smk"
include: "rules/experiments.smk"
include: "rules/analysis.smk"
include: "rules/sweep.smk"
include: "rules/validation.smk"
include: "rules/report.smk"


onstart:
    RUN.begin()


onsuccess:
    RUN.end()


onerror:
    RUN.end()
