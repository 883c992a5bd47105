/* From root to a user of few rights. Nothing is kept but, where a port below 1024 is asked for, the right to bind such ports. */
#include "app/strowgerd.h"

#include "io/sandbox.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* Made for the user when it is not there; one that is there must be the user's, since changing owners below a path is not safe. */
static int give_site(const char *site, unsigned uid, unsigned gid)
{
	struct stat st;
	if (mkdir(site, 0700) == 0 && lchown(site, uid, gid) != 0) {
		complain("cannot give %s to the user: %s.", site, strerror(errno));
		return EXIT_FAILED;
	}
	if (stat(site, &st) == 0 && st.st_uid != uid) {
		complain("%s belongs to another user. Stop strowgerd and run `chown -R %u:%u %s`.", site, uid, gid, site);
		return EXIT_FAILED;
	}
	return 0;
}

int become_user(const struct daemon_opts *o)
{
	unsigned uid, gid;
	struct daemon_ports ports = ports_of(o);
	if (!o->user)
		return 0;
	if (sandbox_user(o->user, &uid, &gid) != 0) {
		complain("there is no user %s. Make one: `adduser --system --group %s`.", o->user, o->user);
		return EXIT_FAILED;
	}
	if (geteuid() == uid)
		return 0;
	if (geteuid() != 0) {
		complain("only root can become %s. Start strowgerd as root, or leave out --user.", o->user);
		return EXIT_FAILED;
	}
	int rc = give_site(o->site, uid, gid);
	if (rc != 0)
		return rc;
	if (sandbox_become(o->user, ports_any_low(&ports)) == 0)
		return 0;
	complain("cannot become %s: %s.", o->user, strerror(errno));
	return EXIT_FAILED;
}
