/* strowgerd_hep: the wire as the switch saw it, to a collector of HEPv3 over UDP. Layer 6, shell; the cell's thread alone (before it
 * runs: the main thread), but for hep_counts. Off until the site's settings name a collector; then a message costs a copy and its
 * share of a system call for many. Nothing waits: what the kernel does not take at once is dropped and counted. */
#ifndef APP_STROWGERD_HEP_H
#define APP_STROWGERD_HEP_H

#include "base/log.h"
#include "pbx/site.h"
#include "service/service.h"
#include "sip/msg/flow.h"

struct hep_sender;
struct hep_sender *hep_new(const struct site_key *key, struct log_sink *log); /* both borrowed; NULL: no memory */
void hep_free(struct hep_sender *h);
/* A new snapshot: the collector, the agent's id and the key are those of its settings from now on. */
void hep_site(struct hep_sender *h, const struct site *site);
bool hep_is_on(const struct hep_sender *h); /* h may be NULL */
/* One message as it came (in) or as it is given to the transport; TLS in clear, credentials blotted out. */
void hep_message(struct hep_sender *h, bool in, const struct sip_flow *flow, struct span bytes, int64_t wall_us);
void hep_flush(struct hep_sender *h); /* at the end of a turn */

struct hep_counts {
	uint64_t sent, dropped; /* dropped: too long for a datagram, or not taken by the kernel */
};
struct hep_counts hep_counts(const struct hep_sender *h); /* any thread; as of the last flush */

#endif
