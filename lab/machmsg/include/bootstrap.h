#ifndef COWLAB_BOOTSTRAP_H
#define COWLAB_BOOTSTRAP_H
#include <servers/bootstrap.h>
#endif
