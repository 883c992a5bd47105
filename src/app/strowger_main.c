/* strowger: the command line. A client of the control socket DIR/control.sock, which speaks the same /api/v1 as HTTP does.
 * Exit codes: 0 done, 1 refused or failed, 2 usage, 4 the daemon is not reachable, 5 no such thing. */
#include "app/cli.h"

#include <stdio.h>
#include <string.h>

static const struct cli_command commands[] = {
	{"show calls", "calls there are now", cli_show, "calls"},
	{"show registrations", "who is registered from where", cli_show, "registrations"},
	{"show subscriptions", "who watches what (lamps, messages)", cli_show, "subscriptions"},
	{"show phones", "phones: number, status, type, model, firmware, address", cli_show, "phones"},
	{"show cdr", "[N]: call records, newest first (100, at most 9999)", cli_show, "cdr"},
	{"show extensions", "extensions", cli_show, "extensions"},
	{"show devices", "devices of all extensions", cli_show, "devices"},
	{"show status", "counters of the switch", cli_show, "status"},
	{"extension add", "NUMBER [--name N] [--pin P | --pin-file F] [--media site|anchor|direct] [--ring-s S]", cli_extension_add, NULL},
	{"extension set", "NUMBER [the same options] [--enabled yes|no] [--sip-device yes|no]", cli_extension_set, NULL},
	{"extension list", "the same as show extensions", cli_show, "extensions"},
	{"extension remove", "NUMBER", cli_remove, "extensions"},
	{"extension unlock", "NUMBER: its PIN may be tried again (Z45)", cli_remove, "bans"},
	{"ban list", "sources that are blocked for their failures", cli_show, "bans"},
	{"ban release", "ADDRESS: it is answered again", cli_remove, "bans"},
	{"device add", "EXTENSION --generic [--secret S]: prints user, realm and secret once", cli_device_add, NULL},
	{"device list", "devices of all extensions", cli_show, "devices"},
	{"device remove", "ID", cli_remove, "devices"},
	{"token add", "NAME [--scope read|write|admin] [--expires-on 2027-01-31]: a token of the API, shown once", cli_token_add, "tokens"},
	{"token list", "the tokens of the API, without what they are", cli_show, "tokens"},
	{"token remove", "NAME: it is good for nothing any more", cli_remove, "tokens"},
	{"settings show", "the site's settings", cli_show, "settings"},
	{"settings set", "FIELD=VALUE...", cli_settings_set, NULL},
	{"log show", "what is written: a level for all, for subsystems, for peers", cli_show, "log"},
	{"log level", "[SUBSYSTEM] debug|info|warn|error (subsystems: sip, call, register, auth, media, store, http, ...)", cli_log_level, "log"},
	{"log peer", "ADDRESS|EXTENSION LEVEL [--for 10m]: more from one phone, SIP messages at debug (s, m, h; default 10m)", cli_log_peer, "log"},
	{"log reset", "back to the levels of the start", cli_log_reset, "log"},
	{"audit list", "[N] [--entity E] [--key K]: who changed what from where, newest first", cli_audit_list, "audit"},
	{"audit verify", "is the record of changes whole? Names the first row that is not", cli_audit_verify, "audit"},
	{"backup create", "DIR [--with-keys]: a copy of the site in a new folder, while it runs", cli_backup_create, NULL},
	{"backup verify", "DIR: is every file there and as it was?", cli_backup_verify, NULL},
	{"backup restore", "DIR: the site (--site) becomes what it was; the daemon must be stopped", cli_restore, NULL},
	{"doctor", "[--host A] [--from A] [--port NAME=P]: are all listeners reachable, is this host fit? (G10)", cli_doctor, NULL},
	{"feature run", "NAME WORD...: a feature's verb, e.g. mwi set 201 2 1", cli_feature, NULL},
	{"completion bash", "prints tab completion for bash: eval \"$(strowger completion bash)\"", cli_completion, NULL},
};
static const size_t n_commands = sizeof commands / sizeof commands[0];

static void usage(FILE *f)
{
	fprintf(f, "usage: strowger [--site DIR] [--json] COMMAND ...\n\n");
	for (size_t i = 0; i < n_commands; i++)
		fprintf(f, "  %-20s %s\n", commands[i].words, commands[i].help);
	fprintf(f, "\nexit codes: 0 done, 1 refused or failed, 2 usage, 4 daemon not reachable, 5 no such thing\n");
}

int cli_completion(struct cli *c)
{
	(void)c;
	puts("_strowger() {\n  local line=\"${COMP_WORDS[*]:1:COMP_CWORD-1}\" cur=\"${COMP_WORDS[COMP_CWORD]}\" words=");
	puts("  line=$(sed -E 's/--site +[^ ]+ *//; s/--json *//' <<<\"$line\")\n  case \"$line\" in");
	char seen[512] = "";
	for (size_t i = 0; i < n_commands; i++) {
		size_t n = strcspn(commands[i].words, " ");
		char first[32];
		snprintf(first, sizeof first, "%.*s", (int)n, commands[i].words);
		if (strstr(seen, first))
			continue;
		snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s ", first);
		printf("    %s) words=\"", first);
		for (size_t k = i; k < n_commands; k++)
			if (!strncmp(commands[k].words, first, n) && commands[k].words[n] == ' ')
				printf("%s ", commands[k].words + n + 1);
		puts("\" ;;");
	}
	printf("    '') words=\"%shelp --site --json\" ;;\n  esac\n", seen);
	puts("  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -F _strowger strowger");
	return CLI_OK;
}

int main(int argc, char **argv)
{
	struct cli c = {.site = "site", .argc = 0};
	int i = 1;
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--json")) {
			c.json = true;
		} else if (!strcmp(argv[i], "--site") && i + 1 < argc) {
			c.site = argv[++i];
		} else if (!strcmp(argv[i], "--version")) {
			puts("strowger " STROWGER_VERSION);
			return CLI_OK;
		} else {
			usage(!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h") ? stdout : stderr);
			return !strcmp(argv[i], "--help") || !strcmp(argv[i], "-h") ? CLI_OK : CLI_USAGE;
		}
	}
	if (i < argc && !strcmp(argv[i], "help")) {
		usage(stdout);
		return CLI_OK;
	}
	for (size_t k = 0; i < argc && k < n_commands; k++) {
		size_t n = strcspn(commands[k].words, " ");
		bool two = commands[k].words[n] == ' ';
		if (strlen(argv[i]) == n && !strncmp(argv[i], commands[k].words, n) &&
		    (!two || (i + 1 < argc && !strcmp(argv[i + 1], commands[k].words + n + 1)))) {
			c.argc = argc - i - (two ? 2 : 1);
			c.argv = argv + i + (two ? 2 : 1);
			c.what = commands[k].what;
			/* --json may stand at the end too */
			if (c.argc > 0 && !strcmp(c.argv[c.argc - 1], "--json")) {
				c.json = true;
				c.argc--;
			}
			int rc = commands[k].run(&c);
			if (rc == CLI_USAGE)
				fprintf(stderr, "usage: strowger %s %s\n", commands[k].words, commands[k].help);
			return rc;
		}
	}
	if (i < argc)
		fprintf(stderr, "strowger: unknown command '%s%s%s'\n\n", argv[i], i + 1 < argc ? " " : "", i + 1 < argc ? argv[i + 1] : "");
	usage(stderr);
	return CLI_USAGE;
}
