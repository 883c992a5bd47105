/* The recording: inputs as they go into the cell, and from time to time what its effects amounted to. */
#include "app/strowgerd.h"

#include "pbx/record.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 1 << 20, INPUTS_PER_CHECKPOINT = 1000 };

struct recorder {
	struct record_sink sink;
	struct trace_hash hash;
	FILE *f;
	uint32_t since;
	bool failed;
};

static void write_piece(struct record_sink *s, struct span b)
{
	struct recorder *r = CONTAINER_OF(s, struct recorder, sink);
	if (!r->failed && fwrite(b.p, 1, b.n, r->f) != b.n) {
		r->failed = true; /* a recording that misses a piece is of no use beyond it */
		complain("the recording could not be written any further (disk full?): it ends here, the switch goes on.");
	}
}

struct recorder *recorder_open(const char *path)
{
	struct recorder *r = calloc(1, sizeof *r);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (r && fd >= 0 && fchmod(fd, 0600) == 0 && (r->f = fdopen(fd, "wb")) != NULL) {
		setvbuf(r->f, NULL, _IOFBF, BUFFER);
		r->sink.write = write_piece;
		return r;
	}
	if (fd >= 0)
		close(fd);
	free(r);
	return NULL;
}

void recorder_begin(struct recorder *r, const struct cell_opts *o, int64_t now_us)
{
	record_header(&r->sink, o, now_us);
}

void recorder_input(struct recorder *r, const struct cell_in *in, int64_t now_us)
{
	if (r->since++ >= INPUTS_PER_CHECKPOINT) {
		record_checkpoint(&r->sink, &r->hash);
		r->since = 1;
	}
	record_input(&r->sink, in, now_us);
}

void recorder_effect(struct recorder *r, const struct cell_out *out)
{
	record_effect(&r->hash, out);
}

void recorder_close(struct recorder *r)
{
	if (!r)
		return;
	record_checkpoint(&r->sink, &r->hash);
	if (fclose(r->f) != 0 && !r->failed)
		complain("the end of the recording could not be written (disk full?).");
	free(r);
}
