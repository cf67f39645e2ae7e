/* xml: a small strict check that a text is well-formed XML, as far as pictures use it:
 * elements, attributes in double quotes, text, the five entities and decimal references. */
#pragma once

#include <stddef.h>

/* 0 if it is; else 1 + the offset of the first mistake. */
int support_xml_check(const char *text, size_t len);
