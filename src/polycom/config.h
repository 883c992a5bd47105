/* polycom/config: writes a parameter file (polycom-facts 2.5). Layer 2, pure. Each group is an element; an attribute
 * can stand only once in it (a second one would make the phone drop the file). */
#ifndef POLYCOM_CONFIG_H
#define POLYCOM_CONFIG_H

#include "base/text.h"

enum { POLYCOM_MAX_PARAMS = 128 };

struct polycom_config {
	struct text *t;
	const char *names[POLYCOM_MAX_PARAMS]; /* of the open element: static texts */
	int n;
	bool broken; /* too many, or one twice: the file must not be served */
};

void polycom_config_begin(struct polycom_config *c, struct text *t);
void polycom_config_group(struct polycom_config *c, const char *element);
/* name: static text in its exact case. */
void polycom_config_set(struct polycom_config *c, const char *name, struct span value);
void polycom_config_set_int(struct polycom_config *c, const char *name, int64_t value);
/* False: broken, or it did not fit. */
bool polycom_config_end(struct polycom_config *c);

#endif
