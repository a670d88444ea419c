/* The CNI front end: hands a runtime's request to this host's agent and prints what it answers
 * (CNI 1.1.0, sections 2 and 5; docs/cni.md has the protocol).
 *
 *   environment, stdin ──checked──▶ POST /cni over the agent's socket ──▶ stdout, exit code
 *
 * It decides nothing: what can be said without the agent is VERSION, and what is wrong with the
 * request's form. `reference.py` does the same; a table test compares both.
 */
#define _GNU_SOURCE
#include "json.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NEWEST "1.1.0"
#define SOCKET "/run/netwright/cni.sock"
#define DEADLINE_S 60
#define DEADLINE_S_MAX 600
#define BYTES_MAX (4 << 20)
#define VERSIONS "[\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]"

enum code { ENVIRONMENT = 4, IO = 5, UNDECODABLE = 6, INVALID = 7, AGAIN = 11, UNAVAILABLE = 50 };

static const char *const versions[] = {"0.3.1", "0.4.0", "1.0.0", NEWEST};
static const char *const verbs[] = {"ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"};

static const char *version = NEWEST; /* of what is printed */
static const char *verb = "";
static char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)] = SOCKET;
static long deadline_s = DEADLINE_S;
static long started_ms;

struct buffer {
	char *data;
	size_t length, size;
};

static void append(struct buffer *buffer, const char *data, size_t length)
{
	if (buffer->length + length + 1 > buffer->size) {
		buffer->size = 2 * (buffer->length + length + 1);
		buffer->data = realloc(buffer->data, buffer->size);
		if (!buffer->data)
			abort();
	}
	memcpy(buffer->data + buffer->length, data, length);
	buffer->length += length;
	buffer->data[buffer->length] = '\0';
}

static void append_text(struct buffer *buffer, const char *text)
{
	append(buffer, text, strlen(text));
}

static void append_string(struct buffer *buffer, const char *text)
{
	append(buffer, "\"", 1);
	for (; *text; text++) {
		char escape[8];
		if (*text == '"' || *text == '\\')
			append(buffer, "\\", 1);
		if ((unsigned char)*text >= 0x20)
			append(buffer, text, 1);
		else
			append(buffer, escape, (size_t)sprintf(escape, "\\u%04x", *text));
	}
	append(buffer, "\"", 1);
}

static void write_all(const char *data, size_t length)
{
	while (length > 0) {
		ssize_t written = write(STDOUT_FILENO, data, length);
		if (written < 0 && errno != EINTR)
			exit(1);
		if (written > 0) {
			data += written;
			length -= (size_t)written;
		}
	}
}

/* Prints the error object (section 5, "Error"); the exit code agrees with it. */
static _Noreturn void fail(enum code code, const char *next, const char *format, ...)
{
	struct buffer out = {0};
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	append_text(&out, "{\"cniVersion\":");
	append_string(&out, version);
	append_text(&out, ",\"code\":");
	char number[16];
	append(&out, number, (size_t)sprintf(number, "%d", code));
	append_text(&out, ",\"msg\":");
	append_string(&out, text);
	append_text(&out, ",\"details\":");
	append_string(&out, next);
	append_text(&out, "}\n");
	write_all(out.data, out.length);
	exit(1);
}

/* STATUS has a code of its own for what cannot serve ADD (section 4, "STATUS"). */
static enum code away(void)
{
	return strcmp(verb, "STATUS") ? AGAIN : UNAVAILABLE;
}

static long now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static _Noreturn void fail_late(const char *what)
{
	fail(away(), "look at the agent's log and the host's load; the runtime may try again",
	     "%s within %ld s", what, deadline_s);
}

static long remaining_ms(const char *what)
{
	long remaining = started_ms + deadline_s * 1000 - now_ms();
	if (remaining <= 0)
		fail_late(what);
	return remaining;
}

static void read_stdin(struct buffer *in)
{
	const char *late = "the runtime has not sent the network configuration";
	char part[65536];
	ssize_t length = 1;

	while (length > 0) {
		struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
		if (poll(&input, 1, (int)remaining_ms(late)) <= 0)
			continue;
		length = read(STDIN_FILENO, part, sizeof part);
		if (length < 0)
			fail(IO, "give it on stdin", "the network configuration cannot be read: %s",
			     strerror(errno));
		append(in, part, (size_t)length);
		if (in->length > BYTES_MAX)
			fail(IO, "give a shorter one", "the network configuration is longer than %d bytes",
			     BYTES_MAX);
	}
}

static void take_version(const struct json *value)
{
	char asked[16];
	if (!json_is_string(value))
		fail(INVALID, "correct the network configuration", "cniVersion is not a string");
	if (!json_text(value, asked, sizeof asked))
		return;
	for (size_t n = 0; n < sizeof versions / sizeof *versions; n++)
		if (!strcmp(asked, versions[n]))
			version = versions[n];
}

static void take_settings(const struct buffer *in)
{
	struct json found[3] = {{.key = "cniVersion"}, {.key = "agentSocket"}, {.key = "deadlineSeconds"}};

	if (!json_members(in->data, in->length, found, 3))
		fail(UNDECODABLE, "correct the network configuration",
		     "the network configuration is not a JSON object");
	if (found[0].start)
		take_version(&found[0]);
	if (found[1].start && (!json_text(&found[1], socket_path, sizeof socket_path) || !*socket_path))
		fail(INVALID, "correct the network configuration",
		     "agentSocket is not a path of 1 to %zu bytes", sizeof socket_path - 1);
	if (found[2].start &&
	    (!json_integer(&found[2], &deadline_s) || deadline_s < 1 || deadline_s > DEADLINE_S_MAX))
		fail(INVALID, "correct the network configuration",
		     "deadlineSeconds is not a whole number from 1 to %d", DEADLINE_S_MAX);
}

static _Noreturn void print_versions(void)
{
	struct buffer in = {0}, out = {0};
	struct json found = {.key = "cniVersion"};

	read_stdin(&in);
	if (json_members(in.data, in.length, &found, 1) && json_is_string(&found))
		take_version(&found);
	append_text(&out, "{\"cniVersion\":");
	append_string(&out, version);
	append_text(&out, ",\"supportedVersions\":" VERSIONS "}\n");
	write_all(out.data, out.length);
	exit(0);
}

static void append_variable(struct buffer *out, const char *name, const char *variable)
{
	const char *value = getenv(variable);
	append_string(out, name);
	append_text(out, ":");
	append_string(out, value ? value : "");
	append_text(out, ",");
}

static void write_request(struct buffer *out, const struct buffer *config)
{
	struct buffer body = {0};
	char text[160];

	append_text(&body, "{");
	append_variable(&body, "command", "CNI_COMMAND");
	append_variable(&body, "container_id", "CNI_CONTAINERID");
	append_variable(&body, "netns", "CNI_NETNS");
	append_variable(&body, "ifname", "CNI_IFNAME");
	append_variable(&body, "args", "CNI_ARGS");
	append_variable(&body, "path", "CNI_PATH");
	append(&body, text, (size_t)sprintf(text, "\"deadline_ms\":%ld,\"config\":",
					    remaining_ms("the request could not be sent")));
	append(&body, config->data, config->length);
	append_text(&body, "}");
	append(out, text, (size_t)sprintf(text,
					  "POST /cni HTTP/1.1\r\nHost: netwright\r\n"
					  "Content-Type: application/json\r\n"
					  "Content-Length: %zu\r\nConnection: close\r\n\r\n",
					  body.length));
	append(out, body.data, body.length);
}

static void set_timeout(int agent, int option)
{
	long left = remaining_ms("the agent has not answered");
	struct timeval timeout = {.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000};
	setsockopt(agent, SOL_SOCKET, option, &timeout, sizeof timeout);
}

/* A connection that breaks says that the agent went; what it had begun, it undoes or DEL does. */
static void check(ssize_t result)
{
	if (result > 0 || (result < 0 && errno == EINTR))
		return;
	if (result < 0 && errno == EAGAIN)
		fail_late("the agent has not answered");
	fail(away(), "the runtime may try again once the agent is back",
	     "the agent at %s went before it had answered", socket_path);
}

static int connect_to_agent(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int agent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, socket_path, sizeof socket_path);
	if (agent >= 0)
		set_timeout(agent, SO_SNDTIMEO);
	if (agent < 0 || connect(agent, (struct sockaddr *)&address, sizeof address) < 0) {
		if (agent >= 0 && errno == EAGAIN)
			fail_late("the agent has not answered");
		fail(away(), "start netwright agent on this host, or correct agentSocket",
		     "the agent cannot be reached at %s: %s", socket_path, strerror(errno));
	}
	return agent;
}

static _Noreturn void fail_foreign(void)
{
	fail(IO, "check that agentSocket is netwright agent's, of a release that fits",
	     "what answers at %s does not speak this protocol", socket_path);
}

/* The length of the body, from the header fields; -1 while they are not all there. */
static long body_length(const struct buffer *in, int *status, size_t *start)
{
	char *end = in->data ? strstr(in->data, "\r\n\r\n") : NULL;
	long length = 0;

	if (!end)
		return -1;
	if (sscanf(in->data, "HTTP/1.1 %3d", status) != 1)
		fail_foreign();
	*start = (size_t)(end - in->data) + 4;
	for (char *line = strstr(in->data, "\r\n"); line < end; line = strstr(line + 2, "\r\n")) {
		if (!strncasecmp(line + 2, "Content-Length:", 15))
			length = strtol(line + 17, NULL, 10);
		else if (!strncasecmp(line + 2, "Transfer-Encoding:", 18))
			fail_foreign();
	}
	return length >= 0 && length <= BYTES_MAX ? length : (fail_foreign(), 0);
}

static int exchange(const struct buffer *request, struct buffer *in, const char **body)
{
	int agent = connect_to_agent(), status = 0;
	char part[65536];
	size_t sent = 0, start = 0;
	long length;

	while (sent < request->length) {
		set_timeout(agent, SO_SNDTIMEO);
		ssize_t more = send(agent, request->data + sent, request->length - sent, MSG_NOSIGNAL);
		check(more);
		sent += more > 0 ? (size_t)more : 0;
	}
	while ((length = body_length(in, &status, &start)) < 0 || in->length < start + (size_t)length) {
		set_timeout(agent, SO_RCVTIMEO);
		ssize_t more = recv(agent, part, sizeof part, 0);
		check(more);
		append(in, part, more > 0 ? (size_t)more : 0);
		if (in->length > BYTES_MAX)
			fail_foreign();
	}
	in->length = start + (size_t)length;
	*body = in->data + start;
	return status;
}

int main(void)
{
	struct buffer config = {0}, request = {0}, answer = {0};
	const char *body, *command = getenv("CNI_COMMAND");
	bool is_known = false;

	started_ms = now_ms();
	signal(SIGPIPE, SIG_IGN);
	for (size_t n = 0; command && n < sizeof verbs / sizeof *verbs; n++)
		is_known |= !strcmp(command, verbs[n]);
	if (!is_known)
		fail(ENVIRONMENT, "a container runtime runs this program, by the CNI specification",
		     "CNI_COMMAND is not one of ADD, DEL, CHECK, GC, STATUS, VERSION");
	verb = command;
	if (!strcmp(verb, "VERSION"))
		print_versions();
	read_stdin(&config);
	take_settings(&config);
	write_request(&request, &config);
	int status = exchange(&request, &answer, &body);
	if (status == 204)
		return 0;
	size_t length = (size_t)(answer.data + answer.length - body);
	if (status < 200 || length == 0 || *body != '{')
		fail_foreign();
	write_all(body, length);
	write_all("\n", 1);
	return status == 200 ? 0 : 1;
}
