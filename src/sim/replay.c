/* A recording of the daemon walked through a fresh cell: the same inputs at the same times must give the same effects. */
#include "pbx/record.h"
#include "sim/sim.h"

struct walk {
	struct cell_sink sink;
	struct trace_hash hash;
	uint64_t outputs;
};

static void on_effect(struct cell_sink *s, const struct cell_out *out)
{
	struct walk *k = (struct walk *)(void *)s; /* its first member */
	record_effect(&k->hash, out);
	k->outputs++;
}

static void one_input(struct walk *k, struct cell *c, struct record_item *it, struct sim_replay *r)
{
	cell_step(c, &it->in, it->now_us, &k->sink);
	if (it->in.kind == CELL_IN_SITE)
		site_unref(it->in.u.site);
	r->inputs++;
}

/* Every checkpoint must agree; the first that does not tells how far the two runs were the same. */
static void one_checkpoint(const struct walk *k, const struct record_item *it, struct sim_replay *r)
{
	r->hash = k->hash.h;
	r->recorded_hash = it->hash.h;
	if (it->hash.h != k->hash.h || it->hash.items != k->hash.items)
		r->equal = false;
	r->checkpoints++;
}

int sim_replay(struct span file, struct sim_replay *r, const char **error)
{
	struct walk k = {.sink = {on_effect, LOG_ERROR}};
	struct record_item it;
	struct cell *c = NULL;
	int rc = -1;
	*r = (struct sim_replay){.equal = true};
	if (record_read(&file, &it) != RECORD_HEADER) {
		*error = "this is no recording of this build";
		return -1;
	}
	c = cell_new(&it.opts, it.now_us);
	*error = "no memory";
	for (enum record_kind kind = RECORD_HEADER; c && kind != RECORD_END && kind != RECORD_BROKEN;) {
		kind = record_read(&file, &it);
		if (kind == RECORD_INPUT)
			one_input(&k, c, &it, r);
		else if (kind == RECORD_CHECKPOINT)
			one_checkpoint(&k, &it, r);
		else if (kind == RECORD_BROKEN)
			r->cut = true; /* a daemon that was killed: what is there counts */
	}
	if (!c)
		return -1;
	r->outputs = k.outputs;
	*error = "the recording holds no checkpoint";
	if (r->checkpoints > 0)
		rc = 0;
	cell_free(c);
	return rc;
}
