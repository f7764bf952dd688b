#include "base/manual.h"

#include <ctype.h>

void manual_text(const char *text, FILE *out)
{
    bool line_begins = true;
    for (const char *p = text; *p; p++) {
        if (line_begins && (*p == '.' || *p == '\'')) {
            fputs("\\&", out);
        }
        if (*p == '\\') {
            fputs("\\e", out);
        } else if (*p == '-') {
            fputs("\\-", out);
        } else if (*p == '|') {
            fputs("|\\:", out); /* a long list of choices may be broken there */
        } else {
            fputc(*p, out);
        }
        line_begins = *p == '\n';
    }
}

static void print_flags(const struct flag *flags, FILE *out)
{
    for (const struct flag *f = flags; f && f->name; f++) {
        fputs(".TP\n\\fB", out);
        if (f->letter) {
            fprintf(out, "\\-%c\\fR, \\fB", f->letter);
        }
        fputs("\\-\\-", out);
        manual_text(f->name, out);
        fputs("\\fR", out);
        if (f->value) {
            fprintf(out, " \\fI%s\\fR", f->value);
        }
        fputc('\n', out);
        manual_text(f->help, out);
        fputs(".\n", out);
    }
}

/* Lines of the table's paragraphs flow together; an empty line begins another. */
static void print_paragraphs(const char *text, FILE *out)
{
    char word[2] = {'\0', '\0'};
    bool line_begins = true;
    for (const char *p = text; *p; p++) {
        if (p[0] == '\n' && p[1] == '\n') {
            fputs("\n.PP\n", out);
            line_begins = true;
            p++;
            continue;
        }
        if (line_begins && (*p == '.' || *p == '\'')) {
            fputs("\\&", out);
        }
        line_begins = *p == '\n';
        word[0] = *p;
        manual_text(word, out);
    }
    fputc('\n', out);
}

static void print_command(const struct program *program, const struct command *c,
                          FILE *out)
{
    fputs(".SS \"", out);
    manual_text(program->name, out);
    fputc(' ', out);
    manual_text(c->name, out);
    if (c->words) {
        fputc(' ', out);
        manual_text(c->words, out);
    }
    fputs("\"\n", out);
    manual_text(c->summary, out);
    fputs(".\n", out);
    if (c->details) {
        fputs(".PP\n", out);
        print_paragraphs(c->details, out);
    }
    print_flags(c->flags, out);
}

static void print_exit_status(FILE *out)
{
    static const struct {
        int code;
        const char *text;
    } codes[] = {
        {0, "done; of a worker: drained"},
        {EXIT_NO, "the answer is no"},
        {EXIT_USAGE, "wrong flags or words"},
        {EXIT_DATA, "bad event data"},
        {EXIT_NO_INPUT, "a file is missing or cannot be read"},
        {EXIT_UNAVAILABLE, "Kafka, Redis or a target cannot be reached"},
        {70, "a bug, or no progress"},
        {EXIT_CANT_CREATE, "a file cannot be made"},
        {EXIT_IO, "output cannot be written"},
        {EXIT_AGAIN, "timed out, or work was given back: trying again may help"},
        {EXIT_FENCED, "put out by the consumer group"},
        {EXIT_REFUSED, "authentication or permission refused"},
        {EXIT_CONFIG, "the configuration is not valid"},
        {130, "a second SIGINT"},
        {143, "a second SIGTERM"},
    };
    fputs(".SH EXIT STATUS\n", out);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        fprintf(out, ".TP\n.B %d\n%s.\n", codes[i].code, codes[i].text);
    }
}

void manual_print(const struct program *program, const char *version,
                  const char *see_also, FILE *out)
{
    fputs(".TH ", out);
    for (const char *p = program->name; *p; p++) {
        fputc(toupper((unsigned char)*p), out);
    }
    /* left-aligned: a list of choices is one word, which cannot be spread over a line */
    fprintf(out, " 1 \"\" \"Sluice %s\" \"Sluice\"\n.ad l\n.SH NAME\n", version);
    manual_text(program->name, out);
    fputs(" \\- ", out);
    manual_text(program->summary, out);
    fputs("\n.SH SYNOPSIS\n.B ", out);
    manual_text(program->name, out);
    fputs("\n.I COMMAND\n[flags]\n.SH COMMANDS\n", out);
    for (const struct command *c = program->commands; c->name; c++) {
        if (c->summary) {
            print_command(program, c, out);
        }
    }
    if (program->flags[0].name) {
        fputs(".SH FLAGS FOR ALL COMMANDS\n", out);
        print_flags(program->flags, out);
    }
    print_exit_status(out);
    fputs(".SH SEE ALSO\n", out);
    manual_text(see_also, out);
    fputc('\n', out);
}
