/* Many watchers and one change after another: watchers HOST PORT WATCHERS BODY_FILE CHANGES PAUSE_MS
 *
 * Opens so many `GET /v1/watch?kinds=port`, waits until each has had its first heartbeat, then posts
 * the body to /v2.0/ports again and again. For each change it prints one line: microseconds from
 * sending the request until its reply, and until the last watcher had the change's line.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_MS 20000
#define CHUNK 65536

struct watcher {
    int fd;
    int told;       /* lines of type `put` so far */
    int heartbeats;
    char tail[16];  /* of the last read: what we look for may lie across two */
    size_t tail_length;
};

static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static double now_us(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1e6 + at.tv_nsec / 1e3;
}

static int dial(const char *host, int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, host, &to.sin_addr);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to)) die("cannot connect to %s:%d", host, port);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void send_all(int fd, const char *data, size_t length) {
    while (length) {
        ssize_t sent = write(fd, data, length);
        if (sent <= 0) die("the server closed a connection");
        data += sent;
        length -= sent;
    }
}

static int count(const char *data, size_t length, size_t old, const char *what) {
    /* Occurrences that end in what is new: the first `old` bytes were looked at before. */
    int found = 0;
    size_t size = strlen(what);
    const char *at = data, *end = data + length;
    while ((at = memmem(at, end - at, what, size))) {
        at += size;
        found += (size_t)(at - data) > old;
    }
    return found;
}

static void take(struct watcher *watcher) {
    static char data[sizeof watcher->tail + CHUNK];
    size_t old = watcher->tail_length, keep;
    memcpy(data, watcher->tail, old);
    ssize_t got = read(watcher->fd, data + old, CHUNK);
    if (got <= 0) die("the server ended a watch");
    size_t length = old + got;
    watcher->told += count(data, length, old, "\"type\":\"put\"");
    watcher->heartbeats += count(data, length, old, "\"heartbeat\"");
    keep = length < sizeof watcher->tail ? length : sizeof watcher->tail;
    memcpy(watcher->tail, data + length - keep, keep);
    watcher->tail_length = keep;
}

static int is_whole(const char *reply, size_t length) {
    const char *end = strstr(reply, "\r\n\r\n"), *size = strcasestr(reply, "content-length:");
    return end && size && size < end && length >= (end + 4 - reply) + strtoul(size + 15, NULL, 10);
}

int main(int argc, char **argv) {
    if (argc != 7) die("usage: watchers HOST PORT WATCHERS BODY_FILE CHANGES PAUSE_MS");
    int port = atoi(argv[2]), total = atoi(argv[3]), changes = atoi(argv[5]), pause_ms = atoi(argv[6]);
    static char body[65536], request[70000], reply[65536];
    FILE *file = fopen(argv[4], "rb");
    size_t body_length = file ? fread(body, 1, sizeof body, file) : 0;
    int request_length = snprintf(request, sizeof request,
        "POST /v2.0/ports HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        "Content-Length: %zu\r\n\r\n%.*s", body_length, (int)body_length, body);
    static const char watch[] = "GET /v1/watch?kinds=port HTTP/1.1\r\nHost: bench\r\n\r\n";

    struct watcher *watchers = calloc(total, sizeof *watchers);
    int queue = epoll_create1(0), ready = 0;
    for (int i = 0; i < total; i++) {
        watchers[i].fd = dial(argv[1], port);
        send_all(watchers[i].fd, watch, sizeof watch - 1);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &watchers[i]};
        epoll_ctl(queue, EPOLL_CTL_ADD, watchers[i].fd, &event);
    }
    struct epoll_event events[512];
    while (ready < total) {
        int got = epoll_wait(queue, events, 512, TIMEOUT_MS);
        if (got <= 0) die("only %d of %d watches began", ready, total);
        for (int i = 0; i < got; i++) {
            struct watcher *watcher = events[i].data.ptr;
            int before = watcher->heartbeats;
            take(watcher);
            ready += !before && watcher->heartbeats;
        }
    }
    for (int i = 0; i < total; i++) watchers[i].told = 0;

    int caller = dial(argv[1], port);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(queue, EPOLL_CTL_ADD, caller, &event);
    for (int change = 1; change <= changes; change++) {
        double sent_at = now_us(), replied_at = 0, last_at = 0;
        int told = 0;
        size_t replied = 0;
        send_all(caller, request, request_length);
        while (told < total || !replied_at) {
            int got = epoll_wait(queue, events, 512, TIMEOUT_MS);
            if (got <= 0) die("change %d: only %d of %d were told", change, told, total);
            for (int i = 0; i < got; i++) {
                struct watcher *watcher = events[i].data.ptr;
                if (!watcher) {
                    ssize_t length = read(caller, reply + replied, sizeof reply - 1 - replied);
                    if (length <= 0) die("the server closed the caller's connection");
                    replied += length;
                    reply[replied] = 0;
                    if (!is_whole(reply, replied)) continue;
                    if (memcmp(reply + 9, "201", 3)) die("refused: %s", reply);
                    replied_at = now_us();
                    continue;
                }
                int before = watcher->told;
                take(watcher);
                if (before < change && watcher->told >= change) told++;
            }
            last_at = now_us();
        }
        printf("%.0f %.0f\n", replied_at - sent_at, last_at - sent_at);
        fflush(stdout);
        usleep(pause_ms * 1000);
    }
    return 0;
}
