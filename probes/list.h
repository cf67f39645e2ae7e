/* list: an array that grows. Its elements are `*list`, its length is `*n`; both start as NULL and
 * 0, and free(*list) ends it. A list that cannot grow is left as it was. */
#pragma once

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One more element at the end of a list, zeroed; NULL without memory. Room doubles when n is a
 * power of two, so that nothing but n says how much there is: n may fall, the list must only ever
 * have grown here. LIST_ADD_ROOM: of a list that is emptied and filled again and again, whose room
 * (a size_t, at first 0) stays. */
#define LIST_ADD(list, n) list_add(&(list), &(n), NULL, sizeof *(list))
#define LIST_ADD_ROOM(list, n, room) list_add(&(list), &(n), &(room), sizeof *(list))

/* list: the address of a pointer to elements of that size. */
static inline void *list_add(void *list, size_t *n, size_t *room, size_t size)
{
    char *at;

    memcpy(&at, list, sizeof at); /* whatever it points to */
    if (room ? *n == *room : (*n & (*n - 1)) == 0) {
        size_t more = *n ? *n * 2 : room ? 64 : 1;
        char *grown = realloc(at, more * size);

        if (!grown)
            return NULL;
        at = grown;
        memcpy(list, &at, sizeof at);
        if (room)
            *room = more;
    }
    return memset(at + (*n)++ * size, 0, size);
}

/* Ends several at once; also what is no list. */
#define FREE_ALL(...)                                                                              \
    do {                                                                                           \
        void *all_[] = {__VA_ARGS__};                                                              \
        for (size_t i_ = 0; i_ < sizeof all_ / sizeof *all_; i_++)                                 \
            free(all_[i_]);                                                                        \
    } while (0)

/* Room for n elements, however many are used; those that are new are zeroed. 0 or -ENOMEM. */
#define LIST_ROOM(list, room, n) list_room(&(list), &(room), n, sizeof *(list))

static inline int list_room(void *list, size_t *room, size_t n, size_t size)
{
    char *at, *grown;

    if (n <= *room)
        return 0;
    memcpy(&at, list, sizeof at);
    grown = realloc(at, n * size);
    if (!grown)
        return -ENOMEM;
    at = grown;
    memset(at + *room * size, 0, (n - *room) * size);
    memcpy(list, &at, sizeof at);
    *room = n;
    return 0;
}

/* How many elements come before the first one, i, of which `before` does not hold; in a list of n
 * where it holds of all up to there. */
#define LIST_SEARCH(n, i, before)                                                                  \
    ({                                                                                             \
        size_t low_ = 0, high_ = (n);                                                              \
        while (low_ < high_) {                                                                     \
            size_t i = low_ + (high_ - low_) / 2;                                                  \
            if (before)                                                                            \
                low_ = i + 1;                                                                      \
            else                                                                                   \
                high_ = i;                                                                         \
        }                                                                                          \
        low_;                                                                                      \
    })
