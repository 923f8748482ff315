/* explore_store.c: points and scores in SQLite.
 *
 * A point is claimed in a transaction of its own, with the claimer's name and a lease that it renews while
 * it works. Each score is committed when it is there, so a killed process costs its unfinished point only.
 * A claim is void as soon as its process is no more, where that can be seen (on this machine), else when
 * its lease is over. */
#include "driver/explore.h"
#include "util/mem.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LEASE = 900, BUSY_MS = 60000 };         /* seconds; a calibration, which cannot renew, must fit */

static const char *const state_name[] = {"open", "claimed", "done", "refused", "failed"};

struct Store { sqlite3 *db; char *path, *owner; };

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS point ("
	" study TEXT NOT NULL, settings TEXT NOT NULL, grp TEXT NOT NULL, state TEXT NOT NULL,"
	" owner TEXT, lease REAL,"
	" bytes INTEGER, bits_per_parameter REAL, metric REAL, ram INTEGER, macs INTEGER, samples INTEGER,"
	" seconds REAL, reason TEXT, version TEXT,"
	" PRIMARY KEY (study, settings))";

static bool fault(Store *s, Diag *d)
{
	diag_error(d, "--store %s: %s", s->path, s->db ? sqlite3_errmsg(s->db) : "cannot be opened");
	return false;
}

/* Since when process `pid` runs, in ticks since the boot; 0: there is none.  Another process may get the same
 * number, but not the same start. */
static unsigned long long started(long pid)
{
	char path[40], line[1000], *p;
	unsigned long long start = 0;
	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	FILE *f = fopen(path, "r");
	if (f && fgets(line, sizeof line, f) && (p = strrchr(line, ')')))
		sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &start);
	if (f)
		fclose(f);
	return start;
}

static char *owner_name(long pid)
{
	char host[200] = "";
	gethostname(host, sizeof host - 1);
	return text_new("%s %ld %llu", host, pid, started(pid));
}

/* May another process take what this one claimed? */
static bool is_void(const char *owner, double lease, double time)
{
	char host[200] = "";
	long pid = 0;
	const char *blank = strchr(owner, ' ');
	gethostname(host, sizeof host - 1);
	if (!blank || strncmp(owner, host, (size_t)(blank - owner)) || host[blank - owner] || sscanf(blank, "%ld",
	                                                                                             &pid) != 1)
		return lease < time;
	char *now = owner_name(pid);
	bool gone = strcmp(now, owner) != 0;
	free(now);
	return gone;
}

Store *store_open(const char *path, Diag *d)
{
	Store *s = mem_new(sizeof *s);
	s->path = text_copy(path);
	s->owner = owner_name((long)getpid());
	bool good = sqlite3_open(path, &s->db) == SQLITE_OK;
	if (s->db)
		sqlite3_busy_timeout(s->db, BUSY_MS);
	if (good && sqlite3_exec(s->db, schema, 0, 0, 0) == SQLITE_OK)
		return s;
	fault(s, d);
	store_close(s);
	return 0;
}

void store_close(Store *s)
{
	if (!s)
		return;
	sqlite3_close(s->db);
	free(s->path), free(s->owner), free(s);
}

/* A statement with the study as ?1 and, for i >= 0, the point's settings as ?2. */
static sqlite3_stmt *prepare(Store *s, const Explore *e, int i, const char *sql, Diag *d)
{
	sqlite3_stmt *q = 0;
	if (sqlite3_prepare_v2(s->db, sql, -1, &q, 0) != SQLITE_OK) {
		fault(s, d);
		return 0;
	}
	sqlite3_bind_text(q, 1, e->study, -1, SQLITE_STATIC);
	if (i >= 0)
		sqlite3_bind_text(q, 2, e->point[i].settings, -1, SQLITE_STATIC);
	return q;
}

static bool done(Store *s, sqlite3_stmt *q, Diag *d)
{
	bool good = q && sqlite3_step(q) == SQLITE_DONE;
	if (q && !good)
		fault(s, d);
	sqlite3_finalize(q);
	return good;
}

static bool begin(Store *s, Diag *d)
{
	return sqlite3_exec(s->db, "BEGIN IMMEDIATE", 0, 0, 0) == SQLITE_OK || fault(s, d);
}

static bool commit(Store *s, bool good, Diag *d)
{
	if (good && sqlite3_exec(s->db, "COMMIT", 0, 0, 0) == SQLITE_OK)
		return true;
	if (good)
		fault(s, d);
	sqlite3_exec(s->db, "ROLLBACK", 0, 0, 0);
	return false;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool store_add(Store *s, const Explore *e, Diag *d)
{
	bool good = begin(s, d);
	if (!good)
		return false;
	for (int i = 0; i < e->npoint && good; i++) {
		sqlite3_stmt *q = prepare(s, e, i, "INSERT INTO point (study, settings, grp, state) "
		                          "VALUES (?1, ?2, ?3, 'open') ON CONFLICT DO UPDATE SET state = "
		                          "CASE WHEN state IN ('refused', 'failed') THEN 'open' ELSE state END", d);
		if (q)
			sqlite3_bind_text(q, 3, e->point[i].group, -1, SQLITE_STATIC);
		good = done(s, q, d);
	}
	return commit(s, good, d);
}

static bool is_free(Store *s, const Explore *e, int i, Diag *d)
{
	sqlite3_stmt *q = prepare(s, e, i, "SELECT state, owner, lease FROM point "
	                          "WHERE study = ?1 AND settings = ?2", d);
	bool is = false;
	if (q && sqlite3_step(q) == SQLITE_ROW) {
		const char *state = (const char *)sqlite3_column_text(q, 0), *owner = (const char *)sqlite3_column_text(q,
		                                                                                                        1);
		is = !strcmp(state, "open") ||
		     (!strcmp(state, "claimed") && (!owner || is_void(owner, sqlite3_column_double(q, 2), now())));
	}
	sqlite3_finalize(q);
	return is;
}

static bool claim(Store *s, const Explore *e, int i, Diag *d)
{
	sqlite3_stmt *q = prepare(s, e, i, "UPDATE point SET state = 'claimed', owner = ?3, lease = ?4 "
	                          "WHERE study = ?1 AND settings = ?2", d);
	if (q) {
		sqlite3_bind_text(q, 3, s->owner, -1, SQLITE_STATIC);
		sqlite3_bind_double(q, 4, now() + LEASE);
	}
	return done(s, q, d);
}

bool store_claim(Store *s, const Explore *e, int i, Diag *d)
{
	if (!begin(s, d))
		return false;
	bool mine = is_free(s, e, i, d) && claim(s, e, i, d);
	return commit(s, true, d) && mine;
}

bool store_renew(Store *s, const Explore *e, int i, Diag *d)
{
	return claim(s, e, i, d);
}

bool store_finish(Store *s, const Explore *e, int i, const Score *x, Diag *d)
{
	sqlite3_stmt *q = prepare(s, e, i, "UPDATE point SET state = ?3, bytes = ?4, "
	                          "bits_per_parameter = ?5, metric = ?6, ram = ?7, macs = ?8, samples = ?9, seconds = ?10, reason = ?11, version = ?12, "
	                          "owner = NULL, lease = NULL WHERE study = ?1 AND settings = ?2", d);
	if (q) {
		sqlite3_bind_text(q, 3, state_name[x->state], -1, SQLITE_STATIC);
		if (x->state == POINT_DONE) {
			sqlite3_bind_int64(q, 4, x->bytes);
			sqlite3_bind_double(q, 5, x->bits);
			sqlite3_bind_double(q, 6, x->metric);
			sqlite3_bind_int64(q, 7, x->ram);
			sqlite3_bind_int64(q, 8, x->macs);
			sqlite3_bind_int64(q, 9, x->samples);
		}
		sqlite3_bind_double(q, 10, x->seconds);
		if (*x->reason)
			sqlite3_bind_text(q, 11, x->reason, -1, SQLITE_STATIC);
		sqlite3_bind_text(q, 12, GATEFOLD_VERSION, -1, SQLITE_STATIC);
	}
	return done(s, q, d);
}

static void read_score(sqlite3_stmt *q, Score *x)
{
	const char *state = (const char *)sqlite3_column_text(q, 0), *reason = (const char *)sqlite3_column_text(q,
	                                                                                                         8);
	*x = (Score){0};
	for (int k = 0; k < (int)(sizeof state_name / sizeof *state_name); k++)
		if (!strcmp(state, state_name[k]))
			x->state = (PointState)k;
	x->bytes = sqlite3_column_int64(q, 1);
	x->bits = sqlite3_column_double(q, 2);
	x->metric = sqlite3_column_double(q, 3);
	x->ram = sqlite3_column_int64(q, 4);
	x->macs = sqlite3_column_int64(q, 5);
	x->samples = sqlite3_column_int64(q, 6);
	x->seconds = sqlite3_column_double(q, 7);
	snprintf(x->reason, sizeof x->reason, "%s", reason ? reason : "");
}

bool store_read(Store *s, Explore *e, Diag *d)
{
	bool good = true;
	for (int i = 0; i < e->npoint && good; i++) {
		sqlite3_stmt *q = prepare(s, e, i, "SELECT state, bytes, bits_per_parameter, metric, "
		                          "ram, macs, samples, seconds, reason FROM point WHERE study = ?1 AND settings = ?2", d);
		good = q && sqlite3_step(q) == SQLITE_ROW;
		if (good)
			read_score(q, &e->point[i].score);
		else if (q)
			fault(s, d);
		sqlite3_finalize(q);
	}
	return good;
}
