/* format: numbers as a reader wants them. Owns nothing; the caller gives the buffer. */
#pragma once

#include "probes/value.h"
#include <stddef.h>
#include <stdint.h>

enum unit { UNIT_NUMBER, UNIT_KB, UNIT_NS, UNIT_PAGES, UNIT_PERCENT };

#define FORMAT_MAX 48

/* "1,234,567". Returns buf, which holds FORMAT_MAX bytes; so do the others. */
char *format_count(char *buf, int64_t n);
/* KiB in the unit that keeps three or four digits: "812 KiB", "256.0 MiB", "2.00 GiB". */
char *format_kb(char *buf, double kb);
/* "850 ns", "12.3 µs", "4.56 ms", "1.20 s". */
char *format_ns(char *buf, double ns);
/* UTF-8 whatever the locale: for pictures, and for what is stored. */
char *format_unit(char *buf, enum unit unit, double n);
/* The same for an axis: "100 µs", not "100.0 µs". */
char *format_tick(char *buf, enum unit unit, double n);
/* "1 page", "16 pages": the plural is the singular with s. */
char *format_noun(char *buf, int64_t n, const char *singular);
/* Before a value that was concluded, not measured: "~"; else "". */
const char *format_mark(struct value v);
/* A count with its mark; "-" where it does not apply, else what stands for unknown. */
char *format_value(char *buf, struct value v, const char *unknown);
