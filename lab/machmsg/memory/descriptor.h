/* descriptor: where the layer keeps descriptors for long, so that the program finds room for its
 * own. Those numbers are kept that the program's soft limit leaves plenty of; what comes after goes
 * above that limit, as far as the hard one lets it, where the program's own never are: its soft
 * limit stays what it is, for it and for what it executes, and so do numbers that fit select(2). */
#pragma once

/* How many sixteenths of a table may be full before a descriptor of that use is given up instead.
 */
enum descriptor_use {
    KEEP_OBJECT = 8, /* memory can do without */
    KEEP_PORT = 15,  /* ports cannot, but the program needs some room too */
    KEEP_RIGHT = 16  /* it came with a message, and takes its place already */
};

/* Takes over fd and returns the number under which it is kept; -1: it was closed. Under mem_lock or
 * the space's lock, which keep a fork away. */
int descriptor_keep(int fd, enum descriptor_use use);
