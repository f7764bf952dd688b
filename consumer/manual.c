/* manual: what `make man` turns into manual pages. */
#include "commands.h"

#include <string.h>

#include "base/manual.h"

static void print_settings(void)
{
    struct str text;
    str_init(&text);
    config_help("", &text);
    printf(".TH SLUICE.YAML 5 \"\" \"Sluice %s\" \"Sluice\"\n.SH NAME\n"
           "sluice.yaml \\- the configuration of a Sluice fleet\n.SH DESCRIPTION\n"
           "Read by sluice\\-consumer and sluice\\-producer: as \\-c says, else from "
           "SLUICE_CONFIG, else from ./sluice.yaml. Each setting can also be given by "
           "environment and by flag: defaults < file < environment < flags. Credentials "
           "are better in files.\n.PP\n"
           "sluice\\-consumer config init prints one to begin with; check finds every "
           "fault, with file:line:column.\n.SH SETTINGS\n.nf\n",
           SLUICE_VERSION);
    manual_text(text.data, stdout);
    printf(".fi\n.SH SEE ALSO\nsluice\\-consumer(1), sluice\\-producer(1)\n");
    str_release(&text);
}

int manual_run(const struct command_line *line)
{
    if (line->word_count == 1 && strcmp(line->words[0], "sluice.yaml") == 0) {
        print_settings();
        return 0;
    }
    manual_print(line->program, SLUICE_VERSION, "sluice-producer(1), sluice.yaml(5)",
                 stdout);
    return 0;
}
