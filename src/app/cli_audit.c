/* strowger audit: who changed what, and whether the record of it is whole. */
#include "app/cli.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int plain(const char *z)
{
	for (; *z; z++)
		if (!isalnum((unsigned char)*z) && !strchr("_-.:", *z))
			return 0;
	return 1;
}

/* [N] [--entity E] [--key K] */
int cli_audit_list(struct cli *c)
{
	char path[256] = "audit?limit=";
	const char *entity = "", *key = "", *limit = "100";
	json_t *v = NULL, *row;
	size_t k;
	for (int i = 0; i < c->argc; i++) {
		bool pair = i + 1 < c->argc;
		if (!strcmp(c->argv[i], "--entity") && pair)
			entity = c->argv[++i];
		else if (!strcmp(c->argv[i], "--key") && pair)
			key = c->argv[++i];
		else if (atoi(c->argv[i]) > 0 && strlen(c->argv[i]) < 5)
			limit = c->argv[i];
		else
			return CLI_USAGE;
	}
	if (!plain(entity) || !plain(key) || !plain(limit))
		return CLI_USAGE;
	snprintf(path, sizeof path, "audit?limit=%s&entity=%.60s&key=%.60s", limit, entity, key);
	int rc = cli_request(c, "GET", path, NULL, &v);
	/* a table has texts only */
	if (rc == CLI_OK && !c->json) {
		json_array_foreach(v, k, row)
		{
			char *text = json_dumps(json_object_get(row, "changes"), JSON_COMPACT | JSON_ENCODE_ANY);
			json_object_set_new(row, "changes", json_string(text ? text : ""));
			free(text);
		}
	}
	if (rc == CLI_OK)
		cli_print(c, v);
	json_decref(v);
	return rc;
}

int cli_audit_verify(struct cli *c)
{
	json_t *v = NULL;
	if (c->argc)
		return CLI_USAGE;
	int rc = cli_request(c, "GET", "audit/verify", NULL, &v);
	if (rc == CLI_OK && c->json) {
		cli_print(c, v);
	} else if (rc == CLI_OK && json_is_true(json_object_get(v, "whole"))) {
		long long cuts = json_integer_value(json_object_get(v, "cuts")), lost = json_integer_value(json_object_get(v, "lost"));
		printf("whole: %lld rows, head %s\n", (long long)json_integer_value(json_object_get(v, "rows")), json_string_value(json_object_get(v, "head")));
		if (cuts)
			printf("  %lld times the database was damaged and recovered; %lld rows were lost by that: strowger audit list --entity audit\n", cuts, lost);
	} else if (rc == CLI_OK) {
		fprintf(stderr, "strowger: the audit is broken at row %lld: %s\n  mend: compare with a backup; the %lld rows before it are as they were written\n",
			(long long)json_integer_value(json_object_get(v, "broken")), json_string_value(json_object_get(v, "why")),
			(long long)json_integer_value(json_object_get(v, "rows")));
	}
	if (rc == CLI_OK && !json_is_true(json_object_get(v, "whole")))
		rc = CLI_FAILED;
	json_decref(v);
	return rc;
}
