/* bulk: zeroed memory for tables of megabytes, in huge pages where they can be had: filling such
 * a table in small pages costs a fault per 4 KiB, which is most of the cost of a first look.
 * Address space is not reserved: a table of gigabytes costs what is written of it.
 * Small sizes come from calloc. Lifetime: bulk_free with the same size. */
#pragma once

#include <stddef.h>

/* NULL without memory. */
void *bulk_alloc(size_t bytes);
void bulk_free(void *p, size_t bytes);
/* A larger table with the same content in the place of *p: 0, or -ENOMEM with *p unchanged. */
int bulk_grow(void *p, size_t old_bytes, size_t bytes);
