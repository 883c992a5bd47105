/* What is measured, and its text for Prometheus (exposition format 0.0.4). Layer 6, shell. The notes are taken on the cell's
 * thread by relaxed atomic adds; reading is for any thread. */
#ifndef APP_STROWGERD_METRICS_H
#define APP_STROWGERD_METRICS_H

#include "app/strowgerd_hep.h"
#include "base/text.h"
#include "edge/admit.h"
#include "edge/sip_tcp.h"
#include "edge/sip_udp.h"
#include "media/media.h"
#include "pbx/cell.h"
#include "service/http.h"
#include "store/store.h"

struct metrics;
struct metrics *metrics_new(int64_t now_us); /* NULL: no memory. The notes take NULL and do nothing. */
void metrics_free(struct metrics *m);

void metrics_message(struct metrics *m, bool in, struct span bytes);
void metrics_event(struct metrics *m, enum log_level level);
/* Of a call: rang or was answered so long after its INVITE. */
void metrics_progress(struct metrics *m, bool answered, int64_t after_us);
void metrics_record(struct metrics *m, const struct cdr_row *row); /* closed ones count: voice and causes; once each is the caller's affair */
void metrics_turn(struct metrics *m, int64_t us, uint32_t inputs);
void metrics_late(struct metrics *m, int64_t us); /* what admit_late is told */
void metrics_effect_lost(struct metrics *m);

/* What others count, as of now. */
struct metrics_view {
	struct cell_counts cell;
	struct cell_limits limits;
	struct sip_udp_counts udp;
	struct admit_counts admit;
	struct sip_tcp_counts tcp, tls;
	struct media_counts media;
	struct store_stats store;
	struct hep_counts hep;
	uint32_t extensions, devices, media_slots, max_streams;
	uint64_t log_dropped;
	int64_t now_us, rss_bytes; /* rss -1: not known */
};
void metrics_render(const struct metrics *m, const struct metrics_view *v, struct text *t);

#endif
