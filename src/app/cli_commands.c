#include "app/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Collections come as an array, or in pages as {"items": [...], "next": cursor}. */
int cli_show(struct cli *c)
{
	json_t *all = json_array(), *page = NULL;
	unsigned long long cursor = 0;
	long limit = 0;
	char *end;
	int rc;
	if (c->argc > 1 || (c->argc == 1 && ((limit = strtol(c->argv[0], &end, 10)) < 1 || limit > 9999 || *end || strcmp(c->what, "cdr") != 0))) {
		json_decref(all);
		return CLI_USAGE;
	}
	do {
		char path[128];
		snprintf(path, sizeof path, "%s?cursor=%llu&limit=%ld", c->what, cursor, limit);
		rc = cli_request(c, "GET", cursor || limit ? path : c->what, NULL, &page);
		json_t *items = json_is_object(page) ? json_object_get(page, "items") : page;
		cursor = json_is_object(page) ? (unsigned long long)json_integer_value(json_object_get(page, "next")) : 0;
		if (rc == CLI_OK && json_is_array(items))
			json_array_extend(all, items);
		else if (rc == CLI_OK)
			cli_print(c, page), cursor = 0;
		bool list = json_is_array(items);
		json_decref(page);
		if (rc != CLI_OK || !list) {
			json_decref(all);
			return rc;
		}
	} while (cursor);
	cli_print(c, all);
	json_decref(all);
	return CLI_OK;
}

static json_t *typed(const char *key, const char *value)
{
	char *end;
	long long n = strtoll(value, &end, 10);
	if (!strcmp(value, "yes") || !strcmp(value, "true"))
		return json_true();
	if (!strcmp(value, "no") || !strcmp(value, "false"))
		return json_false();
	size_t k = strlen(key);
	if (k > 2 && !strcmp(key + k - 2, "_s") && *value && !*end)
		return json_integer(n);
	return json_string(value);
}

/* The first line of a file ("-": standard input): a PIN need not stand in the process list. */
static json_t *from_file(const char *path)
{
	char line[128];
	FILE *f = strcmp(path, "-") ? fopen(path, "r") : stdin;
	json_t *v = NULL;
	if (f && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\r\n")] = 0;
		v = json_string(line);
		memset(line, 0, sizeof line);
	} else {
		fprintf(stderr, "strowger: cannot read a PIN from %s\n", path);
	}
	if (f && f != stdin)
		fclose(f);
	return v;
}

static json_t *options(struct cli *c, int from, const char *const *allowed)
{
	json_t *o = json_object();
	for (int i = from; i < c->argc; i += 2) {
		char key[32];
		const char *a = c->argv[i];
		size_t k = 0;
		while (allowed[k] && (strncmp(a, "--", 2) || strcmp(a + 2, allowed[k]) != 0))
			k++;
		if (!allowed[k] || i + 1 >= c->argc) {
			fprintf(stderr, "strowger: %s '%s'\n", allowed[k] ? "a value is missing behind" : "unknown option", a);
			json_decref(o);
			return NULL;
		}
		snprintf(key, sizeof key, "%s", a + 2);
		for (char *p = key; *p; p++)
			*p = *p == '-' ? '_' : *p;
		bool file = !strcmp(key, "pin_file");
		json_t *v = file ? from_file(c->argv[i + 1]) : !strcmp(key, "name") || !strcmp(key, "pin") ? json_string(c->argv[i + 1]) : typed(key, c->argv[i + 1]);
		if (!v) {
			if (!file)
				fprintf(stderr, "strowger: %s is not valid UTF-8\n", a);
			json_decref(o);
			return NULL;
		}
		json_object_set_new(o, file ? "pin" : key, v);
	}
	return o;
}

static const char *const extension_options[] = {"name", "pin", "pin-file", "media", "ring-s", "enabled", "sip-device", NULL};

static int change_extension(struct cli *c, const char *method, bool in_path)
{
	char path[64] = "extensions";
	json_t *answer = NULL, *o = c->argc >= 1 ? options(c, 1, extension_options) : NULL;
	if (!o)
		return CLI_USAGE;
	if (in_path)
		snprintf(path, sizeof path, "extensions/%.20s", c->argv[0]);
	else
		json_object_set_new(o, "number", json_string(c->argv[0]));
	int rc = cli_request(c, method, path, o, &answer);
	if (rc == CLI_OK)
		cli_print(c, answer);
	json_decref(answer);
	return rc;
}

int cli_extension_add(struct cli *c)
{
	return change_extension(c, "POST", false);
}

int cli_extension_set(struct cli *c)
{
	return change_extension(c, "PATCH", true);
}

int cli_device_add(struct cli *c)
{
	bool generic = false;
	json_t *answer = NULL, *o;
	if (c->argc < 1)
		return CLI_USAGE;
	o = json_pack("{s:s}", "extension", c->argv[0]);
	for (int i = 1; i < c->argc; i++) {
		if (!strcmp(c->argv[i], "--generic")) {
			generic = true;
		} else if (!strcmp(c->argv[i], "--secret") && i + 1 < c->argc) {
			json_object_set_new(o, "secret", json_string(c->argv[++i]));
		} else {
			json_decref(o);
			return CLI_USAGE;
		}
	}
	if (!generic) {
		fprintf(stderr, "strowger: a Polycom phone comes by itself (extension and PIN at the phone); say --generic for another SIP device\n");
		json_decref(o);
		return CLI_USAGE;
	}
	json_object_set_new(o, "kind", json_string("generic"));
	int rc = cli_request(c, "POST", "devices", o, &answer);
	if (rc == CLI_OK)
		cli_print(c, answer);
	json_decref(answer);
	return rc;
}

int cli_token_add(struct cli *c)
{
	static const char *const allowed[] = {"scope", "expires-on", NULL};
	json_t *answer = NULL, *o = c->argc >= 1 ? options(c, 1, allowed) : NULL;
	if (!o)
		return CLI_USAGE;
	json_object_set_new(o, "name", json_string(c->argv[0]));
	int rc = cli_request(c, "POST", "tokens", o, &answer);
	if (rc == CLI_OK)
		cli_print(c, answer);
	json_decref(answer);
	return rc;
}

int cli_remove(struct cli *c)
{
	char path[64];
	json_t *answer = NULL;
	if (c->argc != 1)
		return CLI_USAGE;
	snprintf(path, sizeof path, "%s/%.20s", c->what, c->argv[0]);
	int rc = cli_request(c, "DELETE", path, NULL, &answer);
	json_decref(answer);
	return rc;
}

int cli_settings_set(struct cli *c)
{
	json_t *answer = NULL, *o = json_object();
	for (int i = 0; i < c->argc; i++) {
		char *eq = strchr(c->argv[i], '=');
		if (!eq) {
			json_decref(o);
			return CLI_USAGE;
		}
		*eq = 0;
		json_object_set_new(o, c->argv[i], typed(c->argv[i], eq + 1));
	}
	if (c->argc == 0) {
		json_decref(o);
		return CLI_USAGE;
	}
	int rc = cli_request(c, "PATCH", "settings", o, &answer);
	if (rc == CLI_OK)
		cli_print(c, answer);
	json_decref(answer);
	return rc;
}

int cli_feature(struct cli *c)
{
	char path[64], args[120] = "";
	json_t *answer = NULL;
	if (c->argc < 1)
		return CLI_USAGE;
	snprintf(path, sizeof path, "features/%.40s", c->argv[0]);
	for (int i = 1; i < c->argc; i++) {
		size_t n = strlen(args);
		if (n + strlen(c->argv[i]) + 2 > sizeof args)
			return CLI_USAGE;
		snprintf(args + n, sizeof args - n, "%s%s", n ? " " : "", c->argv[i]);
	}
	int rc = cli_request(c, "POST", path, json_pack("{s:s}", "args", args), &answer);
	if (rc == CLI_OK)
		cli_print(c, answer);
	json_decref(answer);
	return rc;
}
