/* escape: text of unknown origin, made safe for the place it is written to.
 *
 * Scenario titles, region names and actor names come from whoever wrote the scenario. Each writer
 * below takes one form of output. All of them decode UTF-8 first: an invalid byte, a control
 * character and a direction override (which reorder what a reader sees) become U+FFFD, so nothing
 * hides and every output is well-formed UTF-8.
 * Owns nothing; a NULL text writes nothing. Errors stay in the FILE (ferror). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The next character at *s (never called at the terminating NUL); *s moves past it. */
uint32_t escape_next(const char **s);

/* Markdown outside of code: one line, no markup, no table cell broken, no HTML. */
void escape_markdown(FILE *out, const char *text);
/* Text or attribute value of XML, SVG and HTML; line breaks become spaces. */
void escape_xml(FILE *out, const char *text);
/* JSON, or what stands inside a string of it, in a script of a page: no '<' that could end that. */
void escape_json(FILE *out, const char *json);
void escape_json_string(FILE *out, const char *text);
/* A fenced code block's line content: line breaks kept; a run of three backticks is broken up. */
void escape_fenced(FILE *out, const char *text);
/* Is what is printed for people ASCII? Once asked: unless the locale's name says UTF-8. Formats
 * that are UTF-8 anyway never ask. */
extern bool escape_ascii;
void escape_for_locale(void);
/* A terminal: one line, nothing that moves the cursor or changes colour; as many columns in ASCII.
 */
void escape_terminal(FILE *out, const char *text);
/* The same cut to at most width columns, the cut marked with "…", and padded to width with spaces
 * (right: on the left). Columns count characters. */
void escape_terminal_field(FILE *out, const char *text, int width, int right);
/* Characters in text as the writers above count them. */
size_t escape_width(const char *text);
/* A file name made of it: letters, digits, '-', '_' and '.'; others become '-'; never empty, never
 * starting with a dot. Writes at most cap bytes with the NUL. */
void escape_file_name(char *buf, size_t cap, const char *text);

/* What a link to the heading of this text names, as GitHub has it: lower case, a dash for a space,
 * no punctuation. */
void escape_heading_link(FILE *out, const char *text);
