/* sim/scenario: inside of the scenario runner. */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "sim/world.h"

struct scenario {
	struct world w;
	int line;
	int64_t mark;    /* where "+" counts from */
	uint32_t *heard; /* [listener][speaker], the last speaker is the switch */
	uint16_t *status; /* last failure that each phone showed */
};

struct span scn_word(struct span *rest);
struct span scn_strip(struct span line);
bool scn_number(struct span s, double *out);
/* Lines that describe the world and are read before it is made. */
bool scn_is_setup(struct span word);
int scn_setup(struct scenario *s, struct span file, const struct sim_opts *o, const char **error) __attribute__((warn_unused_result));

#endif
