/* pbx/feature: what a feature's folder hands to the switch. Layer 3, pure; called on the cell's thread only.
 * src/features/NAME/ defines `const struct feature feature_NAME`; tools/features.py finds the folders at configure time,
 * checks that no two stand at one point of one phase (feature.toml) and writes build/src/gen/features.c. Adding or deleting
 * the folder is the whole change. Features see the cell through this header, pbx/cell.h and pbx/site.h alone. */
#ifndef PBX_FEATURE_H
#define PBX_FEATURE_H

#include "pbx/cell.h"
#include "sip/event/event.h"

struct watch_verdict {
	uint16_t status; /* 0: allowed; else the refusal: 403, 404 */
	bool pending;    /* allowed or rejected later: watch_decide */
};

/* Phase "watch": an event package (RFC 6665 7.2). Its point is the package's name. */
struct watch_package {
	struct event_package event;
	/* NULL: always there. */
	bool (*enabled)(const struct cell *c);
	/* May the extension see the resource (user part of the request URI, unescaped)? */
	struct watch_verdict (*authorise)(struct cell *c, const struct site_extension *subscriber, struct span resource);
	int (*render)(struct cell *c, void *state, const struct event_ask *ask, struct event_body *out);
};

struct feature {
	const char *name;   /* the folder's */
	size_t state_bytes; /* zeroed memory of the feature's own in each cell; 0: none */
	void (*free_state)(struct cell *c, void *state); /* gives back what state points at; NULL: nothing */
	const struct watch_package *packages;
	size_t n_packages;
	/* Phase "on_register": after a device registered, or registered again. NULL: not asked. */
	void (*on_register)(struct cell *c, void *state, const struct site_extension *ext, uint64_t device_id);
	/* Phase "api": a verb of the control API, `POST /api/v1/features/NAME` and `strowger feature run NAME ...`. args: the words behind the
	 * name, separated by single spaces. Writes a JSON value and returns the HTTP status. NULL: none. */
	uint16_t (*verb)(struct cell *c, void *state, struct span args, struct text *json);
};

/* Written by tools/features.py. */
extern const struct feature *const features_all[];
extern const size_t features_n;

/* ---- what features may ask of the cell ---- */

void *feature_state(struct cell *c, const struct feature *f); /* NULL: it has none */
const struct site *feature_site(const struct cell *c);        /* NULL before the first snapshot; good for one step */
/* The resource of this package looks different now: its subscribers hear of it at the end of the step. */
void watch_changed(struct cell *c, const char *package, struct span resource);
/* The pending subscriptions of this extension to it are allowed, or rejected with a last NOTIFY. How many there were. */
uint32_t watch_decide(struct cell *c, const char *package, struct span resource, struct span subscriber, bool allow);

#endif
