/* rewrite: files of the tree that say, to the word, what something else says.
 *
 * With REWRITE set in the environment they are written anew instead. */
#pragma once

/* The text of a file of the source tree; the caller frees. */
char *tree_text(const char *file);
/* Is `text`, the file's, what is wanted? Then it may stay; else the first line that differs is
 * shown.
 */
void tree_is_or_rewrite(const char *file, const char *text, const char *wanted);
