#ifndef COWLAB_MACH_BOOLEAN_H
#define COWLAB_MACH_BOOLEAN_H

typedef int boolean_t;

#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif

#endif
