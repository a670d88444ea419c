/* TCP request and response between two namespaces: round_trips NETNS_A NETNS_B ADDRESS_B SECONDS
 *
 * One process and one thread hold both sockets (a socket stays in the namespace that it was made
 * in), so that no scheduling of a peer is in the figure. Prints: round trips, median microseconds.
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
#define SAMPLES_MAX 2000000

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

static int ascending(const void *one, const void *other) {
    float a = *(const float *)one, b = *(const float *)other;
    return (a > b) - (a < b);
}

int main(int argc, char **argv) {
    if (argc != 5) return fprintf(stderr, "usage: round_trips NETNS_A NETNS_B ADDRESS_B SECONDS\n"), 2;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    if (inet_pton(AF_INET, argv[3], &to.sin_addr) != 1) die(argv[3]);
    int listener = socket_in(argv[2]);
    if (bind(listener, (struct sockaddr *)&to, sizeof to) || listen(listener, 1)) die("listen");
    int a = socket_in(argv[1]), one = 1;
    if (connect(a, (struct sockaddr *)&to, sizeof to)) die("connect");
    int b = accept(listener, NULL, NULL);
    if (b < 0) die("accept");
    setsockopt(b, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);

    static float took[SAMPLES_MAX];
    size_t count = 0;
    double end = now_us() + atof(argv[4]) * 1e6;
    for (double began = now_us(); began < end && count < SAMPLES_MAX;) {
        pass(a, b);
        pass(b, a);
        double after = now_us();
        took[count++] = after - began;
        began = after;
    }
    qsort(took, count, sizeof *took, ascending);
    printf("%zu %.3f\n", count, took[count / 2]);
    return 0;
}
