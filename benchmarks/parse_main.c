/* parse: CPU time to parse one REGISTER of a phone (910 bytes) with all that a registrar reads of it: Via, From, To, CSeq,
 * Contact, Expires, Authorization; next to libre, sofia-sip and osip2 (parse_libre, parse_sofia, parse_osip2 beside this
 * program, when their -dev packages were there at build time). Each runs in a process of its own.
 * parse [SECONDS]: one JSON line for each peer, or one with nulls when there is none. */
#include "peers/parse_bench.h"

#include "sip/auth/auth.h"
#include "sip/msg/msg.h"

static int parse_once(void)
{
	struct sip_msg m;
	struct sip_error err;
	struct sip_nameaddr contact;
	struct sip_contact_iter it = {0};
	struct digest_creds creds;
	if (sip_parse(&m, span_mem(register_910, PARSE_LEN), &err) < 0 || m.cseq != 2)
		return 1;
	if (sip_contact_next(&m, SIP_H_CONTACT, &it, &contact) != 1 || sip_expires(&m) != 3600)
		return 1;
	return digest_parse_creds(sip_hdr_value(&m, SIP_H_AUTHORIZATION), &creds) != DIGEST_OK || creds.response.n != 32;
}

struct figure {
	double us;
	unsigned long long instructions, ops;
};

static int measure(const char *folder, const char *program, const char *option, const char *seconds, struct figure *out)
{
	char command[600];
	snprintf(command, sizeof command, "'%s/%s' %s %s 2>/dev/null", folder, program, option, seconds);
	FILE *p = popen(command, "r");
	if (!p)
		return -1;
	int n = fscanf(p, "%lf %llu %llu", &out->us, &out->instructions, &out->ops);
	return pclose(p) == 0 && n == 3 ? 0 : -1;
}

static void print_instructions(const char *name, unsigned long long n)
{
	if (n)
		printf(",\"%s\":%llu", name, n);
}

static int compare(const char *seconds)
{
	static const char *const peers[][2] = {{"libre", "parse_libre"}, {"sofia-sip", "parse_sofia"}, {"osip2", "parse_osip2"}};
	char folder[512];
	struct figure us, peer;
	int found = 0;
	ssize_t n = readlink("/proc/self/exe", folder, sizeof folder - 1);
	if (n <= 0)
		return 1;
	folder[n] = 0;
	*strrchr(folder, '/') = 0;
	if (measure(folder, "parse", "--self", seconds, &us) < 0)
		return 1;
	for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
		if (measure(folder, peers[i][1], "", seconds, &peer) < 0)
			continue;
		found++;
		printf("{\"bench\":\"parse\",\"cpu_us_per_op\":%.3f,\"ops\":%llu,\"peer\":\"%s\",\"peer_cpu_us_per_op\":%.3f,\"ratio\":%.4f",
		       us.us, us.ops, peers[i][0], peer.us, us.us / peer.us);
		print_instructions("instructions", us.instructions);
		print_instructions("peer_instructions", peer.instructions);
		printf(",\"bytes\":%d}\n", PARSE_LEN);
	}
	if (!found) {
		printf("{\"bench\":\"parse\",\"cpu_us_per_op\":%.3f,\"ops\":%llu,\"peer\":null,\"peer_cpu_us_per_op\":null,\"ratio\":null", us.us,
		       us.ops);
		print_instructions("instructions", us.instructions);
		printf(",\"bytes\":%d}\n", PARSE_LEN);
	}
	return 0;
}

int main(int argc, char **argv)
{
	char seconds[16] = "2";
	if (argc > 1 && !strcmp(argv[1], "--self"))
		return bench_loop(parse_once, argc - 1, argv + 1);
	if (argc > 1)
		snprintf(seconds, sizeof seconds, "%.2f", atof(argv[1]));
	return compare(seconds);
}
