#include "db/select.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "db/list.h"
#include "db/query.h"
#include "db/store.h"

/* One that may match, and where it stands. */
struct candidate {
    const char *id;
    const char *text; /* the sort key, or NULL: */
    int64_t number;
    bool sure; /* it matches; else tags and attributes decide */
};

struct gathering {
    const struct db_select *select;
    struct db_list_order order;
    struct candidate start; /* behind this one the page begins; id NULL: at the first */
    struct arena *arena;    /* of the texts */
    struct candidate *items;
    size_t count, cap;
    const char *last_text; /* equal texts come in long runs: kept once */
    bool out_of_memory;
};

enum { BY_ID, BY_PRODUCT, BY_HARDWARE, BY_STATE, BY_VERSION, BY_SEQUENCE, BY_LAST_SEEN };

static const struct db_sort sorts[] = {
    [BY_ID] = {.name = "id"},
    [BY_PRODUCT] = {.name = "product", .tie = "id"},
    [BY_HARDWARE] = {.name = "hardware", .tie = "id"},
    [BY_STATE] = {.name = "state", .tie = "id"},
    [BY_VERSION] = {.name = "version", .tie = "id"},
    [BY_SEQUENCE] = {.name = "sequence", .tie = "id"},
    [BY_LAST_SEEN] = {.name = "last_seen", .tie = "id"},
};

static bool by_text(const struct db_sort *sort) {
    return sort != &sorts[BY_SEQUENCE] && sort != &sorts[BY_LAST_SEEN];
}

/* ---- does it match? ---- */

static bool read_attributes(struct db_conn *conn, const char *id, struct arena *arena, struct fleet_filter_subject *subject, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_DEVICE_ATTRIBUTES);
    struct db_texts rows;

    db_query_text(stmt, 1, id);
    return db_query_texts(stmt, arena, &rows, err) && (rows.count == 0 || db_attributes_show(rows.items[0], arena, subject, err));
}

static bool read_tags(struct db_conn *conn, const char *id, struct arena *arena, struct fleet_filter_subject *subject, struct err *err) {
    struct db_stmt *stmt = db_query_begin(conn, DB_QUERY_DEVICE_TAGS);
    struct db_texts tags;

    db_query_text(stmt, 1, id);
    if (!db_query_texts(stmt, arena, &tags, err))
        return false;
    subject->tags = tags.items;
    subject->tag_count = tags.count;
    return true;
}

struct fleet_filter_subject db_select_subject(const struct db_device_hot *hot) {
    return (struct fleet_filter_subject){
        .id = hot->id,
        .product = hot->product,
        .hardware = hot->hardware,
        .version = hot->installed_version,
        .sequence_known = hot->installed_known,
        .sequence = hot->installed_sequence,
        .state = hot->state,
        .last_seen = hot->last_seen,
    };
}

static struct fleet_filter_subject subject_of(const struct db_registry_glance *glance) {
    return (struct fleet_filter_subject){
        .id = glance->id,
        .product = glance->product,
        .hardware = glance->hardware,
        .version = glance->version,
        .sequence_known = glance->installed_known,
        .sequence = glance->installed_sequence,
        .state = glance->state,
        .last_seen = glance->last_seen,
    };
}

static enum fleet_filter_answer ask_all(const struct db_select *select, const struct fleet_filter_subject *subject, unsigned unread) {
    enum fleet_filter_answer answer = FLEET_FILTER_YES;

    for (size_t i = 0; i < DB_SELECT_FILTERS; i++) {
        enum fleet_filter_answer one = select->filters[i] ? fleet_filter_ask(select->filters[i], subject, unread) : FLEET_FILTER_YES;

        if (one == FLEET_FILTER_NO)
            return one;
        answer = one == FLEET_FILTER_MAYBE ? one : answer;
    }
    return answer;
}

static unsigned needs_of(const struct db_select *select) {
    unsigned needs = 0;

    for (size_t i = 0; i < DB_SELECT_FILTERS; i++)
        needs |= select->filters[i] ? fleet_filter_needs(select->filters[i]) : 0;
    return needs;
}

/* With everything that the filters look at. */
static bool decide(struct db_conn *conn, const struct db_select *select, const char *id, bool *ret_match, struct err *err) {
    CLEANUP(arena_clear) struct arena arena;
    struct fleet_filter_subject subject;
    struct db_device_hot hot;
    unsigned needs = needs_of(select);

    arena_init(&arena, 1 << 20);
    if (!db_registry_get(db_conn_db(conn), id, &hot))
        return err_set(err, ERR_NOT_FOUND, "device '%s' does not exist", id);
    subject = db_select_subject(&hot);
    if ((needs & FLEET_FILTER_TAGS) != 0 && !read_tags(conn, id, &arena, &subject, err))
        return false;
    if ((needs & FLEET_FILTER_ATTRIBUTES) != 0 && !read_attributes(conn, id, &arena, &subject, err))
        return false;
    *ret_match = ask_all(select, &subject, 0) == FLEET_FILTER_YES;
    return true;
}

/* ---- who may match ---- */

static int compare(const struct gathering *all, const struct candidate *a, const struct candidate *b) {
    int order = a->text ? strcmp(a->text, b->text) : (a->number > b->number) - (a->number < b->number);

    order = order != 0 ? order : strcmp(a->id, b->id);
    return all->order.descending ? -order : order;
}

static const char *text_of(const struct db_sort *sort, const struct db_registry_glance *glance) {
    switch (sort - sorts) {
    case BY_PRODUCT:
        return glance->product;
    case BY_HARDWARE:
        return glance->hardware;
    case BY_STATE:
        return fleet_device_state_name(glance->state);
    case BY_VERSION:
        return glance->version;
    default:
        return glance->id;
    }
}

static struct candidate key_of(const struct db_sort *sort, const struct db_registry_glance *glance) {
    struct candidate key = {.id = glance->id};

    if (by_text(sort))
        key.text = text_of(sort, glance);
    else if (sort == &sorts[BY_LAST_SEEN])
        key.number = glance->last_seen;
    else
        key.number = glance->installed_known ? glance->installed_sequence : -1;
    return key;
}

/* The text of the glance does not outlive the call; ids do. */
static bool keep_text(struct gathering *all, struct candidate *candidate) {
    if (!candidate->text || candidate->text == candidate->id)
        return true;
    if (!all->last_text || strcmp(all->last_text, candidate->text) != 0)
        all->last_text = arena_strdup(all->arena, candidate->text);
    candidate->text = all->last_text;
    return candidate->text != NULL;
}

static void gather(void *context, const struct db_registry_glance *glance) {
    struct gathering *all = context;
    const struct fleet_filter_subject subject = subject_of(glance);
    struct candidate candidate = key_of(all->order.sort, glance);
    enum fleet_filter_answer answer;

    if (all->out_of_memory || (all->start.id && compare(all, &candidate, &all->start) <= 0))
        return;
    answer = ask_all(all->select, &subject, FLEET_FILTER_TAGS | FLEET_FILTER_ATTRIBUTES);
    if (answer == FLEET_FILTER_NO)
        return;
    candidate.sure = answer == FLEET_FILTER_YES;
    if (all->count == all->cap) {
        size_t cap = all->cap ? all->cap * 2 : 1024;
        struct candidate *items = reallocarray(all->items, cap, sizeof *items);

        all->out_of_memory = !items;
        if (!items)
            return;
        all->items = items;
        all->cap = cap;
    }
    all->out_of_memory = !keep_text(all, &candidate);
    all->items[all->count++] = candidate;
}

static void free_gathering(struct gathering *all) {
    free(all->items);
}

/* ---- the page: a heap of the candidates, taken from until it is full ---- */

static void sift_down(struct gathering *all, size_t at) {
    for (;;) {
        size_t least = at, child = 2 * at + 1;

        if (child < all->count && compare(all, &all->items[child], &all->items[least]) < 0)
            least = child;
        if (child + 1 < all->count && compare(all, &all->items[child + 1], &all->items[least]) < 0)
            least = child + 1;
        if (least == at)
            return;
        struct candidate swap = all->items[at];
        all->items[at] = all->items[least];
        all->items[least] = swap;
        at = least;
    }
}

static struct candidate take_least(struct gathering *all) {
    struct candidate least = all->items[0];

    all->items[0] = all->items[--all->count];
    sift_down(all, 0);
    return least;
}

/* The next one that does match; id NULL: there is none. */
static bool next_match(struct db_conn *conn, struct gathering *all, struct candidate *ret_next, struct err *err) {
    while (all->count > 0) {
        struct candidate next = take_least(all);
        bool match = next.sure;

        if (!match && !decide(conn, all->select, next.id, &match, err))
            return false;
        if (match) {
            *ret_next = next;
            return true;
        }
    }
    *ret_next = (struct candidate){.id = NULL};
    return true;
}

static bool read_start(const struct db_list_order *order, struct candidate *ret_start, struct err *err) {
    struct candidate start = {.id = NULL};

    if (order->key) {
        start.id = order->sort->tie ? order->tie : order->key;
        if (by_text(order->sort))
            start.text = order->key;
        else if (!text_to_int(order->key, INT64_MIN, INT64_MAX, &start.number))
            return db_list_refuse_cursor(err);
    }
    *ret_start = start;
    return true;
}

static const char *position_of(const struct gathering *all, const struct candidate *last) {
    const char *key = last->text ? last->text : arena_printf(all->arena, "%lld", (long long)last->number);

    return key ? db_list_position(&all->order, key, last->id, all->arena) : NULL;
}

static bool fill(struct db_conn *conn, struct gathering *all, struct db_devices *page, struct err *err) {
    struct candidate last = {.id = NULL}, next;
    size_t limit = all->select->list.limit;

    for (size_t i = all->count / 2; i-- > 0;)
        sift_down(all, i);
    while (page->count <= limit) {
        if (!next_match(conn, all, &next, err))
            return false;
        if (!next.id)
            return true;
        if (page->count == limit) {
            page->next = position_of(all, &last);
            return page->next || err_no_memory(err);
        }
        if (!db_device_get(conn, next.id, all->arena, &page->items[page->count], err))
            return false;
        page->count++;
        last = next;
    }
    return true;
}

bool db_select_page(struct db_conn *conn, const struct db_select *select, struct arena *arena, struct db_devices *ret_page, struct err *err) {
    CLEANUP(free_gathering) struct gathering all = {.select = select, .arena = arena};
    struct db_devices page = {.items = arena_array(arena, select->list.limit, sizeof *page.items)};

    if (!page.items)
        return err_no_memory(err);
    if (!db_list_order(&select->list, sorts, ARRAY_LEN(sorts), arena, &all.order, err) || !read_start(&all.order, &all.start, err))
        return false;
    db_registry_each(db_conn_db(conn), gather, &all);
    if (all.out_of_memory)
        return err_no_memory(err);
    if (!fill(conn, &all, &page, err))
        return false;
    *ret_page = page;
    return true;
}
