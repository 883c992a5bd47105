/* Backup and restore of a site (R31): a folder with the databases as of one moment each, copied while the daemon works, what
 * phones uploaded, and MANIFEST.json with the SHA-256 of every file. The keys are in it only when asked for. */
#include "app/cli.h"

#include "base/text.h"
#include "io/file.h"
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <openssl/evp.h>
#include <pwd.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { STEP_PAGES = 256, FILE_LIMIT = 16 << 20, MANIFEST_LIMIT = 16 << 20 };

static const char *const databases[] = {"strowger.db", "registrations.db"};
static const char *const keys[] = {"site.key", "api.token", "tls.crt", "tls.key", "tls/ca.crt", "tls/ca.key", "tls/server.crt", "tls/server.key",
				   "tls/legacy.crt", "tls/legacy.key"};

static int said(const char *what, const char *path, const char *mend)
{
	fprintf(stderr, "strowger: %s %s: %s. %s\n", what, path, strerror(errno), mend);
	return CLI_FAILED;
}

static bool sha256_file(const char *path, char hex[65], json_int_t *bytes)
{
	unsigned char buf[65536], md[32];
	FILE *f = fopen(path, "rb");
	EVP_MD_CTX *x = f ? EVP_MD_CTX_new() : NULL;
	bool ok = x && EVP_DigestInit_ex(x, EVP_sha256(), NULL) == 1;
	*bytes = 0;
	for (size_t n; ok && (n = fread(buf, 1, sizeof buf, f)) > 0; *bytes += (json_int_t)n)
		ok = EVP_DigestUpdate(x, buf, n) == 1;
	ok = ok && !ferror(f) && EVP_DigestFinal_ex(x, md, NULL) == 1;
	struct text t = text_on(hex, 65);
	if (ok)
		text_hex(&t, md, sizeof md);
	ok = text_end(&t) && ok;
	EVP_MD_CTX_free(x);
	if (f)
		fclose(f);
	return ok;
}

static bool note(json_t *files, const char *dir, const char *name)
{
	char path[PATH_MAX], hex[65];
	json_int_t n;
	snprintf(path, sizeof path, "%s/%s", dir, name);
	if (!sha256_file(path, hex, &n))
		return false;
	json_object_set_new(files, name, json_pack("{s:s,s:I}", "sha256", hex, "bytes", n));
	return true;
}

/* SQLite's own online backup: one moment of the database, whatever is written meanwhile. */
static int copy_database(const char *from, const char *to, bool progress)
{
	sqlite3 *a = NULL, *b = NULL;
	sqlite3_backup *k = NULL;
	int rc = sqlite3_open_v2(from, &a, SQLITE_OPEN_READONLY, NULL);
	sqlite3_busy_timeout(a, 5000);
	if (rc == SQLITE_OK)
		rc = sqlite3_open_v2(to, &b, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
	if (rc == SQLITE_OK && !(k = sqlite3_backup_init(b, "main", a, "main")))
		rc = sqlite3_errcode(b);
	/* Read to the end in one transaction of the source: else each write of the daemon would begin it anew. */
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(a, "BEGIN; SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);
	for (int busy = 0; rc == SQLITE_OK || ((rc == SQLITE_BUSY || rc == SQLITE_LOCKED) && ++busy < 10);) {
		rc = sqlite3_backup_step(k, STEP_PAGES);
		int total = sqlite3_backup_pagecount(k);
		if (progress && total > 8 * STEP_PAGES && isatty(STDERR_FILENO))
			fprintf(stderr, "\r%s %d %%", to, (int)((int64_t)100 * (total - sqlite3_backup_remaining(k)) / total));
	}
	sqlite3_backup_finish(k);
	if (rc == SQLITE_DONE)
		rc = sqlite3_exec(b, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		fprintf(stderr, "strowger: cannot copy %s to %s: %s\n", from, to, b ? sqlite3_errmsg(b) : sqlite3_errstr(rc));
	sqlite3_close(a);
	sqlite3_close(b);
	return rc == SQLITE_OK && chmod(to, 0600) == 0 ? CLI_OK : CLI_FAILED;
}

static int copy_file(const char *from, const char *to)
{
	char *mem = NULL;
	size_t n = 0;
	int rc = file_read(from, FILE_LIMIT, &mem, &n) == 0 && file_write(to, span_mem(mem, n), true) == 0 ? CLI_OK : CLI_FAILED;
	if (mem)
		explicit_bzero(mem, n);
	free(mem);
	return rc == CLI_OK ? rc : said("cannot copy", from, "Make room where the backup goes.");
}

/* uploads/<mac>/<name>, as the daemon keeps them. */
static int copy_uploads(const char *site, const char *dir, json_t *files)
{
	char from[PATH_MAX + 8], to[PATH_MAX + 8], name[1024];
	snprintf(from, sizeof from, "%s/uploads", site);
	DIR *macs = opendir(from);
	int rc = CLI_OK;
	snprintf(to, sizeof to, "%s/uploads", dir);
	if (macs && file_mkdir(to) != 0)
		rc = said("cannot make", to, "");
	for (struct dirent *m; macs && rc == CLI_OK && (m = readdir(macs));) {
		if (m->d_name[0] == '.')
			continue;
		snprintf(from, sizeof from, "%.3000s/uploads/%.255s", site, m->d_name);
		snprintf(to, sizeof to, "%.3000s/uploads/%.255s", dir, m->d_name);
		DIR *of = opendir(from);
		if (of && file_mkdir(to) != 0)
			rc = said("cannot make", to, "");
		for (struct dirent *f; of && rc == CLI_OK && (f = readdir(of));) {
			if (f->d_name[0] == '.')
				continue;
			snprintf(name, sizeof name, "uploads/%.255s/%.255s", m->d_name, f->d_name);
			snprintf(from, sizeof from, "%.3000s/%s", site, name);
			snprintf(to, sizeof to, "%.3000s/%s", dir, name);
			rc = copy_file(from, to);
			if (rc == CLI_OK && !note(files, dir, name))
				rc = said("cannot read", to, "");
		}
		if (of)
			closedir(of);
	}
	if (macs)
		closedir(macs);
	return rc;
}

static int write_manifest(const char *dir, json_t *files, bool with_keys)
{
	char path[PATH_MAX];
	json_t *m = json_pack("{s:s,s:s,s:I,s:b,s:O}", "what", "strowger backup", "version", STROWGER_VERSION, "made", (json_int_t)time(NULL), "keys", with_keys,
			      "files", files);
	char *text = m ? json_dumps(m, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
	snprintf(path, sizeof path, "%s/MANIFEST.json", dir);
	int rc = text && file_write(path, span_z(text), true) == 0 ? CLI_OK : said("cannot write", path, "");
	free(text);
	json_decref(m);
	return rc;
}

/* The site's key, without which no row of the audit can be written. */
static bool read_key(const char *site, struct site_key *key)
{
	char path[PATH_MAX], *mem = NULL;
	size_t n = 0;
	snprintf(path, sizeof path, "%s/site.key", site);
	bool ok = file_read(path, sizeof key->k, &mem, &n) == 0 && n == sizeof key->k;
	if (ok)
		memcpy(key->k, mem, n);
	if (mem)
		explicit_bzero(mem, n);
	free(mem);
	return ok;
}

/* value: taken. An audit that cannot be written is said; what was done stays done. */
static void audit(const char *site, const char *what, json_t *value, int (*add)(const char *, const struct site_key *, const struct audit_entry *, struct store_error *))
{
	struct site_key key;
	struct store_error err = {.text = "its site.key cannot be read"};
	struct passwd *pw = getpwuid(geteuid());
	char actor[64];
	char *text = json_dumps(value, JSON_COMPACT);
	snprintf(actor, sizeof actor, "shell:%.40s", pw ? pw->pw_name : "?");
	const struct audit_entry e = {.wall_ms = (int64_t)time(NULL) * 1000, .actor = actor, .source = "", .what = what, .entity = "site", .key = "",
				      .value = span_z(text)};
	if (!text || !read_key(site, &key) || add(site, &key, &e, &err) != 0)
		fprintf(stderr, "strowger: the audit of %s does not tell of this %s: %s.\n", site, what, err.text);
	explicit_bzero(&key, sizeof key);
	free(text);
	json_decref(value);
}

int cli_backup_create(struct cli *c)
{
	char from[PATH_MAX], to[PATH_MAX];
	bool with_keys = c->argc == 2 && !strcmp(c->argv[1], "--with-keys");
	const char *dir = c->argc ? c->argv[0] : NULL;
	struct stat sb;
	if (c->argc < 1 || c->argc > 2 || (c->argc == 2 && !with_keys))
		return CLI_USAGE;
	if (stat(dir, &sb) == 0) {
		fprintf(stderr, "strowger: %s is there already. A backup is made in a folder of its own: give a new name.\n", dir);
		return CLI_FAILED;
	}
	snprintf(from, sizeof from, "%s/strowger.db", c->site);
	if (stat(from, &sb) != 0)
		return said("no site at", c->site, "Say where it is with --site.");
	if (file_mkdir(dir) != 0)
		return said("cannot make", dir, "");
	json_t *files = json_object();
	int rc = CLI_OK;
	for (size_t i = 0; i < sizeof databases / sizeof databases[0] && rc == CLI_OK; i++) {
		snprintf(from, sizeof from, "%s/%s", c->site, databases[i]);
		snprintf(to, sizeof to, "%s/%s", dir, databases[i]);
		rc = copy_database(from, to, !c->json);
		if (rc == CLI_OK && !note(files, dir, databases[i]))
			rc = said("cannot read", to, "");
	}
	if (rc == CLI_OK)
		rc = copy_uploads(c->site, dir, files);
	snprintf(to, sizeof to, "%s/tls", dir);
	if (rc == CLI_OK && with_keys && file_mkdir(to) != 0)
		rc = said("cannot make", to, "");
	for (size_t i = 0; i < sizeof keys / sizeof keys[0] && rc == CLI_OK && with_keys; i++) {
		snprintf(from, sizeof from, "%s/%s", c->site, keys[i]);
		snprintf(to, sizeof to, "%s/%s", dir, keys[i]);
		if (access(from, F_OK) != 0)
			continue;
		rc = copy_file(from, to);
		if (rc == CLI_OK && !note(files, dir, keys[i]))
			rc = said("cannot read", to, "");
	}
	if (rc == CLI_OK)
		rc = write_manifest(dir, files, with_keys);
	if (rc == CLI_OK)
		audit(c->site, "backup", json_pack("{s:s,s:b}", "to", dir, "keys", with_keys), store_audit_beside);
	if (rc == CLI_OK && c->json)
		printf("{\"backup\":\"%s\",\"files\":%zu,\"keys\":%s}\n", dir, json_object_size(files), with_keys ? "true" : "false");
	else if (rc == CLI_OK)
		printf("%s: %zu files. %s\n", dir, json_object_size(files), with_keys ? "It holds the site's keys: guard it like the site itself."
			: "Without site.key nobody can open the secrets in it: keep that file elsewhere, or use --with-keys.");
	json_decref(files);
	return rc;
}

static bool safe_name(const char *s)
{
	return s[0] && s[0] != '/' && !strstr(s, "..");
}

/* Its manifest, when every file is there and as it was; NULL: said. */
static json_t *verified(const char *dir)
{
	char path[PATH_MAX], hex[65], *text = NULL;
	size_t n = 0;
	json_int_t bytes;
	const char *name;
	json_t *v;
	snprintf(path, sizeof path, "%s/MANIFEST.json", dir);
	json_t *m = file_read(path, MANIFEST_LIMIT, &text, &n) == 0 ? json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL) : NULL;
	free(text);
	json_t *files = json_object_get(m, "files");
	if (!json_is_object(files) || !json_object_get(files, "strowger.db")) {
		fprintf(stderr, "strowger: %s is no backup: %s cannot be read, or names no strowger.db.\n", dir, path);
		json_decref(m);
		return NULL;
	}
	json_object_foreach(files, name, v)
	{
		const char *want = json_string_value(json_object_get(v, "sha256"));
		snprintf(path, sizeof path, "%s/%s", dir, name);
		bool ok = want && safe_name(name) && sha256_file(path, hex, &bytes) && strcmp(want, hex) == 0;
		for (size_t i = 0; i < sizeof databases / sizeof databases[0] && ok; i++)
			ok = strcmp(name, databases[i]) != 0 || store_file_is_sound(path);
		if (ok)
			continue;
		fprintf(stderr, "strowger: %s is missing, or is not what was backed up. Use another backup.\n", path);
		json_decref(m);
		return NULL;
	}
	return m;
}

int cli_backup_verify(struct cli *c)
{
	json_t *m = c->argc == 1 ? verified(c->argv[0]) : NULL;
	if (c->argc != 1)
		return CLI_USAGE;
	if (!m)
		return CLI_FAILED;
	if (c->json)
		printf("{\"sound\":true,\"files\":%zu}\n", json_object_size(json_object_get(m, "files")));
	else
		printf("%s is sound: %zu files of version %s.\n", c->argv[0], json_object_size(json_object_get(m, "files")), json_string_value(json_object_get(m, "version")));
	json_decref(m);
	return CLI_OK;
}

/* What is there now goes aside; nothing is lost. */
static int set_aside(const char *site, char aside[PATH_MAX])
{
	static const char *const names[] = {"strowger.db", "strowger.db-wal", "strowger.db-shm", "registrations.db", "registrations.db-wal",
					    "registrations.db-shm", "uploads", "good"};
	char from[PATH_MAX], to[PATH_MAX];
	snprintf(aside, PATH_MAX, "%.3900s/before-restore-%lld", site, (long long)time(NULL));
	if (file_mkdir(aside) != 0)
		return said("cannot make", aside, "");
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		snprintf(from, sizeof from, "%s/%s", site, names[i]);
		snprintf(to, sizeof to, "%.4000s/%s", aside, names[i]);
		if (rename(from, to) != 0 && errno != ENOENT)
			return said("cannot set aside", from, "");
	}
	return CLI_OK;
}

static int put_back(const char *dir, const char *site, const char *name)
{
	char from[PATH_MAX], to[PATH_MAX];
	snprintf(from, sizeof from, "%s/%s", dir, name);
	snprintf(to, sizeof to, "%s/%s", site, name);
	for (char *p = to + strlen(site) + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		if (file_mkdir(to) != 0)
			return said("cannot make", to, "");
		*p = '/';
	}
	for (size_t i = 0; i < sizeof databases / sizeof databases[0]; i++)
		if (strcmp(name, databases[i]) == 0)
			return copy_database(from, to, false);
	return copy_file(from, to);
}

/* Root restores, another user runs the daemon: what was made belongs to whom the site belongs to. */
static int give_to_owner(const char *site)
{
	char path[PATH_MAX];
	char *const roots[] = {path, NULL};
	struct stat owner;
	if (geteuid() != 0)
		return CLI_OK;
	snprintf(path, sizeof path, "%s", site);
	FTS *walk = stat(site, &owner) == 0 ? fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL) : NULL;
	int rc = walk ? 0 : -1;
	for (FTSENT *e; rc == 0 && (e = fts_read(walk));)
		if (e->fts_info != FTS_DP)
			rc = lchown(e->fts_accpath, owner.st_uid, owner.st_gid);
	if (walk)
		fts_close(walk);
	return rc == 0 ? CLI_OK : said("cannot give its files to the owner of", site, "Do it by hand: chown -R.");
}

static bool can_be_read_here(const char *dir, const json_t *manifest)
{
	char path[PATH_MAX];
	struct store_error err = {0};
	const char *version = json_string_value(json_object_get(manifest, "version"));
	snprintf(path, sizeof path, "%s/strowger.db", dir);
	if (store_refuse_newer(path, &err) == 0)
		return true;
	fprintf(stderr, "strowger: %s was made by a newer strowger (%s; this is %s): %s.\n  mend: install that version, or use an older backup; nothing was changed\n", dir,
		version ? version : "?", STROWGER_VERSION, err.text);
	return false;
}

int cli_restore(struct cli *c)
{
	char path[PATH_MAX], aside[PATH_MAX];
	const char *name;
	json_t *v;
	if (c->argc != 1)
		return CLI_USAGE;
	json_t *m = verified(c->argv[0]);
	if (!m || !can_be_read_here(c->argv[0], m)) {
		json_decref(m);
		return CLI_FAILED;
	}
	int rc = file_mkdir(c->site) == 0 ? CLI_OK : said("cannot make", c->site, "");
	snprintf(path, sizeof path, "%s/lock", c->site);
	int lock = rc == CLI_OK ? file_lock(path) : -1;
	if (rc == CLI_OK && lock < 0) {
		fprintf(stderr, "strowger: the daemon of %s is running. Stop it first; nothing was changed.\n", c->site);
		rc = CLI_FAILED;
	}
	snprintf(path, sizeof path, "%s/site.key", c->site);
	if (rc == CLI_OK && access(path, R_OK) != 0 && !json_object_get(json_object_get(m, "files"), "site.key")) {
		fprintf(stderr, "strowger: neither the backup nor %s has the site.key that opens its secrets. Put that file there first; nothing was changed.\n", c->site);
		rc = CLI_FAILED;
	}
	if (rc == CLI_OK)
		rc = set_aside(c->site, aside);
	json_object_foreach(json_object_get(m, "files"), name, v)
	{
		if (rc == CLI_OK)
			rc = put_back(c->argv[0], c->site, name);
	}
	if (rc == CLI_OK)
		audit(c->site, "restore", json_pack("{s:s,s:O,s:O,s:s}", "from", c->argv[0], "made", json_object_get(m, "made"), "version",
						    json_object_get(m, "version"), "aside", aside), store_restored);
	if (rc == CLI_OK)
		rc = give_to_owner(c->site);
	if (rc == CLI_OK)
		printf("%s is as it was in %s. What was there before is in %s.\n", c->site, c->argv[0], aside);
	if (lock >= 0)
		close(lock);
	json_decref(m);
	return rc;
}
