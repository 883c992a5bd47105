/* strowger log: what the daemon writes, changed while it runs. */
#include "app/cli.h"

#include <stdlib.h>
#include <string.h>

static int patch(struct cli *c, json_t *body)
{
	json_t *answer = NULL;
	int rc = cli_request(c, "PATCH", c->what, body, &answer);
	if (rc == CLI_OK)
		cli_print(c, answer);
	json_decref(answer);
	return rc;
}

int cli_log_level(struct cli *c)
{
	if (c->argc == 1)
		return patch(c, json_pack("{s:s}", "level", c->argv[0]));
	if (c->argc == 2)
		return patch(c, json_pack("{s:s,s:s}", "subsystem", c->argv[0], "level", c->argv[1]));
	return CLI_USAGE;
}

/* "90", "90s", "10m", "2h" in seconds; 0: not that. */
static long seconds_of(const char *s)
{
	char *end;
	long n = strtol(s, &end, 10);
	long unit = !*end || !strcmp(end, "s") ? 1 : !strcmp(end, "m") ? 60 : !strcmp(end, "h") ? 3600 : 0;
	return n > 0 && n <= 604800 ? n * unit : 0;
}

int cli_log_peer(struct cli *c)
{
	long for_s = 600;
	if (c->argc == 4 && !strcmp(c->argv[2], "--for"))
		for_s = seconds_of(c->argv[3]);
	else if (c->argc != 2)
		return CLI_USAGE;
	return for_s ? patch(c, json_pack("{s:s,s:s,s:I}", "peer", c->argv[0], "level", c->argv[1], "for_s", (json_int_t)for_s)) : CLI_USAGE;
}

int cli_log_reset(struct cli *c)
{
	json_t *answer = NULL;
	if (c->argc != 0)
		return CLI_USAGE;
	int rc = cli_request(c, "DELETE", c->what, NULL, &answer);
	if (rc == CLI_OK)
		cli_print(c, answer);
	json_decref(answer);
	return rc;
}
