/* What phones upload (logs, overrides, directories): SITE/uploads/<mac>/<name>, within quotas. */
#include "app/strowgerd.h"

#include "io/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
	NAME_MAX_BYTES = 96,
	FILES_PER_PHONE = 64
};
static const uint64_t bytes_per_phone = 8u << 20, bytes_per_site = UINT64_C(2) << 30;

/* Plain names only: nothing that a path could be built from, nothing hidden. */
static bool safe_name(struct span s)
{
	if (s.n == 0 || s.n > NAME_MAX_BYTES || s.p[0] == '.')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (!ascii_digit(c) && !(ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') && c != '.' && c != '-' && c != '_')
			return false;
	}
	return true;
}

static bool safe_mac(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (ascii_hex(s.p[i]) < 0)
			return false;
	return s.n == 12;
}

struct use {
	uint64_t bytes;
	unsigned files;
};

static struct use use_of(const char *dir)
{
	struct use u = {0};
	char p[PATH_MAX];
	struct stat st;
	struct dirent *e;
	DIR *d = opendir(dir);
	while (d && (e = readdir(d)) != NULL) {
		int n = snprintf(p, sizeof p, "%s/%s", dir, e->d_name);
		if (n > 0 && (size_t)n < sizeof p && lstat(p, &st) == 0 && S_ISREG(st.st_mode)) {
			u.bytes += (uint64_t)st.st_size;
			u.files++;
		}
	}
	if (d)
		closedir(d);
	return u;
}

void uploads_count(struct world *w)
{
	char top[PATH_MAX], p[PATH_MAX];
	struct dirent *e;
	int n = snprintf(top, sizeof top, "%s/uploads", w->dir->path);
	DIR *d = n > 0 && (size_t)n < sizeof top ? opendir(top) : NULL;
	w->upload_bytes = 0;
	while (d && (e = readdir(d)) != NULL) {
		n = snprintf(p, sizeof p, "%s/%s", top, e->d_name);
		if (e->d_name[0] != '.' && n > 0 && (size_t)n < sizeof p)
			w->upload_bytes += use_of(p).bytes;
	}
	if (d)
		closedir(d);
}

static int make_folders(const char *site, const char *mac, char *dir, size_t cap)
{
	int n = snprintf(dir, cap, "%s/uploads", site);
	if (n < 0 || (size_t)n >= cap || file_mkdir(dir) != 0)
		return -1;
	n = snprintf(dir, cap, "%s/uploads/%s", site, mac);
	return n < 0 || (size_t)n >= cap ? -1 : file_mkdir(dir);
}

static int keep(struct world *w, const char *mac, const char *name, struct span body)
{
	char dir[PATH_MAX], path[PATH_MAX];
	struct stat st;
	if (make_folders(w->dir->path, mac, dir, sizeof dir) != 0)
		return -1;
	int n = snprintf(path, sizeof path, "%s/%s", dir, name);
	if (n < 0 || (size_t)n >= sizeof path)
		return -1;
	bool there = lstat(path, &st) == 0;
	uint64_t old = there ? (uint64_t)st.st_size : 0;
	struct use u = use_of(dir);
	if (u.bytes - old + body.n > bytes_per_phone || (!there && u.files >= FILES_PER_PHONE) ||
	    w->upload_bytes - old + body.n > bytes_per_site)
		return -2;
	if (file_write(path, body, false) != 0) /* a log that a power cut takes is no loss worth a disk's wait */
		return -1;
	w->upload_bytes += body.n - old;
	return 0;
}

int uploads_keep(void *world, struct span mac12, struct span name, struct span body)
{
	struct world *w = world;
	char mac[16], file[NAME_MAX_BYTES + 1];
	if (!safe_mac(mac12) || !safe_name(name) || !span_copyz(mac12, mac, sizeof mac) || !span_copyz(name, file, sizeof file))
		return -1;
	for (char *c = mac; *c; c++)
		*c = ascii_lower(*c);
	pthread_mutex_lock(&w->upload_mu);
	int rc = keep(w, mac, file, body);
	int e = errno;
	pthread_mutex_unlock(&w->upload_mu);
	if (rc == -1)
		log_event(w->log, LOG_ERROR, "upload.failed", LOG_Z("mac", mac), LOG_Z("name", file), LOG_Z("why", strerror(e)));
	else if (rc == -2)
		log_event(w->log, LOG_WARN, "upload.over_quota", LOG_Z("mac", mac), LOG_Z("name", file), LOG_I("bytes", body.n));
	return rc;
}
