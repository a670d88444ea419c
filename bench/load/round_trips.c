/* TCP request and response on two paths by turns:
 * round_trips SECONDS NETNS_A NETNS_B ADDRESS_B NETNS_C NETNS_D ADDRESS_D
 *
 * One process and one thread hold all sockets (a socket stays in the namespace that it was made
 * in), so that no scheduling of a peer is in the figure. Each turn is a round trip on both, the one
 * and the other first by turns, so that what others do on the machine bends both alike, and what
 * the one leaves warm or unfinished for the next. Prints: round trips on each,
 * the medians of both, and the median of what the second took more in a turn, in microseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PORT 5001
#define TIMEOUT_S 5
#define SAMPLES_MAX 1000000

static void die(const char *what) {
    fprintf(stderr, "round_trips: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int socket_in(const char *netns) {
    int at = open(netns, O_RDONLY), one = 1;
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    if (at < 0 || setns(at, CLONE_NEWNET)) die(netns);
    close(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) die("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    return fd;
}

struct path {
    int near, far;
};

static struct path open_path(char **where) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    if (inet_pton(AF_INET, where[2], &to.sin_addr) != 1) die(where[2]);
    int listener = socket_in(where[1]), one = 1;
    if (bind(listener, (struct sockaddr *)&to, sizeof to) || listen(listener, 1)) die("listen");
    struct path path = {.near = socket_in(where[0])};
    if (connect(path.near, (struct sockaddr *)&to, sizeof to)) die("connect");
    path.far = accept(listener, NULL, NULL);
    if (path.far < 0) die("accept");
    setsockopt(path.far, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return path;
}

static void pass(int from, int to) {
    char octet = 1;
    if (write(from, &octet, 1) != 1) die("write");
    if (read(to, &octet, 1) != 1) die("read");
}

static double now_us(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1e6 + at.tv_nsec / 1e3;
}

static float round_trip(struct path path) {
    double began = now_us();
    pass(path.near, path.far);
    pass(path.far, path.near);
    return now_us() - began;
}

static int ascending(const void *one, const void *other) {
    float a = *(const float *)one, b = *(const float *)other;
    return (a > b) - (a < b);
}

static float median(float *values, size_t count) {
    qsort(values, count, sizeof *values, ascending);
    return values[count / 2];
}

int main(int argc, char **argv) {
    if (argc != 8) return fprintf(stderr, "usage: see the head of the source\n"), 2;
    struct path first = open_path(argv + 2), second = open_path(argv + 5);
    static float one[SAMPLES_MAX], other[SAMPLES_MAX], more[SAMPLES_MAX];
    size_t count = 0;
    for (double end = now_us() + atof(argv[1]) * 1e6; now_us() < end && count < SAMPLES_MAX; count++) {
        if (count % 2) one[count] = round_trip(first);
        other[count] = round_trip(second);
        if (count % 2 == 0) one[count] = round_trip(first);
        more[count] = other[count] - one[count];
    }
    if (!count) die("no time");
    printf("%zu %.3f %.3f %.3f\n", count, median(one, count), median(other, count),
           median(more, count));
    return 0;
}
