/* version: of cowlab as a whole. */
#ifndef LAB_RUN_VERSION_H
#define LAB_RUN_VERSION_H

#define COWLAB_VERSION "1.0.0"

#endif
