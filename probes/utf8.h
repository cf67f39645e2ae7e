/* utf8: bytes that others chose (names of files and processes, arguments, databases), as text.
 * A byte that belongs to no character of UTF-8 counts as U+FFFD, one for each. Owns nothing. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define UTF8_REPLACEMENT 0xfffdu

/* The next character at *s (never called at the terminating NUL); *s moves past it. */
uint32_t utf8_next(const char **s);
/* Encodes c into at[4]; returns how many bytes that are. */
size_t utf8_encode(uint32_t c, char at[4]);
/* NULL if the text is valid as it is; else a malloc'd copy that is; *failed: for want of memory
 * there is none. */
char *utf8_mended(const char *text, int *failed);
