/* app/cli: the command line's parts: talking to the daemon, tables, commands. Layer 6, shell. */
#ifndef APP_CLI_H
#define APP_CLI_H

#include <jansson.h>
#include <stdbool.h>

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_UNREACHABLE = 4, CLI_NOT_FOUND = 5 };

struct cli {
	const char *site; /* the site's folder */
	const char *what; /* the collection that a command is about */
	bool json;
	int argc; /* arguments behind the command's words */
	char **argv;
};

struct cli_command {
	const char *words, *help;
	int (*run)(struct cli *c);
	const char *what;
};

/* One request on the control socket. body may be NULL (it is freed). *out: the parsed answer or NULL (caller decrefs).
 * Returns an exit code; what was refused has been told on stderr. */
int cli_request(struct cli *c, const char *method, const char *path, json_t *body, json_t **out);
/* Prints a collection or an object: a table for people, JSON for programs. */
void cli_print(const struct cli *c, const json_t *v);

int cli_show(struct cli *c);
int cli_extension_add(struct cli *c);
int cli_extension_set(struct cli *c);
int cli_device_add(struct cli *c);
int cli_remove(struct cli *c);
int cli_token_add(struct cli *c);
int cli_settings_set(struct cli *c);
int cli_log_level(struct cli *c);
int cli_log_peer(struct cli *c);
int cli_log_reset(struct cli *c);
int cli_feature(struct cli *c);
int cli_audit_list(struct cli *c);
int cli_audit_verify(struct cli *c);
int cli_backup_create(struct cli *c);
int cli_backup_verify(struct cli *c);
int cli_restore(struct cli *c);
int cli_doctor(struct cli *c);
int cli_completion(struct cli *c);

#endif
