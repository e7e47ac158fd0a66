/*
 * Fortified functions: what -D_FORTIFY_SOURCE makes of memcpy, sprintf, read and their like.
 *
 * Debian builds its archives fortified, so that liblua5.4.a asks for __memcpy_chk and not for memcpy. musl has no such
 * names. Each is the plain function with one more argument, `room`: the size of the destination as the compiler knew
 * it, or (size_t)-1. The check is kept, not only the name: what would run over its destination ends the program with
 * glibc's message. The printf family has an additional `flag`, by which glibc also refuses %n in writable formats; musl
 * cannot tell, and the flag is ignored.
 *
 * Here are the names that Debian's C and C++ archives use; the wide-character ones that none uses are left out.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>
#include <wchar.h>

_Noreturn void __chk_fail(void)
{
    static const char message[] = "*** buffer overflow detected ***: terminated\n";
    if (write(STDERR_FILENO, message, sizeof message - 1) < 0)
        abort();
    abort();
}

/* A destination of `room` is about to receive `n`. */
static inline void need(size_t n, size_t room)
{
    if (n > room)
        __chk_fail();
}

/* --- memory and strings --- */

void *__memcpy_chk(void *to, const void *from, size_t n, size_t room)
{
    need(n, room);
    return memcpy(to, from, n);
}

void *__memmove_chk(void *to, const void *from, size_t n, size_t room)
{
    need(n, room);
    return memmove(to, from, n);
}

void *__mempcpy_chk(void *to, const void *from, size_t n, size_t room)
{
    need(n, room);
    return (char *)memcpy(to, from, n) + n;
}

void *__memset_chk(void *to, int byte, size_t n, size_t room)
{
    need(n, room);
    return memset(to, byte, n);
}

void __explicit_bzero_chk(void *to, size_t n, size_t room)
{
    need(n, room);
    explicit_bzero(to, n);
}

char *__strcpy_chk(char *to, const char *from, size_t room)
{
    size_t n = strlen(from) + 1;
    need(n, room);
    return memcpy(to, from, n);
}

char *__stpcpy_chk(char *to, const char *from, size_t room)
{
    size_t n = strlen(from);
    need(n + 1, room);
    return (char *)memcpy(to, from, n + 1) + n;
}

char *__strncpy_chk(char *to, const char *from, size_t n, size_t room)
{
    need(n, room);
    return strncpy(to, from, n);
}

char *__stpncpy_chk(char *to, const char *from, size_t n, size_t room)
{
    need(n, room);
    return stpncpy(to, from, n);
}

char *__strcat_chk(char *to, const char *from, size_t room)
{
    size_t used = strlen(to), n = strlen(from) + 1;
    need(used + n, room);
    memcpy(to + used, from, n);
    return to;
}

char *__strncat_chk(char *to, const char *from, size_t n, size_t room)
{
    size_t used = strlen(to), length = strnlen(from, n);
    need(used + length + 1, room);
    memcpy(to + used, from, length);
    to[used + length] = 0;
    return to;
}

wchar_t *__wmemcpy_chk(wchar_t *to, const wchar_t *from, size_t n, size_t room)
{
    need(n, room);
    return wmemcpy(to, from, n);
}

wchar_t *__wmemset_chk(wchar_t *to, wchar_t wide, size_t n, size_t room)
{
    need(n, room);
    return wmemset(to, wide, n);
}

size_t __mbstowcs_chk(wchar_t *to, const char *from, size_t n, size_t room)
{
    need(n, room);
    return mbstowcs(to, from, n);
}

/* --- formatted output --- */

int __vfprintf_chk(FILE *file, int flag, const char *format, va_list arguments)
{
    (void)flag;
    return vfprintf(file, format, arguments);
}

int __fprintf_chk(FILE *file, int flag, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = __vfprintf_chk(file, flag, format, arguments);
    va_end(arguments);
    return n;
}

int __vprintf_chk(int flag, const char *format, va_list arguments)
{
    return __vfprintf_chk(stdout, flag, format, arguments);
}

int __printf_chk(int flag, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = __vfprintf_chk(stdout, flag, format, arguments);
    va_end(arguments);
    return n;
}

int __vsnprintf_chk(char *to, size_t n, int flag, size_t room, const char *format, va_list arguments)
{
    (void)flag;
    need(n, room);
    return vsnprintf(to, n, format, arguments);
}

int __snprintf_chk(char *to, size_t n, int flag, size_t room, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = __vsnprintf_chk(to, n, flag, room, format, arguments);
    va_end(arguments);
    return length;
}

/* sprintf has no bound of its own: it is given the room, and must not have needed more. vsnprintf refuses bounds above
 * INT_MAX, which stand for "unknown". */
int __vsprintf_chk(char *to, int flag, size_t room, const char *format, va_list arguments)
{
    (void)flag;
    need(1, room);
    if (room > 0x7fffffff)
        return vsprintf(to, format, arguments);
    int length = vsnprintf(to, room, format, arguments);
    if (length >= 0)
        need((size_t)length + 1, room);
    return length;
}

int __sprintf_chk(char *to, int flag, size_t room, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = __vsprintf_chk(to, flag, room, format, arguments);
    va_end(arguments);
    return length;
}

int __vasprintf_chk(char **to, int flag, const char *format, va_list arguments)
{
    (void)flag;
    return vasprintf(to, format, arguments);
}

int __asprintf_chk(char **to, int flag, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = __vasprintf_chk(to, flag, format, arguments);
    va_end(arguments);
    return length;
}

int __vdprintf_chk(int file, int flag, const char *format, va_list arguments)
{
    (void)flag;
    return vdprintf(file, format, arguments);
}

int __dprintf_chk(int file, int flag, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = __vdprintf_chk(file, flag, format, arguments);
    va_end(arguments);
    return length;
}

void __vsyslog_chk(int priority, int flag, const char *format, va_list arguments)
{
    (void)flag;
    vsyslog(priority, format, arguments);
}

void __syslog_chk(int priority, int flag, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    __vsyslog_chk(priority, flag, format, arguments);
    va_end(arguments);
}

/* --- input and system calls --- */

char *__fgets_chk(char *to, size_t room, int n, FILE *file)
{
    need(n < 0 ? 0 : (size_t)n, room);
    return fgets(to, n, file);
}

size_t __fread_chk(void *to, size_t room, size_t size, size_t n, FILE *file)
{
    size_t bytes;
    if (__builtin_mul_overflow(size, n, &bytes))
        __chk_fail();
    need(bytes, room);
    return fread(to, size, n, file);
}

ssize_t __read_chk(int file, void *to, size_t n, size_t room)
{
    need(n, room);
    return read(file, to, n);
}

ssize_t __pread_chk(int file, void *to, size_t n, off_t offset, size_t room)
{
    need(n, room);
    return pread(file, to, n, offset);
}

ssize_t __pread64_chk(int file, void *to, size_t n, off_t offset, size_t room)
{
    return __pread_chk(file, to, n, offset, room);
}

ssize_t __recv_chk(int file, void *to, size_t n, size_t room, int flags)
{
    need(n, room);
    return recv(file, to, n, flags);
}

ssize_t __recvfrom_chk(int file, void *to, size_t n, size_t room, int flags, struct sockaddr *from, socklen_t *length)
{
    need(n, room);
    return recvfrom(file, to, n, flags, from, length);
}

ssize_t __readlink_chk(const char *path, char *to, size_t n, size_t room)
{
    need(n, room);
    return readlink(path, to, n);
}

/* realpath writes up to PATH_MAX bytes, whatever the path. */
char *__realpath_chk(const char *path, char *to, size_t room)
{
    need(to == NULL ? 0 : 4096, room);
    return realpath(path, to);
}

char *__getcwd_chk(char *to, size_t n, size_t room)
{
    need(n, room);
    return getcwd(to, n);
}

int __gethostname_chk(char *to, size_t n, size_t room)
{
    need(n, room);
    return gethostname(to, n);
}

int __poll_chk(struct pollfd *files, nfds_t n, int timeout, size_t room)
{
    need(n, room / sizeof *files);
    return poll(files, n, timeout);
}

/* The index of a descriptor in an fd_set's words. */
long __fdelt_chk(long file)
{
    if (file < 0 || file >= FD_SETSIZE)
        __chk_fail();
    return file / (8 * (long)sizeof(long));
}

/* glibc refuses to jump into a frame that has returned; musl's jmp_buf holds the stack pointer unencrypted, and there
 * are legitimate jumps between stacks (Lua's coroutines in C), so that nothing is checked. */
_Noreturn void __longjmp_chk(jmp_buf where, int value)
{
    longjmp(where, value);
}
