#include "app/strowgerd.h"

#include "io/file.h"
#include "io/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int failed(const char *doing, const char *path, int e)
{
	switch (e) {
	case EACCES:
	case EPERM:
		complain("cannot %s %s: no permission. Make it belong to the user who runs strowgerd, or choose another --site.", doing, path);
		break;
	case EROFS:
		complain("cannot %s %s: the file system is read-only. Mount it writable, or choose another --site.", doing, path);
		break;
	case ENOSPC:
	case EDQUOT:
		complain("cannot %s %s: the disk is full. Make room, then start again; nothing was changed.", doing, path);
		break;
	case ENOTDIR:
		complain("cannot %s %s: a part of that path is a file, not a folder. Choose another --site.", doing, path);
		break;
	case ENOENT:
		complain("cannot %s %s: its parent folder is not there. Make it first.", doing, path);
		break;
	default:
		complain("cannot %s %s: %s.", doing, path, strerror(e));
	}
	return EXIT_FAILED;
}

static int take_lock(struct site_dir *d, const char *path)
{
	d->lock_fd = file_lock(path);
	if (d->lock_fd >= 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return failed("lock", path, errno);
	complain("another strowgerd is running on the site %s. Stop it first, or choose another --site.", d->path);
	return EXIT_RUNNING;
}

/* The key of all secrets of the site: wider permissions than 0600 mean that others may have it already. */
static int read_key(struct site_dir *d, const char *path, bool fresh_site)
{
	struct stat st;
	char *mem = NULL;
	size_t n = 0;
	if (stat(path, &st) != 0) {
		if (errno != ENOENT)
			return failed("read", path, errno);
		if (!fresh_site) {
			complain("%s is missing, but the site has a database: without its key no secret in it can be opened. "
				 "Put the site.key of this site back.", path);
			return EXIT_FAILED;
		}
		random_bytes(d->key.k, sizeof d->key.k);
		if (file_write(path, span_mem(d->key.k, sizeof d->key.k), true) != 0)
			return failed("write", path, errno);
		return 0;
	}
	if (st.st_mode & 077) {
		complain("%s may be read by others (mode %03o). It protects every secret of the site: run `chmod 600 %s`, and think "
			 "about who may have read it.", path, (unsigned)(st.st_mode & 0777), path);
		return EXIT_FAILED;
	}
	if (file_read(path, 4096, &mem, &n) != 0)
		return failed("read", path, errno);
	if (n == sizeof d->key.k)
		memcpy(d->key.k, mem, n);
	explicit_bzero(mem, n);
	free(mem);
	if (n == sizeof d->key.k)
		return 0;
	complain("%s is damaged: it has %zu bytes instead of %zu. Put the site.key of this site back from a backup.", path, n, sizeof d->key.k);
	return EXIT_FAILED;
}

static int read_token(struct site_dir *d)
{
	char *mem = NULL;
	size_t n = 0;
	if (file_read(d->token_path, 4096, &mem, &n) == 0) {
		bool ok = span_copyz(span_trim(span_mem(mem, n)), d->token, sizeof d->token) && strlen(d->token) >= 32;
		free(mem);
		if (ok)
			return chmod(d->token_path, 0600) == 0 ? 0 : failed("protect", d->token_path, errno);
		complain("%s is damaged. Remove it: a new token is made at the next start.", d->token_path);
		return EXIT_FAILED;
	}
	if (errno != ENOENT)
		return failed("read", d->token_path, errno);
	unsigned char raw[24];
	char line[sizeof d->token + 1];
	struct text t = TEXT_ARRAY(d->token);
	random_bytes(raw, sizeof raw);
	text_hex(&t, raw, sizeof raw);
	text_end(&t);
	int len = snprintf(line, sizeof line, "%s\n", d->token);
	return file_write(d->token_path, span_mem(line, (size_t)len), true) == 0 ? 0 : failed("write", d->token_path, errno);
}

int site_dir_open(struct site_dir *d, const char *path)
{
	char p[PATH_MAX], db[PATH_MAX];
	struct stat st;
	memset(d, 0, sizeof *d);
	d->lock_fd = -1;
	if (!span_copyz(span_z(path), d->path, sizeof d->path) || !d->path[0]) {
		complain("--site wants the name of a folder.");
		return EXIT_USAGE;
	}
	snprintf(d->token_path, sizeof d->token_path, "%s/api.token", d->path);
	snprintf(d->control_path, sizeof d->control_path, "%s/control.sock", d->path);
	snprintf(db, sizeof db, "%s/strowger.db", d->path);
	if (file_mkdir(d->path) != 0)
		return failed("make the site's folder", d->path, errno);
	snprintf(p, sizeof p, "%s/lock", d->path);
	int rc = take_lock(d, p);
	if (rc != 0)
		return rc;
	snprintf(p, sizeof p, "%s/site.key", d->path);
	rc = read_key(d, p, stat(db, &st) != 0);
	return rc ? rc : read_token(d);
}

void site_dir_close(struct site_dir *d)
{
	if (d->lock_fd >= 0)
		close(d->lock_fd);
	d->lock_fd = -1;
	explicit_bzero(&d->key, sizeof d->key);
	explicit_bzero(d->token, sizeof d->token);
}
