#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

/* stderr is the one place that can still be reached from here: the process is about to end. */
_Noreturn void invariant_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "invariant failed: %s (%s:%d)\n", what, file, line);
	abort();
}
