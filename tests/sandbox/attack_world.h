// What lies outside the box for an attack to reach, and how to see from outside whether it was
// reached: files, sockets, a victim process, an environment variable, an inherited descriptor.
#pragma once
#include "base/mem.h"
#include "sandbox/sandbox.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { INHERITED_FD = 200, SECRET_BYTES = 24 };

struct world {
    char *dir;                 // fresh, holds canary and whatever an attack makes
    char secret[SECRET_BYTES]; // random; whoever shows it has read it
    char victim_secret[SECRET_BYTES];
    int tcp, udp, unix_path, unix_abstract; // listening
    int tcp_port, udp_port;
    char *unix_name, *abstract_name;
    pid_t victim;                        // a sleeping process of ours with the secret in its memory
    pid_t keeper;                        // one with the secret in its environment
    int (*zygotes)(pid_t *out, int max); // lent by the test: the zygotes that run now
    int zygote;                          // of the box in use
    // What the probe saw of the child while it was held in a call.
    pid_t child;
    long child_rss_kb;
    char child_fds[2000], child_user_ns[100], child_root[300];
};

// At the same address in the victim, which is a fork of this process.
extern char victim_memory[SECRET_BYTES];

void world_open(struct world *w);
void world_close(struct world *w);
void world_reset(struct world *w); // canary back in place, sockets drained, victim alive
char *world_path(const struct world *w, const char *name);
bool world_has(const struct world *w, const char *name);
long world_size(const struct world *w, const char *name); // -1: not there
bool world_canary_changed(const struct world *w);
bool world_connected(int listener); // someone connected, or sent a datagram
bool world_victim_dead(struct world *w);
bool world_victim_changed(const struct world *w);
int world_strays(const struct world *w,
                 bool kill_them);  // processes of the box that no one waits for
void world_probe(struct world *w); // fills child_*
json_t *world_args(const struct world *w);
