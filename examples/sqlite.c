/*
 * SQLite on a database in memory.
 *
 *     sqlite [ROWS]
 *
 * Inserts ROWS rows (60,000), builds indices and a full-text table, queries, updates, deletes half, inserts again,
 * closes. Every answer goes into a sum, which depends on ROWS alone; SQLite's own check of the database must find
 * nothing.
 *
 * Needs libsqlite3.a. Live bytes are SQLite's own count (sqlite3_memory_highwater).
 */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdint.h>
#include <string.h>

#include "phases.h"

static sqlite3 *db;
static uint64_t sum;

static _Noreturn void fail(const char *what)
{
    printf("%s: %s\n", what, db == NULL ? "no database" : sqlite3_errmsg(db));
    exit(1);
}

static void add(const char *text)
{
    for (; text != NULL && *text; text++)
        sum = (sum ^ (unsigned char)*text) * 1099511628211u;
}

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail(sql);
    return statement;
}

/* Runs a statement to its end; all columns of all rows go into the sum. Returns the number of rows. */
static int64_t drain(sqlite3_stmt *statement)
{
    int64_t rows = 0;
    int step;
    for (; (step = sqlite3_step(statement)) == SQLITE_ROW; rows++)
        for (int i = 0; i < sqlite3_column_count(statement); i++)
            add((const char *)sqlite3_column_text(statement, i));
    if (step != SQLITE_DONE)
        fail(sqlite3_sql(statement));
    sqlite3_reset(statement);
    return rows;
}

static int64_t query(const char *sql)
{
    sqlite3_stmt *statement = prepare(sql);
    int64_t rows = drain(statement);
    sqlite3_finalize(statement);
    return rows;
}

static uint64_t hash(uint64_t n)
{
    n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9;
    n = (n ^ n >> 27) * 0x94d049bb133111eb;
    return n ^ n >> 31;
}

/* A few dozen words, from 50 to 600 bytes. */
static int make_body(char *to, size_t room, uint64_t number)
{
    static const char *const syllables[] = {"ba", "ko", "li", "mur", "ne", "sto", "tri", "wei", "zan", "phe"};
    int length = 0, wanted = 50 + (int)(hash(number) % 550);
    for (uint64_t i = 0; length < wanted && length < (int)room - 24; i++) {
        uint64_t h = hash(number * 1000 + i) % 1500;
        length += snprintf(to + length, room - (size_t)length, "%s%s%s ", syllables[h % 10], syllables[h / 10 % 10],
                           h > 500 ? syllables[h / 100 % 10] : "");
    }
    return length;
}

static void insert(int64_t first, int64_t count)
{
    sqlite3_stmt *statement = prepare("INSERT INTO item(id, owner, price, name, body) VALUES (?1, ?2, ?3, ?4, ?5)");
    char name[64], body[1024];
    query("BEGIN");
    for (int64_t id = first; id < first + count; id++) {
        uint64_t h = hash((uint64_t)id);
        int name_length = snprintf(name, sizeof name, "item %08x", (unsigned)(h >> 32));
        int body_length = make_body(body, sizeof body, (uint64_t)id);
        sqlite3_bind_int64(statement, 1, id);
        sqlite3_bind_int64(statement, 2, (sqlite3_int64)(h % 997));
        sqlite3_bind_double(statement, 3, (double)(h % 100000) / 4);
        sqlite3_bind_text(statement, 4, name, name_length, SQLITE_STATIC);
        sqlite3_bind_text(statement, 5, body, body_length, SQLITE_STATIC);
        drain(statement);
    }
    query("COMMIT");
    sqlite3_finalize(statement);
}

/* Reads that go over the indices, and one that must sort on its own. */
static void ask(int64_t rows)
{
    sqlite3_stmt *by_owner = prepare("SELECT count(*), sum(price), max(name) FROM item WHERE owner = ?1");
    for (int owner = 0; owner < 997; owner++) {
        sqlite3_bind_int(by_owner, 1, owner);
        drain(by_owner);
    }
    sqlite3_finalize(by_owner);

    sqlite3_stmt *by_id = prepare("SELECT name, length(body) FROM item WHERE id = ?1");
    for (int64_t i = 0; i < rows / 2; i++) {
        sqlite3_bind_int64(by_id, 1, (sqlite3_int64)(hash((uint64_t)i) % (uint64_t)rows));
        drain(by_id);
    }
    sqlite3_finalize(by_id);

    query("SELECT owner, count(*) AS n, avg(price) FROM item GROUP BY owner ORDER BY n DESC, owner LIMIT 50");
    query("SELECT substr(body, 1, 12) AS head, count(*) FROM item GROUP BY head ORDER BY 2 DESC, 1 LIMIT 50");
    query("SELECT id FROM item WHERE body LIKE '%weizan murba%' ORDER BY price, id");
    query("SELECT length(group_concat(name, ', ')) FROM item WHERE price < 5000");
}

static void report(const char *what)
{
    sqlite3_stmt *count = prepare("SELECT count(*) FROM item");
    sqlite3_step(count);
    printf("%-9s %7" PRId64 " rows, sum %016" PRIx64 "\n", what, (int64_t)sqlite3_column_int64(count, 0), sum);
    sqlite3_finalize(count);
}

int main(int argc, char **argv)
{
    int64_t rows = argc > 1 ? atoll(argv[1]) : 60000;
    if (rows < 100 || rows > 10000000) {
        fprintf(stderr, "usage: sqlite [ROWS]   100 to 10000000\n");
        return 2;
    }

    phases_before();
    if (sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 1) != SQLITE_OK || sqlite3_open(":memory:", &db) != SQLITE_OK)
        fail("open");
    query("PRAGMA temp_store = MEMORY"); /* there may be no file system to sort in */
    query("CREATE TABLE item(id INTEGER PRIMARY KEY, owner INTEGER, price REAL, name TEXT, body TEXT)");
    insert(0, rows);
    report("inserted");
    query("CREATE INDEX item_owner ON item(owner, price)");
    query("CREATE INDEX item_name ON item(name)");
    query("CREATE VIRTUAL TABLE search USING fts5(body)");
    query("INSERT INTO search(rowid, body) SELECT id, body FROM item WHERE id % 4 = 0");
    ask(rows);
    query("SELECT count(*) FROM search WHERE search MATCH 'weizan OR triba'");
    report("queried");

    query("UPDATE item SET price = price * 1.25, name = name || ' (new)' WHERE owner % 3 = 0");
    query("DROP TABLE search");
    query("BEGIN"); /* until it commits, a transaction keeps the old pages beside the new */
    query("DELETE FROM item WHERE id % 2 = 1");
    phases_peak((size_t)sqlite3_memory_used());
    query("COMMIT");
    ask(rows);
    report("deleted");
    insert(rows, rows / 4);
    query("SELECT sum(id), sum(length(body)), sum(price) FROM item");
    report("refilled");
    query("PRAGMA integrity_check");
    query("DELETE FROM item");
    query("PRAGMA shrink_memory");
    report("cleared");

    size_t most_live = (size_t)sqlite3_memory_highwater(0);
    if (sqlite3_close(db) != SQLITE_OK)
        fail("close");
    db = NULL;
    sqlite3_shutdown();
    if (sqlite3_memory_used() != 0) {
        printf("%lld bytes were not freed\n", (long long)sqlite3_memory_used());
        return 1;
    }
    phases_freed(most_live);
    return 0;
}
