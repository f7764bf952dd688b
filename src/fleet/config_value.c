/* A setting's value: is it a credential, and how does it look on one line? */
#include "fleet/config_private.h"

#include <stdlib.h>
#include <string.h>

bool config_is_credential(const struct setting *setting)
{
    static const char *const words[] = {"authorization", "token",    "api-key",
                                        "apikey",        "password", "secret",
                                        "ssl.key.pem",   "jaas",     "cookie"};
    if (setting->member[0] == '\0' || setting->option->type != OPTION_MAP) {
        return setting->option->secret;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasestr(setting->member, words[i]) != NULL) {
            return strstr(setting->value->text, "${secret.") == NULL &&
                   strcasestr(setting->member, "endpoint") == NULL;
        }
    }
    return false;
}

static void add_quoted(const char *text, bool quoted, struct str *out)
{
    if (quoted) {
        str_addc(out, '"');
        str_add_json(out, text, strlen(text));
        str_addc(out, '"');
        return;
    }
    char *plain = yaml_quote(text);
    str_add(out, plain);
    free(plain);
}

void config_flow(const struct yaml_node *node, struct str *out)
{
    if (node->kind == YAML_SCALAR) {
        add_quoted(node->text, node->quoted, out);
        return;
    }
    str_addc(out, node->kind == YAML_MAP ? '{' : '[');
    for (size_t i = 0; i < node->count; i++) {
        str_add(out, i > 0 ? ", " : "");
        if (node->kind == YAML_MAP) {
            add_quoted(node->items[i]->key, false, out);
            str_add(out, ": ");
        }
        config_flow(node->items[i], out);
    }
    str_addc(out, node->kind == YAML_MAP ? '}' : ']');
}
