/* The doctor's look at the host: the site's folder, keys, certificates, disk, clock, limits, the site's name. */
#include "app/cli_doctor.h"

#include "io/cert.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

enum { FREE_FAIL_MB = 64, FREE_WARN_MB = 1024, SYNC_WARN_MS = 50, CERT_WARN_DAYS = 30, NOFILE_WANT = 16384 };

static void keys(struct doctor *d)
{
	static const struct { const char *name; bool must; } files[] = {
		{"site.key", true}, {"api.token", true}, {"strowger.db", true}, {"tls/ca.key", false}, {"tls/server.key", false}, {"tls.key", false}};
	char path[512];
	struct stat st;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		snprintf(path, sizeof path, "%.400s/%s", d->site, files[i].name);
		if (stat(path, &st) != 0 && (errno != ENOENT || files[i].must))
			doctor_say(d, FIND_FAIL, files[i].name, "name the site's folder with --site, and run this as the user of strowgerd", "%s", strerror(errno));
		else if (access(path, F_OK) == 0 && (st.st_mode & 077))
			doctor_say(d, FIND_FAIL, files[i].name, "chmod 600, and think about who may have read it", "mode %03o", (unsigned)(st.st_mode & 0777));
		else if (access(path, F_OK) == 0)
			doctor_say(d, FIND_OK, files[i].name, "", "mode %03o", (unsigned)(st.st_mode & 0777));
	}
}

static void certificates(struct doctor *d)
{
	static const char *const files[] = {"tls/server.crt", "tls/ca.crt", "tls.crt"};
	char path[512];
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		snprintf(path, sizeof path, "%.400s/%s", d->site, files[i]);
		if (access(path, F_OK) != 0)
			continue;
		int days = cert_days_left(path);
		if (days < -(1 << 19))
			doctor_say(d, FIND_FAIL, files[i], "put a PEM certificate there, or remove the file and start strowgerd again", "cannot be read");
		else
			doctor_say(d, days < 0 ? FIND_FAIL : days < CERT_WARN_DAYS ? FIND_WARN : FIND_OK, files[i],
				   "renew it; the site's own are made anew when strowgerd starts", "%d days left", days);
	}
}

static void disk(struct doctor *d)
{
	char path[512], block[4096] = {0};
	struct statvfs v;
	struct timespec a, b;
	snprintf(path, sizeof path, "%.400s/.doctor.%d", d->site, (int)getpid());
	if (statvfs(d->site, &v) == 0) {
		unsigned long long mb = (unsigned long long)v.f_bavail * v.f_frsize >> 20;
		doctor_say(d, mb < FREE_FAIL_MB ? FIND_FAIL : mb < FREE_WARN_MB ? FIND_WARN : FIND_OK, "disk space", "make room on this file system", "%llu MB free", mb);
	}
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	clock_gettime(CLOCK_MONOTONIC, &a);
	bool ok = fd >= 0 && write(fd, block, sizeof block) == (ssize_t)sizeof block && fsync(fd) == 0;
	int e = errno;
	clock_gettime(CLOCK_MONOTONIC, &b);
	if (fd >= 0) {
		close(fd);
		unlink(path);
	}
	long ms = (long)(b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
	if (!ok)
		doctor_say(d, FIND_FAIL, "disk writable", "check owner, mode, space, and that it is not mounted read-only", "%s", strerror(e));
	else
		doctor_say(d, ms > SYNC_WARN_MS ? FIND_WARN : FIND_OK, "disk sync", "call records wait for it: use a faster disk", "4 KB durable in %ld ms", ms);
}

static void host_clock(struct doctor *d)
{
	struct timex t = {.modes = 0};
	if (time(NULL) < 1735689600) /* 2025: before this program was written */
		doctor_say(d, FIND_FAIL, "clock", "set it: timedatectl set-ntp true; certificates do not hold with a wrong date", "the date is long past");
	else if (adjtimex(&t) == TIME_ERROR || (t.status & STA_UNSYNC))
		doctor_say(d, FIND_WARN, "clock", "timedatectl set-ntp true, or install chrony", "not synchronised by NTP, as far as the kernel knows");
	else
		doctor_say(d, FIND_OK, "clock", "", "synchronised");
}

/* Of this session: a unit's LimitNOFILE is the daemon's own, so less is a warning only. */
static void limits(struct doctor *d)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) == 0)
		doctor_say(d, r.rlim_max < NOFILE_WANT ? FIND_WARN : FIND_OK, "open files", "LimitNOFILE=16384 in the unit, or ulimit -Hn", "at most %llu in this session",
			   (unsigned long long)r.rlim_max);
}

static void identity(struct doctor *d)
{
	struct cli c = {.site = d->site};
	json_t *v = NULL;
	struct addr a;
	struct addrinfo *found = NULL;
	int rc = cli_request(&c, "GET", "settings", NULL, &v);
	const char *name = json_string_value(json_object_get(v, "identity"));
	if (rc != CLI_OK) {
		doctor_say(d, FIND_FAIL, "control socket", "start strowgerd on this site, or name its folder with --site", "no answer");
	} else if (name && *name && addr_parse(span_z(name), 0, &a) != 0) {
		rc = getaddrinfo(name, NULL, NULL, &found);
		if (rc != 0)
			doctor_say(d, FIND_FAIL, "DNS", "put the site's identity into the DNS that phones ask, or make it an address", "%.100s: %s", name, gai_strerror(rc));
		else
			doctor_say(d, FIND_OK, "DNS", "", "%.100s is found", name);
		if (found)
			freeaddrinfo(found);
	} else {
		doctor_say(d, FIND_OK, "control socket", "", "answers");
	}
	json_decref(v);
}

void doctor_site(struct doctor *d)
{
	identity(d);
	host_clock(d);
	disk(d);
	keys(d);
	certificates(d);
	limits(d);
}
