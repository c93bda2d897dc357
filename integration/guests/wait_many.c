// select, poll, ppoll, epoll and eventfd, with their sets and arrays in untouched memory.
#include "guest.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/timerfd.h>

enum { PIPES = 40 };
static int ends[PIPES][2];

static void by_select(void) {
    fd_set *set = fresh(PAGE);
    struct timeval *wait = fresh(PAGE);
    int top = 0;
    for (int i = 0; i < PIPES; i++) FD_SET(ends[i][0], set), top = ends[i][0] > top ? ends[i][0] : top;
    wait->tv_usec = 1000;
    CHECK(write(ends[7][1], "a", 1) == 1);
    CHECK(select(top + 1, set, NULL, NULL, wait) == 1 && FD_ISSET(ends[7][0], set) && !FD_ISSET(ends[8][0], set));
    FD_ZERO(set);
    FD_SET(ends[8][0], set);
    CHECK(select(top + 1, set, NULL, NULL, wait) == 0);
    CHECK(pselect(0, NULL, NULL, NULL, &(struct timespec){0, 1000000}, NULL) == 0);
}
static void by_poll(void) {
    struct pollfd *all = fresh(PAGE);
    for (int i = 0; i < PIPES; i++) all[i] = (struct pollfd){.fd = ends[i][0], .events = POLLIN};
    CHECK(poll(all, PIPES, 1000) == 1 && all[7].revents == POLLIN && all[6].revents == 0);
    CHECK(ppoll(all, 7, &(struct timespec){0, 1000000}, NULL) == 0);
}
static uint64_t by_epoll(void) {
    int epoll = epoll_create1(0), event = eventfd(0, 0), timer = timerfd_create(CLOCK_MONOTONIC, 0);
    CHECK(epoll >= 0 && event >= 0 && timer >= 0);
    for (int i = 0; i < PIPES; i++)
        CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[i][0], &(struct epoll_event){EPOLLIN, {.u64 = (uint64_t)i + 1000}}) == 0);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, event, &(struct epoll_event){EPOLLIN, {.u64 = 5}}) == 0);
    struct epoll_event *got = fresh(PAGE);
    CHECK(epoll_wait(epoll, got, 100, 1000) == 1 && got[0].data.u64 == 1007);
    char byte;
    CHECK(read(ends[7][0], &byte, 1) == 1 && byte == 'a');
    uint64_t *word = fresh(PAGE);
    *word = 41;
    CHECK(write(event, word, 8) == 8 && epoll_wait(epoll, got, 100, 1000) == 1 && got[0].data.u64 == 5);
    uint64_t *back = fresh(PAGE);
    CHECK(read(event, back, 8) == 8 && *back == 41 && epoll_wait(epoll, got, 100, 5) == 0);
    CHECK(timerfd_settime(timer, 0, &(struct itimerspec){{0, 0}, {0, 1000000}}, NULL) == 0);
    CHECK(read(timer, back + 9, 8) == 8 && back[9] == 1);
    return *back;
}

int main(void) {
    for (int i = 0; i < PIPES; i++) CHECK(pipe(ends[i]) == 0);
    by_select();
    by_poll();
    return finish("wait_many", by_epoll());
}
