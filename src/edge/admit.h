/* edge/admit: who gets through to the switch, decided from the source and the first bytes alone, before anything is parsed
 * (R22, design section 8). Layer 5; one thread (the cell's), told the time. Phones of ours, known by their registrations, are
 * never limited here; strangers share what is left, less and less while the switch is late; what is blocked is not even
 * answered. A call for help passes always, within a bound of its own. */
#ifndef EDGE_ADMIT_H
#define EDGE_ADMIT_H

#include "base/addr.h"
#include "base/hash.h"
#include "guard/nets.h"

struct admit;
struct admit *admit_new(struct hash_key key); /* NULL: no memory */
void admit_free(struct admit *a);

/* What the switch says of a source: it has registrations or not; it is blocked until (0: not any more). */
bool admit_known(struct admit *a, const struct addr *source, bool known); /* false: no room, it stays a stranger */
void admit_blocked(struct admit *a, const struct addr *source, int64_t until_us);
/* The site's lists and emergency numbers ("911,112"). Copied; what cannot be read is left out. */
void admit_lists(struct admit *a, struct span trusted, struct span blocked, struct span emergency);
/* How long the oldest waiting message has waited, about; once a turn. */
void admit_late(struct admit *a, int64_t late_us, int64_t now_us);

enum admit_verdict { ADMIT_PASS, ADMIT_BLOCKED, ADMIT_RATE /* of one source */, ADMIT_LOAD /* of all strangers */, ADMIT_VERDICTS };
enum admit_verdict admit_check(struct admit *a, const struct addr *from, struct span bytes, int64_t now_us);

struct admit_counts {
	uint64_t verdicts[ADMIT_VERDICTS];
	uint64_t emergencies;
	uint32_t known, blocked, stranger_rate; /* messages a second that all strangers together have now */
};
struct admit_counts admit_counts(const struct admit *a);

#endif
