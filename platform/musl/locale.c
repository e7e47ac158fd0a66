/*
 * locale_t in glibc's layout, for libstdc++.
 *
 * libstdc++.a is compiled against glibc and reads three tables straight out of the object behind a locale_t: which
 * class a character belongs to, and its lower and upper case. musl's object ends after its first six pointers. With it,
 * formatted input and <regex> read beyond the object and fail in silence.
 *
 * So locale_t points here to an object that both understand:
 *
 *     category[0..5]    musl's locale maps (null: the C locale)     | musl reads these only
 *     category[6..12]   null                                        | glibc has 13 categories, libstdc++ reads none
 *     classes, lower, upper                                         | libstdc++ reads these
 *     name[0..12]                                                   | and these
 *
 * Whoever makes a locale_t must make this object, hence newlocale, duplocale and freelocale are all replaced: this file
 * must be linked before libc.a, in the same group. Categories come from musl's __get_locale, which interprets names and
 * the environment; character classes are ASCII's in every locale, as they are in musl. The wide forms of named locales'
 * punctuation (nl_langinfo_l with glibc's private items) are musl's empty answers.
 */
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CATEGORIES      13 /* glibc's */
#define MUSL_CATEGORIES 6
#define NAME_LENGTH     24 /* musl's LOCALE_NAME_MAX and the terminator */
#define ALL_BIT         (1 << LC_ALL)

struct locale {
    const void *category[CATEGORIES];
    const unsigned short *classes;
    const int *lower, *upper;
    const char *name[CATEGORIES];
    char text[MUSL_CATEGORIES][NAME_LENGTH]; /* what name points to where it is not "C" */
};

/* musl's own: hidden in libc.a, visible to a static link, unchanged since 1.1.16. */
const void *__get_locale(int category, const char *name);
void __lock(volatile int *lock), __unlock(volatile int *lock);
extern volatile int __locale_lock[1];
#define LOCALE_FAILED ((const void *)-1)

const unsigned short **__ctype_b_loc(void);
const int **__ctype_tolower_loc(void), **__ctype_toupper_loc(void);

/* The C locale is one object, so that making it never fails and costs nothing. */
static struct locale c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void initialize(struct locale *locale)
{
    memset(locale, 0, sizeof *locale);
    locale->classes = *__ctype_b_loc();
    locale->lower = *__ctype_tolower_loc();
    locale->upper = *__ctype_toupper_loc();
    for (int i = 0; i < CATEGORIES; i++)
        locale->name[i] = "C";
}

static void make_c_locale(void)
{
    initialize(&c_locale);
}

static struct locale *the_c_locale(void)
{
    pthread_once(&c_locale_once, make_c_locale);
    return &c_locale;
}

static void set_category(struct locale *locale, int i, const void *category, const char *name)
{
    locale->category[i] = category;
    locale->name[i] = "C";
    if (category != NULL) {
        strncpy(locale->text[i], *name ? name : "C.UTF-8", NAME_LENGTH - 1);
        locale->name[i] = locale->text[i];
    }
}

static void copy(struct locale *to, const struct locale *from)
{
    initialize(to);
    for (int i = 0; i < MUSL_CATEGORIES; i++)
        set_category(to, i, from->category[i], from->name[i]);
}

static int is_c(const char *name)
{
    return strcmp(name, "C") == 0 || strcmp(name, "POSIX") == 0;
}

/* All categories of `mask` from the locale `name`, the others from `base` or, without one, from the C locale. */
locale_t __newlocale(int mask, const char *name, locale_t base)
{
    if (mask & ALL_BIT) /* libstdc++ says 1 << LC_ALL where it means LC_ALL_MASK */
        mask = LC_ALL_MASK;
    if (base == NULL && is_c(name))
        return (locale_t)the_c_locale();

    struct locale made;
    copy(&made, base == NULL ? the_c_locale() : (struct locale *)base);
    for (int i = 0; i < MUSL_CATEGORIES; i++) {
        if (!(mask & 1 << i))
            continue;
        __lock(__locale_lock);
        const void *category = __get_locale(i, name);
        __unlock(__locale_lock);
        if (category == LOCALE_FAILED)
            return NULL;
        set_category(&made, i, category, name);
    }

    struct locale *locale = (struct locale *)base;
    if (locale == NULL || locale == the_c_locale())
        locale = malloc(sizeof *locale);
    if (locale != NULL)
        copy(locale, &made);
    return (locale_t)locale;
}

locale_t __duplocale(locale_t from)
{
    if (from == (locale_t)the_c_locale())
        return from;
    struct locale *locale = malloc(sizeof *locale);
    if (locale == NULL)
        return NULL;
    if (from != LC_GLOBAL_LOCALE) {
        copy(locale, (struct locale *)from);
        return (locale_t)locale;
    }
    initialize(locale);
    for (int i = 0; i < MUSL_CATEGORIES; i++) {
        const char *name = setlocale(i, NULL);
        __lock(__locale_lock);
        const void *category = __get_locale(i, name);
        __unlock(__locale_lock);
        set_category(locale, i, category == LOCALE_FAILED ? NULL : category, name);
    }
    return (locale_t)locale;
}

void __freelocale(locale_t locale)
{
    if (locale != (locale_t)&c_locale)
        free(locale);
}

locale_t newlocale(int mask, const char *name, locale_t base) __attribute__((alias("__newlocale")));
locale_t duplocale(locale_t from) __attribute__((alias("__duplocale")));
void freelocale(locale_t locale) __attribute__((alias("__freelocale")));
