/* pbx/record: a cell's inputs as bytes, and a hash over its effects, so that a run can be done again and compared.
 * Layer 3, pure. The bytes are for the same build only (rows are written as they lie in memory; the header tells version
 * and sizes). A recording holds HA1s and calls: it is as secret as the site key. */
#ifndef PBX_RECORD_H
#define PBX_RECORD_H

#include "pbx/cell.h"

struct record_sink {
	void (*write)(struct record_sink *s, struct span bytes); /* in order; one frame may come in several pieces */
};

/* First of all: what cell_new was given. */
void record_header(struct record_sink *s, const struct cell_opts *o, int64_t now_us);
/* Before (or after) the cell_step of the same input. CELL_IN_SITE writes the whole snapshot. */
void record_input(struct record_sink *s, const struct cell_in *in, int64_t now_us);
/* What the effects amounted to up to here. */
void record_checkpoint(struct record_sink *s, const struct trace_hash *h);

/* Adds one effect; nothing of it depends on addresses in memory. */
void record_effect(struct trace_hash *h, const struct cell_out *out);

enum record_kind { RECORD_END, RECORD_HEADER, RECORD_INPUT, RECORD_CHECKPOINT, RECORD_BROKEN /* cut off, or of another build */ };
struct record_item {
	int64_t now_us;
	struct cell_opts opts;     /* HEADER */
	struct cell_in in;         /* INPUT; spans point into the recording; in.u.site is the caller's to unref */
	struct trace_hash hash;    /* CHECKPOINT */
};
/* The next item; *rest moves behind it. A frame that is cut off at the end of the bytes is BROKEN and *rest stays. */
enum record_kind record_read(struct span *rest, struct record_item *out);

#endif
