/* pbx/watch: who watches what; SUBSCRIBE and NOTIFY as the cell sees them. Layer 3, pure; inside pbx. */
#ifndef PBX_WATCH_H
#define PBX_WATCH_H

#include "pbx/cell_internal.h"
#include "sip/event/event.h"

/* SUBSCRIBE outside a dialog, after guard_check. */
void watch_subscribe(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from, const struct who *who);
/* SUBSCRIBE with a To tag (also one that came in an INVITE dialog, for `refer`). False: nothing of ours (481). */
bool watch_knows(const struct cell *c, const struct sip_msg *req);
void watch_in_dialog(struct cell *c, txn_id id, const struct sip_msg *req, const struct sip_flow *from);

/* ---- REFER (RFC 3515): the implicit subscription of a transfer ---- */

/* Before the 202. l: the leg in whose dialog it came; NULL: out of dialog (then `tag`, which also goes into the 202, makes the
 * dialog, and who says whose it is). 0: no room, answer 503. Not called for `Refer-Sub: false` (RFC 4488), where nobody
 * wants to hear. Outlives the leg (see watch_leg_gone). */
handle watch_refer_begin(struct cell *c, const struct sip_msg *req, const struct sip_flow *from, struct leg *l, struct span tag, const struct who *who);
/* "SIP/2.0 100 Trying" at once after the 202, then what the transfer target says; last: the subscription ends with it.
 * sub 0 or stale: nothing happens. */
void watch_refer_notify(struct cell *c, handle sub, uint16_t status, bool last);
/* leg_free calls it: the subscriptions in its dialog count CSeq on by themselves. */
void watch_leg_gone(struct cell *c, struct leg *l);

/* ---- the rest of the cell ---- */

int watch_start(struct cell *c); /* -1: no memory */
void watch_stop(struct cell *c);
void watch_site_changed(struct cell *c);
void watch_registered(struct cell *c, const struct site_extension *ext, uint64_t device_id, const struct sip_flow *was, const struct sip_flow *now);
void watch_restore(struct cell *c, const struct subscription_row *row);
/* "NAME ARGS": asks the feature of this name. The HTTP status; 404: no such verb. */
uint16_t watch_verb(struct cell *c, struct span words, struct text *json);
/* Allow-Events: "message-summary, ..." as far as enabled. */
void watch_put_packages(struct cell *c);

#endif
