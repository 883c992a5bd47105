/* sim: office days, scenario files and replays in virtual time. Prints one JSON line per run; exit 0 when all held. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/sim.h"

static double seconds(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void say(void *ctx, const char *line)
{
	(void)ctx;
	fprintf(stderr, "%s\n", line);
}

static int usage(void)
{
	fputs("usage: sim --phones N --hours H --seed S [--loss P] [--dup P] [--reorder P] [--delay-ms D] [--jitter-ms J]\n"
	      "           [--crash-every MINUTES] [--tcp SHARE] [--rate R] [--sabotage NAME] [--verbose]\n"
	      "       sim --scenario FILE [--seed S] [--sabotage NAME] [--verbose]\n"
	      "       sim --replay FILE\n"
	      "       sim --list-sabotage\n", stderr);
	return 2;
}

static int list_sabotage(void)
{
	const struct sim_sabotage_info *s;
	for (size_t i = 0; (s = sim_sabotage_list(i)); i++)
		printf("%-16s %s\n", s->name, s->doc);
	return 0;
}

static void print_result(const struct sim_result *r, double wall_s)
{
	printf("{\"calls\":%llu,\"completed\":%llu,\"abandoned\":%llu,\"lost\":%llu,\"registrations\":%llu,\"steps\":%llu,"
	       "\"violations\":%llu,\"crashes\":%llu,\"cut\":%llu,\"interrupted\":%llu,\"hash\":\"%016llx\",\"wall_s\":%.2f}\n",
	       (unsigned long long)r->calls, (unsigned long long)r->completed, (unsigned long long)r->abandoned,
	       (unsigned long long)r->lost, (unsigned long long)r->registrations, (unsigned long long)r->steps,
	       (unsigned long long)r->violations, (unsigned long long)r->crashes, (unsigned long long)r->cut,
	       (unsigned long long)r->interrupted, (unsigned long long)r->hash, wall_s);
}

static int office(const struct sim_opts *o)
{
	struct sim_result r;
	const char *error = "";
	double t = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	if (sim_office(o, &r, &error) != 0) {
		fprintf(stderr, "sim: %s\n", error);
		return 2;
	}
	print_result(&r, seconds(CLOCK_MONOTONIC) - t);
	fprintf(stderr, "sim: %llu events, %llu SIP messages, %llu RTP packets, %.2f s of CPU, %.1f h of virtual time\n",
		(unsigned long long)r.events, (unsigned long long)r.sip_messages, (unsigned long long)r.rtp_packets,
		seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu, (double)r.end_us / 3.6e9);
	return r.violations == 0 && r.lost == 0 ? 0 : 1;
}

static char *read_file(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	char *mem = NULL;
	if (!f)
		goto out;
	size_t cap = 1 << 16;
	*n = 0;
	mem = malloc(cap);
	while (mem) {
		size_t got = fread(mem + *n, 1, cap - *n, f);
		*n += got;
		if (got == 0)
			break;
		if (*n == cap) {
			char *more = realloc(mem, cap *= 2);
			if (!more)
				free(mem);
			mem = more;
		}
	}
out:
	if (!mem)
		fprintf(stderr, "sim: %s: %s\n", path, strerror(errno));
	if (f)
		fclose(f);
	return mem;
}

/* Each seed twice: what differs between two runs came from outside of the world. */
static int scenario(const char *path, struct sim_opts *o)
{
	size_t n = 0;
	char *mem = read_file(path, &n);
	if (!mem)
		return 2;
	struct span file = span_mem(mem, n);
	struct sim_result sum = {0};
	uint64_t first = o->seed;
	double t = seconds(CLOCK_MONOTONIC);
	for (uint32_t i = 0, seeds = sim_scenario_seeds(file); i < seeds; i++) {
		struct sim_result r[2];
		const char *error = "";
		o->seed = first + i;
		for (int k = 0; k < 2; k++) {
			if (sim_scenario(file, o, &r[k], &error) != 0) {
				fprintf(stderr, "sim: %s: %s\n", path, error);
				free(mem);
				return 2;
			}
		}
		if (r[0].hash != r[1].hash) {
			fprintf(stderr, "sim: %s: seed %llu gives two hashes\n", path, (unsigned long long)o->seed);
			r[0].violations++;
		}
		if (r[0].violations)
			fprintf(stderr, "sim: %s: seed %llu: %llu violations\n", path, (unsigned long long)o->seed,
				(unsigned long long)r[0].violations);
		sum.calls += r[0].calls;
		sum.registrations += r[0].registrations;
		sum.steps += r[0].steps;
		sum.violations += r[0].violations;
		sum.crashes += r[0].crashes;
		sum.interrupted += r[0].interrupted;
		sum.hash = sum.hash * 31 + r[0].hash;
	}
	print_result(&sum, seconds(CLOCK_MONOTONIC) - t);
	free(mem);
	return sum.violations ? 1 : 0;
}

static int replay(const char *path)
{
	size_t n = 0;
	char *mem = read_file(path, &n);
	if (!mem)
		return 2;
	struct sim_replay r;
	const char *error = "";
	int rc = 2;
	if (sim_replay(span_mem(mem, n), &r, &error) != 0) {
		fprintf(stderr, "sim: %s: %s\n", path, error);
	} else {
		printf("{\"inputs\":%llu,\"outputs\":%llu,\"hash\":\"%016llx\",\"recorded_hash\":\"%016llx\",\"equal\":%s}\n",
		       (unsigned long long)r.inputs, (unsigned long long)r.outputs, (unsigned long long)r.hash,
		       (unsigned long long)r.recorded_hash, r.equal ? "true" : "false");
		rc = r.equal ? 0 : 1;
	}
	free(mem);
	return rc;
}

enum { OPT_PHONES = 1, OPT_HOURS, OPT_SEED, OPT_LOSS, OPT_SABOTAGE, OPT_LIST, OPT_SCENARIO, OPT_REPLAY, OPT_VERBOSE, OPT_RATE, OPT_DUP, OPT_TCP,
       OPT_REORDER, OPT_DELAY, OPT_JITTER, OPT_CRASH };

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"phones", 1, NULL, OPT_PHONES}, {"hours", 1, NULL, OPT_HOURS}, {"seed", 1, NULL, OPT_SEED}, {"loss", 1, NULL, OPT_LOSS},
		{"sabotage", 1, NULL, OPT_SABOTAGE}, {"list-sabotage", 0, NULL, OPT_LIST}, {"scenario", 1, NULL, OPT_SCENARIO},
		{"replay", 1, NULL, OPT_REPLAY}, {"verbose", 0, NULL, OPT_VERBOSE}, {"rate", 1, NULL, OPT_RATE}, {"dup", 1, NULL, OPT_DUP}, {"tcp", 1, NULL, OPT_TCP},
		{"reorder", 1, NULL, OPT_REORDER}, {"delay-ms", 1, NULL, OPT_DELAY}, {"jitter-ms", 1, NULL, OPT_JITTER}, {"crash-every", 1, NULL, OPT_CRASH}, {NULL, 0, NULL, 0}};
	struct sim_opts o = {.phones = 20, .hours = 1, .seed = 1, .net = sim_net_office, .say = say, .say_max = 40};
	const char *scn = NULL, *rec = NULL;
	for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		switch (c) {
		case OPT_PHONES: o.phones = (uint32_t)strtoul(optarg, NULL, 10); break;
		case OPT_HOURS: o.hours = strtod(optarg, NULL); break;
		case OPT_SEED: o.seed = strtoull(optarg, NULL, 10); break;
		case OPT_DUP: o.net.dup = strtod(optarg, NULL); break;
		case OPT_REORDER: o.net.reorder = strtod(optarg, NULL); break;
		case OPT_DELAY: o.net.delay_us = (int64_t)(strtod(optarg, NULL) * 1000); break;
		case OPT_JITTER: o.net.jitter_us = (int64_t)(strtod(optarg, NULL) * 1000); break;
		case OPT_CRASH: o.crash_every_min = strtod(optarg, NULL); break;
		case OPT_TCP: o.tcp_share = strtod(optarg, NULL); break;
		case OPT_LOSS: o.net.loss = strtod(optarg, NULL); break;
		case OPT_RATE: o.rate = strtod(optarg, NULL); break;
		case OPT_SABOTAGE: o.sabotage = optarg; break;
		case OPT_SCENARIO: scn = optarg; break;
		case OPT_REPLAY: rec = optarg; break;
		case OPT_VERBOSE: o.verbose = true; break;
		case OPT_LIST: return list_sabotage();
		default: return usage();
		}
	}
	if (optind != argc || argc == 1)
		return usage();
	if (!(o.net.loss >= 0 && o.net.loss < 1) || !(o.hours > 0 && o.hours <= 24 * 366)) {
		fputs("sim: loss must be 0 to 1, hours more than 0\n", stderr);
		return 2;
	}
	if (rec)
		return replay(rec);
	return scn ? scenario(scn, &o) : office(&o);
}
