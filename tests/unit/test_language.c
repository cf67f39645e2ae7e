/* What is written of the scenario language says what the rows say, to the word: the JSON Schema,
 * the tables of LANGUAGE.md between "<!-- rows: NAME -->" and "<!-- end -->", the shell's
 * completion. The rows are lab/actions.h, the abilities of the backends, and the words of probes/.
 *
 * With REWRITE set in the environment the schema and the tables are written anew instead. */
#include "lab/backends.h"
#include "lab/plan/world/world.h"
#include "tests/support/rewrite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SCHEMA "lab/scenarios/schema/scenario.schema.json"
#define LANGUAGE "lab/scenarios/LANGUAGE.md"
#define COMPLETION "lab/cli/completion.bash"

/* --- the schema --- */

static cJSON *ref(const char *definition)
{
    cJSON *o = cJSON_CreateObject();
    char text[80];

    snprintf(text, sizeof text, "#/definitions/%s", definition);
    cJSON_AddStringToObject(o, "$ref", text);
    return o;
}

static cJSON *array_of(cJSON *a, cJSON *b, cJSON *c)
{
    cJSON *list = cJSON_CreateArray();

    cJSON_AddItemToArray(list, a);
    if (b)
        cJSON_AddItemToArray(list, b);
    if (c)
        cJSON_AddItemToArray(list, c);
    return list;
}

static cJSON *any_of(cJSON *a, cJSON *b, cJSON *c)
{
    cJSON *o = cJSON_CreateObject();

    cJSON_AddItemToObject(o, "anyOf", array_of(a, b, c));
    return o;
}

static cJSON *type_of(const char *type)
{
    cJSON *o = cJSON_CreateObject();

    cJSON_AddStringToObject(o, "type", type);
    return o;
}

static cJSON *enum_of(const struct word *words)
{
    cJSON *o = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(o, "enum");

    for (; words->text; words++)
        cJSON_AddItemToArray(list, cJSON_CreateString(words->text));
    return o;
}

/* Puts value under key, in the place of what is there. */
static void put(cJSON *object, const char *key, cJSON *value)
{
    assert_non_null(object);
    if (cJSON_GetObjectItemCaseSensitive(object, key))
        cJSON_ReplaceItemInObjectCaseSensitive(object, key, value);
    else
        cJSON_AddItemToObject(object, key, value);
}

static cJSON *get(cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static cJSON *closed_object(cJSON *properties)
{
    cJSON *o = type_of("object");

    cJSON_AddFalseToObject(o, "additionalProperties");
    cJSON_AddItemToObject(o, "properties", properties);
    return o;
}

static cJSON *field_schema(const struct field *f)
{
    cJSON *number;

    if (f->schema)
        return ref(f->schema);
    number = type_of("integer");
    cJSON_AddNumberToObject(number, "minimum", (double)f->min);
    cJSON_AddNumberToObject(number, "maximum", (double)f->max);
    return any_of(number, ref("expr"), NULL);
}

/* Fields of words bring the definition of their words along. */
static void define_words(cJSON *definitions, const struct field *f)
{
    for (; f->key; f++)
        if (f->words)
            put(definitions, f->schema, any_of(enum_of(f->words), ref("expr"), NULL));
}

/* What is beside fields in the object of an action (a rule for two of them) stays. */
static void put_action(cJSON *properties, const struct action_row *row)
{
    cJSON *fields = cJSON_CreateObject(), *needed = cJSON_CreateArray(), *action;

    if (!get(properties, row->key))
        put(properties, row->key, closed_object(cJSON_CreateObject()));
    action = get(properties, row->key);
    for (const struct field *f = row->fields; f->key; f++) {
        cJSON_AddItemToObject(fields, f->key, field_schema(f));
        if (f->needed)
            cJSON_AddItemToArray(needed, cJSON_CreateString(f->key));
    }
    put(action, "properties", fields);
    cJSON_DeleteItemFromObjectCaseSensitive(action, "required");
    if (cJSON_GetArraySize(needed) > 0)
        put(action, "required", needed);
    else
        cJSON_Delete(needed);
    put(action, "description", cJSON_CreateString(row->help));
}

/* A step has one action, and all but checkpoint an actor. */
static cJSON *one_action(const struct action_row *row)
{
    cJSON *o = cJSON_CreateObject();

    cJSON_AddItemToObject(
        o, "required",
        array_of(cJSON_CreateString(row->key),
                 row->action == ACT_CHECKPOINT ? NULL : cJSON_CreateString("actor"), NULL));
    return o;
}

static void put_steps(cJSON *definitions)
{
    cJSON *step = get(definitions, "step"), *properties = get(step, "properties");
    cJSON *one_of = cJSON_CreateArray();

    for (size_t i = 0; backend_abilities[i]; i++) {
        char key[80];

        snprintf(key, sizeof key, "expect.%s", backend_abilities[i]->name);
        put(properties, key, ref("expect"));
        snprintf(key, sizeof key, "answer.%s", backend_abilities[i]->name);
        put(properties, key, ref("answer"));
        snprintf(key, sizeof key, "default.%s", backend_abilities[i]->name);
        put(get(get(definitions, "param"), "properties"), key, ref("scalar"));
    }
    for (const struct action_row *row = action_rows; row->key; row++) {
        put_action(properties, row);
        define_words(definitions, row->fields);
        cJSON_AddItemToArray(one_of, one_action(row));
    }
    put(step, "oneOf", one_of);
    put(definitions, "phase", any_of(enum_of(phases), ref("expr"), NULL));
}

/* Does a part have a key? Its own, and those that are no part's. */
static bool part_has(const struct word *part, const struct field *f)
{
    if (word_code(part_words, f->key) >= 0)
        return strcmp(f->key, part->text) == 0;
    return part->code == PART_OOL_PORTS || strcmp(f->key, "count") != 0;
}

static void put_parts(cJSON *definitions)
{
    cJSON *one_of = cJSON_CreateArray(), *part = cJSON_CreateObject(), *parts = type_of("array");

    define_words(definitions, part_fields);
    for (const struct word *w = part_words; w->text; w++) {
        cJSON *properties = cJSON_CreateObject(), *object;

        for (const struct field *f = part_fields; f->key; f++)
            if (part_has(w, f))
                cJSON_AddItemToObject(properties, f->key, field_schema(f));
        object = closed_object(properties);
        cJSON_AddItemToObject(object, "required",
                              array_of(cJSON_CreateString(w->text), NULL, NULL));
        cJSON_AddItemToArray(one_of, object);
    }
    cJSON_AddItemToObject(part, "oneOf", one_of);
    put(definitions, "part", part);
    cJSON_AddItemToObject(parts, "items", ref("part"));
    cJSON_AddNumberToObject(parts, "maxItems", LIMIT_PARTS);
    put(definitions, "parts", parts);
}

static cJSON *expected_schema(const struct key *k)
{
    switch (k->type) {
    case KEY_NUMBER:
        return ref("number_expected");
    case KEY_SIGNED:
        return ref("signed_expected");
    case KEY_BOOL:
        return ref("boolean_expected");
    case KEY_TEXT:
        return ref("text_expected");
    case KEY_PROTECTION:
        return any_of(ref("protection"), type_of("null"), NULL);
    default:
        return any_of(enum_of(k->words), ref("expr"), type_of("null"));
    }
}

static void put_expectations(cJSON *definitions)
{
    static const char *const names[] = {
        [EXPECT_REGION] = "region_expected",     [EXPECT_PROCESS] = "process_expected",
        [EXPECT_TOTALS] = "totals_expected",     [EXPECT_SHARING] = "sharing_expected",
        [EXPECT_TRANSFER] = "transfer_expected", [EXPECT_MESSAGE] = "received_expected",
        [EXPECT_SNAPSHOT] = "snapshot_expected"};

    for (enum expect_on on = EXPECT_REGION; on <= EXPECT_SNAPSHOT; on++) {
        cJSON *keys = cJSON_CreateObject();
        struct key k;

        for (size_t n = 0; expected_key(on, n, &k); n++)
            cJSON_AddItemToObject(keys, k.name, expected_schema(&k));
        put(definitions, names[on], closed_object(keys));
    }
}

static void put_needs(cJSON *properties)
{
    cJSON *needs = cJSON_CreateArray(), *names = cJSON_CreateArray();

    for (const struct cap_row *c = cap_rows; c->name; c++)
        cJSON_AddItemToArray(needs, cJSON_CreateString(c->name));
    for (size_t i = 0; backend_abilities[i]; i++) {
        cJSON_AddItemToArray(needs, cJSON_CreateString(backend_abilities[i]->name));
        cJSON_AddItemToArray(names, cJSON_CreateString(backend_abilities[i]->name));
    }
    put(get(get(properties, "needs"), "items"), "enum", needs);
    put(get(get(properties, "backends"), "items"), "enum", names);
}

/* cJSON has doubles, in which the largest numbers of the language have no exact place. */
static void print_scalar(FILE *out, const cJSON *node)
{
    char *text;

    if (cJSON_IsNumber(node)) {
        fprintf(out, "%lld",
                node->valuedouble >= 0x1p63 ? INT64_MAX : (long long)node->valuedouble);
        return;
    }
    text = cJSON_PrintUnformatted(node);
    fputs(text, out);
    free(text);
}

static void print_key(FILE *out, const cJSON *node)
{
    cJSON *key = node->string ? cJSON_CreateString(node->string) : NULL;

    if (!key)
        return;
    print_scalar(out, key);
    fputs(": ", out);
    cJSON_Delete(key);
}

static void print_flat(FILE *out, const cJSON *node)
{
    const cJSON *child;
    bool object = cJSON_IsObject(node);

    if (!object && !cJSON_IsArray(node)) {
        print_scalar(out, node);
        return;
    }
    fputc(object ? '{' : '[', out);
    cJSON_ArrayForEach (child, node) {
        print_key(out, child);
        print_flat(out, child);
        fputs(child->next ? ", " : "", out);
    }
    fputc(object ? '}' : ']', out);
}

/* Whatever fits stands on one line of 120 columns; used: columns that are taken on it. */
static void print_tree(FILE *out, const cJSON *node, int indent, size_t used)
{
    const cJSON *child;
    char *flat;
    size_t len;
    FILE *f = open_memstream(&flat, &len);

    print_flat(f, node);
    fclose(f);
    if (used + len + 1 <= 120 || !node->child) {
        fputs(flat, out);
        free(flat);
        return;
    }
    free(flat);
    fputs(cJSON_IsObject(node) ? "{" : "[", out);
    cJSON_ArrayForEach (child, node) {
        size_t key = child->string ? strlen(child->string) + 4 : 0;

        fprintf(out, "\n%*s", indent + 2, "");
        print_key(out, child);
        print_tree(out, child, indent + 2, (size_t)indent + 2 + key);
        fputs(child->next ? "," : "", out);
    }
    fprintf(out, "\n%*s%s", indent, "", cJSON_IsObject(node) ? "}" : "]");
}

static void test_language__the_schema_says_what_the_rows_say(void **state)
{
    char *text = tree_text(SCHEMA), *wanted;
    cJSON *schema = cJSON_Parse(text);
    size_t len;
    FILE *out = open_memstream(&wanted, &len);

    (void)state;
    assert_non_null(schema);
    put_needs(get(schema, "properties"));
    put_steps(get(schema, "definitions"));
    put_parts(get(schema, "definitions"));
    put_expectations(get(schema, "definitions"));
    print_tree(out, schema, 0, 0);
    fputc('\n', out);
    fclose(out);
    tree_is_or_rewrite(SCHEMA, text, wanted);
    cJSON_Delete(schema);
    free(wanted);
    free(text);
}

/* --- the tables of LANGUAGE.md --- */

static void print_words(FILE *out, const struct word *words, const char *between)
{
    for (; words->text; words++)
        fprintf(out, "`%s`%s", words->text, words[1].text ? between : "");
}

static void print_actions(FILE *out)
{
    fputs("| action | keys, *those that may be left out* | |\n|---|---|---|\n", out);
    for (const struct action_row *row = action_rows; row->key; row++) {
        fprintf(out, "| `%s` |", row->key);
        for (const struct field *f = row->fields; f->key; f++)
            fprintf(out, f->needed ? " `%s`%s" : " *`%s`*%s", f->key, f[1].key ? "," : "");
        fprintf(out, " | %s |\n", row->help);
    }
}

static void print_labels(FILE *out, const char *key, const struct word *w)
{
    fprintf(out, "| `%s` | |\n|---|---|\n", key);
    for (; w->text; w++)
        fprintf(out, "| `%s` | %s |\n", w->text, w->label);
}

static void print_kinds(FILE *out)
{
    print_labels(out, "kind", map_kind_words);
}

static void print_ways(FILE *out)
{
    print_labels(out, "way", way_words);
}

static void print_snapshot_ways(FILE *out)
{
    fputs("| `way` | |\n|---|---|\n", out);
    for (const struct word *w = snapshot_way_words; w->text; w++)
        fprintf(out, "| `%s` | %s |\n", w->text, w->label);
}

static void print_words_of(FILE *out, const char *name, const struct word *words)
{
    fprintf(out, "| `%s` | ", name);
    print_words(out, words, ", ");
    fputs(" |\n", out);
}

/* Keys whose value is a word. */
static void print_word_keys(FILE *out)
{
    fputs("| key | its words |\n|---|---|\n", out);
    print_words_of(out, "phase", phases);
    for (const struct action_row *row = action_rows; row->key; row++)
        for (const struct field *f = row->fields; f->key; f++)
            if (f->words && f->words != map_kind_words && f->words != way_words &&
                f->words != snapshot_way_words)
                print_words_of(out, f->key, f->words);
    fputs("| `needs` |", out);
    for (const struct cap_row *c = cap_rows; c->name; c++)
        fprintf(out, " `%s`,", c->name);
    fputs(" or a backend |\n", out);
}

static void print_parts(FILE *out)
{
    fputs("| descriptor | its value | further keys |\n|---|---|---|\n", out);
    for (const struct word *w = part_words; w->text; w++) {
        const struct field *own = part_fields;

        while (strcmp(own->key, w->text) != 0)
            own++;
        fprintf(out, "| `%s` | ", w->text);
        if (own->words)
            print_words(out, own->words, ", ");
        else
            fprintf(out, "a %s", own->schema);
        fputs(" |", out);
        for (const struct field *f = part_fields; f->key; f++)
            if (f != own && part_has(w, f))
                fprintf(out, " `%s`", f->key);
        fputs(" |\n", out);
    }
}

static void print_observed(FILE *out)
{
    static const struct {
        enum expect_on on; /* 0: the keys of the row before */
        const char *what;
    } rows[] = {
        {EXPECT_REGION,
         "`\"actor.region\"`; in other steps than its own case's `\"actor.region#case\"`"},
        {0, "`\"message.region\"`: memory that a message carries"},
        {EXPECT_PROCESS, "`\"actor\"`"},
        {EXPECT_TOTALS, "`\"totals\"`"},
        {EXPECT_SHARING,
         "`\"actor&actor\"`: page frames that both map, in the observed regions and "
         "at all"},
        {EXPECT_TRANSFER, "`\"transfer\"`, `\"transfer[1]\"`: a descriptor of the message that the "
                          "step sent or received"},
        {EXPECT_MESSAGE, "`\"received\"`: the message that the step received"},
        {EXPECT_SNAPSHOT, "`\"snapshot\"`: the copy that the step made"},
    };
    struct key k;

    fputs("| observed | its keys |\n|---|---|\n", out);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fprintf(out, "| %s |", rows[i].what);
        for (size_t n = 0; rows[i].on && expected_key(rows[i].on, n, &k); n++)
            fprintf(out, " `%s`", k.name);
        fputs(rows[i].on ? " |\n" : " the same |\n", out);
    }
}

static void print_expected_words(FILE *out)
{
    static const enum expect_on all[] = {EXPECT_REGION, EXPECT_TRANSFER};
    struct key k;

    fputs("| key | its words |\n|---|---|\n", out);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (size_t n = 0; expected_key(all[i], n, &k); n++)
            if (k.type == KEY_WORD)
                print_words_of(out, k.name, k.words);
}

static void print_refused(FILE *out, const struct ability *a, const struct refusal *list,
                          const struct word *words, const char *of)
{
    for (; list && list->codes; list++) {
        const char *before = "";

        fprintf(out, "| `%s` | %s", a->name, of);
        for (const struct word *w = words; w->text; w++)
            if (list->codes & ABILITY_BIT(w->code)) {
                fprintf(out, "%s`%s`", before, w->text);
                before = ", ";
            }
        fprintf(out, " | %s |\n", list->why);
    }
}

#define ACTION_WORD(e, code, key, ...) {code, key, NULL},

static void print_backends(FILE *out)
{
    static const struct word actions[] = {ACTIONS(ACTION_WORD){0, NULL, NULL}};

    fputs("| backend | does not take | because |\n|---|---|---|\n", out);
    for (size_t i = 0; backend_abilities[i]; i++) {
        const struct ability *a = backend_abilities[i];

        print_refused(out, a, a->no_actions, actions, "");
        print_refused(out, a, a->no_kinds, map_kind_words, "`map` of kind ");
        print_refused(out, a, a->no_parts, part_words, "a message with ");
        if (a->no_latency)
            fprintf(out, "| `%s` | `write`, `read` with `\"latency\": true` | %s |\n", a->name,
                    a->no_latency);
        print_refused(out, a, a->no_share, map_kind_words,
                      "`inherit` with `\"inheritance\": \"share\"` of ");
        print_refused(out, a, a->no_copy, map_kind_words,
                      "`inherit` with `\"inheritance\": \"copy\"` of ");
    }
}

static const struct table {
    const char *name;
    void (*print)(FILE *out);
} tables[] = {
    /* in their order */
    {"actions", print_actions},   {"kinds", print_kinds},
    {"ways", print_ways},         {"snapshot ways", print_snapshot_ways},
    {"parts", print_parts},       {"words", print_word_keys},
    {"observed", print_observed}, {"expected words", print_expected_words},
    {"backends", print_backends},
};

/* The text with what stands between the marks of each table replaced. */
static char *with_tables(const char *text)
{
    char *wanted;
    size_t len;
    FILE *out = open_memstream(&wanted, &len);

    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        char mark[64];
        const char *at, *end;

        snprintf(mark, sizeof mark, "<!-- rows: %s -->\n", tables[i].name);
        at = strstr(text, mark);
        end = at ? strstr(at, "<!-- end -->") : NULL;
        if (!end)
            fail_msg("%s has no table '%s' here", LANGUAGE, tables[i].name);
        at += strlen(mark);
        fwrite(text, 1, (size_t)(at - text), out);
        tables[i].print(out);
        text = end;
    }
    fputs(text, out);
    fclose(out);
    return wanted;
}

static void test_language__the_reference_says_what_the_rows_say(void **state)
{
    char *text = tree_text(LANGUAGE), *wanted = with_tables(text);

    (void)state;
    tree_is_or_rewrite(LANGUAGE, text, wanted);
    free(wanted);
    free(text);
}

static void test_language__the_completion_knows_the_backends(void **state)
{
    char *text = tree_text(COMPLETION), *wanted;
    size_t len;
    FILE *out = open_memstream(&wanted, &len);

    (void)state;
    fputs("-b | --backend) _cowlab_words \"", out);
    for (size_t i = 0; backend_abilities[i]; i++)
        fprintf(out, "%s%s", i ? " " : "", backend_abilities[i]->name);
    fputs("\";", out);
    fclose(out);
    if (!strstr(text, wanted))
        fail_msg("%s: there is no %s", COMPLETION, wanted);
    free(wanted);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_language__the_schema_says_what_the_rows_say),
        cmocka_unit_test(test_language__the_reference_says_what_the_rows_say),
        cmocka_unit_test(test_language__the_completion_knows_the_backends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
